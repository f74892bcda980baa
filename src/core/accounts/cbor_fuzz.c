/* Whole documents and keys of authenticators: read to the end or refused, and never beyond. */
#include <assert.h>
#include "core/accounts/cbor.h"
#include "core/accounts/wakey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t alg;
    struct cbor c = cbor_open(str_of(data, size));
    struct str whole = cbor_skip(&c);
    assert(c.at <= c.n && whole.n <= size);
    if (cbor_ended(&c))
        assert(whole.n == size);
    EVP_PKEY *key = wakey_read(str_of(data, size), &alg);
    EVP_PKEY_free(key);
    return 0;
}
