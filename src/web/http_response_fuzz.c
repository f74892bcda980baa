/* Whatever an origin answers; the first bit says whether HEAD was asked. */
#include "web/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head h, part;
    size_t used, used_part;
    if (size == 0)
        return 0;
    bool to_head = data[0] & 1;
    struct str in = str_of(data + 1, size - 1);
    enum err e = http_read_response(in, to_head, &h, &used);
    if (e == ERR_OK) {
        must(used >= 4 && used <= in.n && memcmp(in.p + used - 4, "\r\n\r\n", 4) == 0);
        must(h.status >= 100 && h.status < 600 && h.n_headers <= HTTP_HEADERS_MAX);
        must(!(h.chunked && h.content_length >= 0));
        must(!to_head || (h.content_length == 0 && !h.chunked));
        must(!h.keep_alive || h.chunked || h.content_length >= 0);
        for (size_t i = 0; i < h.n_headers; i++)
            must(h.headers[i].name.n > 0 &&
                 h.headers[i].value.p + h.headers[i].value.n <= in.p + used);
    } else {
        must(used == 0);
    }
    for (size_t n = in.n / 2; n < in.n; n += 1 + in.n / 8) {
        enum err p = http_read_response(str_sub(in, 0, n), to_head, &part, &used_part);
        must(p == ERR_AGAIN || (p == e && used_part == used));
    }
    return 0;
}
