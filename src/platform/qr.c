#include "platform/qr.h"

#include <qrencode.h>
#include <stdlib.h>
#include "base/buf.h"

/* One path of unit squares, row by row. */
json_t *qr_svg(struct str text)
{
    enum { QUIET = 4 };
    struct buf b;
    char *z = strndup(text.p, text.n);
    QRcode *q = z ? QRcode_encodeString8bit(z, 0, QR_ECLEVEL_M) : NULL;
    free(z);
    if (!q)
        return NULL;
    buf_init(&b, 256 * 1024);
    for (int y = 0; y < q->width; y++)
        for (int x = 0; x < q->width; x++) {
            int from = x;
            while (x < q->width && q->data[y * q->width + x] & 1)
                x++;
            if (x > from)
                buf_printf(&b, "M%d %dh%dv1h-%dz", from + QUIET, y + QUIET, x - from, x - from);
        }
    json_t *v = json_pack("{s:i,s:s%}", "size", q->width + 2 * QUIET, "path", b.p, b.n);
    buf_free(&b);
    QRcode_free(q);
    return v;
}
