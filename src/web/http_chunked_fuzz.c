/* A chunked body in pieces (the first byte says how long they are) gives what it gives at once. */
#include "base/buf.h"
#include "web/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        __builtin_trap();
}

static enum err read_all(struct str in, size_t step, struct buf *out, size_t *left)
{
    struct http_chunked c = {0};
    enum err e = ERR_AGAIN;
    for (size_t at = 0; at < in.n && e == ERR_AGAIN; at += step) {
        struct str piece = str_sub(in, at, step), content;
        bool last = false;
        while ((e = http_chunked_read(&c, &piece, &content, &last)) == ERR_OK && !last) {
            must(content.n > 0 && content.p >= in.p && content.p + content.n <= in.p + in.n);
            buf_add_str(out, content);
        }
        must(content.n == 0 && (e != ERR_AGAIN || piece.n == 0));
        *left = (size_t)(in.p + in.n - piece.p);
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;
    size_t left_whole = 0, left_pieces = 0;
    if (size < 2)
        return 0;
    struct str in = str_of(data + 1, size - 1);
    buf_init(&whole, size);
    buf_init(&pieces, size);
    enum err e = read_all(in, in.n, &whole, &left_whole);
    must(e == read_all(in, 1 + data[0] % 16, &pieces, &left_pieces));
    must(whole.err == ERR_OK && pieces.err == ERR_OK && left_whole == left_pieces);
    must(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
