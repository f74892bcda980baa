/* Whatever comes to the door as a request: what is accepted has one reading only. */
#include "web/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        __builtin_trap();
}

static void inside(struct str s, struct str in, bool constant_allowed)
{
    bool in_it = s.p >= in.p && s.p + s.n <= in.p + in.n;
    must(s.p == NULL || in_it || (constant_allowed && str_eq(s, STR("/"))));
}

static bool blank_line_ends(struct str in, size_t used)
{
    return used >= 4 && memcmp(in.p + used - 4, "\r\n\r\n", 4) == 0 &&
           str_find(in, STR("\r\n\r\n")) == (ptrdiff_t)used - 4;
}

static void no_stray_byte(struct str head)
{
    for (size_t i = 0; i < head.n; i++) {
        unsigned char c = (unsigned char)head.p[i];
        must(c >= ' ' || c == '\t' || c == '\r' || c == '\n');
        must(c != 127 && (c == '\n') == (i > 0 && head.p[i - 1] == '\r'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of(data, size);
    struct http_head h, part;
    size_t used, used_part;
    int status, status_part;
    enum err e = http_read_request(in, &h, &used, &status);
    if (e == ERR_OK) {
        must(used <= size && used <= HTTP_HEAD_MAX && h.n_headers <= HTTP_HEADERS_MAX);
        must(blank_line_ends(in, used));
        no_stray_byte(str_sub(in, 0, used));
        inside(h.target, in, false);
        inside(h.path, in, true);
        inside(h.query, in, false);
        inside(h.host, in, false);
        must(!(h.chunked && h.content_length >= 0) && h.path.n > 0);
        must(h.host.n > 0 || h.minor == 0);
        size_t framing = 0;
        for (size_t i = 0; i < h.n_headers; i++) {
            inside(h.headers[i].name, in, false);
            inside(h.headers[i].value, in, false);
            framing += str_eq_nocase(h.headers[i].name, STR("content-length"));
            framing += str_eq_nocase(h.headers[i].name, STR("transfer-encoding"));
        }
        must(framing == (h.chunked || h.content_length >= 0));
    } else {
        must(used == 0 && (e == ERR_AGAIN) == (status == 0) && (status == 0 || status >= 400));
    }
    for (size_t n = size / 2; n < size; n += 1 + size / 8) {
        enum err p = http_read_request(str_sub(in, 0, n), &part, &used_part, &status_part);
        must(p == ERR_AGAIN || (p == e && used_part == used && status_part == status));
    }
    return 0;
}
