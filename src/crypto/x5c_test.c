/* Certificates in JOSE headers: a JWS of ours is verified by its own certificate, and by no other
 * authority; what is no chain is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>
#include "crypto/x5c.h"
#include "data/json.h"

static char folder[] = "/tmp/x5c-test-XXXXXX";
static struct keys *keys;
static struct arena arena;

static struct str certificate(const char *name, const char *alg)
{
    struct str pem;
    assert_int_equal(
        keys_tls_certify(keys, str_from(name), alg, STR("idp.example"), 30, &arena, &pem), ERR_OK);
    return pem;
}

static void ours_verifies_by_its_certificate(void **state)
{
    struct x5c_own own;
    struct str compact, pem = certificate("one", "ec"), other = certificate("two", "ec");
    struct jws j;
    struct jwk *k;
    (void)state;
    assert_int_equal(x5c_own_read(&arena, pem, &own), ERR_OK);
    assert_int_equal(own.hash.n, 43);
    assert_int_equal(
        x5c_sign(keys, &own, "oauth-authz-req+jwt", STR("{\"a\":1}"), &arena, &compact), ERR_OK);
    assert_int_equal(jws_split(&arena, compact, &j), ERR_OK);
    assert_true(str_eq_z(json_get_str(j.header, "typ"), "oauth-authz-req+jwt"));
    const json_t *x5c = json_get(j.header, "x5c");
    assert_int_equal(x5c_key(&arena, x5c, pem, &k), ERR_OK);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_OK);
    jwk_free(k);
    assert_int_equal(x5c_key(&arena, x5c, other, &k), ERR_DENIED);
    assert_int_equal(x5c_key(&arena, x5c, STR(""), &k), ERR_DENIED);
    jws_free(&j);
    x5c_own_free(&own);
}

static void what_is_no_chain(void **state)
{
    static const char *const cases[] = {"[]",       "{}",         "\"x\"",           "[7]",
                                        "[\"!!\"]", "[\"AAAA\"]", "[\"\", \"AAAA\"]"};
    struct str pem = certificate("one", "ec");
    struct jwk *k;
    struct x5c_own own;
    json_t *v;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(json_read(str_from(cases[i]), &v, NULL), ERR_OK);
        assert_int_equal(x5c_key(&arena, v, pem, &k), ERR_INVALID);
        json_decref(v);
    }
    assert_int_equal(x5c_own_read(&arena, STR("nothing"), &own), ERR_INVALID);
    assert_int_equal(x5c_own_read(&arena, certificate("three", "rsa"), &own), ERR_INVALID);
    /* A good first certificate does not carry a bad second one, nor too many. */
    assert_int_equal(x5c_own_read(&arena, pem, &own), ERR_OK);
    json_array_append_new(own.x5c, json_string("AAAA"));
    assert_int_equal(x5c_key(&arena, own.x5c, pem, &k), ERR_INVALID);
    for (int i = 0; i < 10; i++)
        json_array_append(own.x5c, json_array_get(own.x5c, 0));
    assert_int_equal(x5c_key(&arena, own.x5c, pem, &k), ERR_INVALID);
    x5c_own_free(&own);
}

static int start(void **state)
{
    (void)state;
    arena_init(&arena);
    return mkdtemp(folder) && keys_open_local(folder, &keys) == ERR_OK ? 0 : -1;
}

static int finish(void **state)
{
    char command[100];
    (void)state;
    keys_close(keys);
    arena_free(&arena);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_verifies_by_its_certificate),
        cmocka_unit_test(what_is_no_chain),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
