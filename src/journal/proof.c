#include "journal/proof.h"

#include "base/buf.h"
#include "base/codec.h"

#define FIRST_LINE "c2sp.org/tlog-proof@v1"
#define EXTRA_LINE "socle-proof-1"
enum { EXTRA_MAX = 64 * 1024, PROOF_MAX = 256 * 1024 };

struct str proof_print(struct arena *a, const struct proof *p)
{
    struct buf b, extra;
    buf_init(&extra, PROOF_MAX);
    buf_add_z(&extra, EXTRA_LINE "\n");
    buf_add_str(&extra, p->key_line);
    buf_add_char(&extra, '\n');
    buf_add_str(&extra, p->leaf);
    buf_init(&b, PROOF_MAX);
    buf_add_z(&b, FIRST_LINE "\nextra ");
    buf_add_base64(&b, extra.p, extra.n);
    buf_free(&extra);
    buf_add_z(&b, "\nindex ");
    buf_add_u64(&b, p->index);
    buf_add_char(&b, '\n');
    for (size_t i = 0; i < p->hashes.n; i += HASH_LEN) {
        buf_add_base64(&b, p->hashes.p + i, HASH_LEN);
        buf_add_char(&b, '\n');
    }
    buf_add_char(&b, '\n');
    buf_add_str(&b, p->note);
    struct str out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* "word rest": false when the line is another one. */
static bool line_after(struct str line, const char *word, struct str *rest)
{
    size_t n = strlen(word);
    if (line.n <= n || memcmp(line.p, word, n) != 0 || line.p[n] != ' ')
        return false;
    *rest = str_after(line, n + 1);
    return true;
}

static enum err extra_read(struct arena *a, struct str base64, struct proof *out)
{
    struct str raw, line;
    struct note_key key;
    if (base64.n > EXTRA_MAX / 3 * 4 + 8 || codec_base64(a, base64, &raw) != ERR_OK)
        return ERR_INVALID;
    if (!raw.n || !str_split(&raw, '\n', &line) || !str_eq_z(line, EXTRA_LINE) ||
        !str_split(&raw, '\n', &out->key_line) || !raw.p ||
        note_key_read(a, out->key_line, &key) != ERR_OK)
        return ERR_INVALID;
    out->leaf = raw;
    return ERR_OK;
}

static enum err hashes_read(struct arena *a, struct str *rest, struct proof *out)
{
    char *hashes = arena_alloc(a, MERKLE_PROOF_MAX * HASH_LEN);
    struct str line, raw;
    size_t n = 0;
    while (str_split(rest, '\n', &line) && line.n) {
        if (n == MERKLE_PROOF_MAX || codec_base64(a, line, &raw) != ERR_OK || raw.n != HASH_LEN)
            return ERR_INVALID;
        memcpy(hashes + n++ * HASH_LEN, raw.p, HASH_LEN);
    }
    out->hashes = str_of(hashes, n * HASH_LEN);
    return rest->p ? ERR_OK : ERR_INVALID;
}

enum err proof_read(struct arena *a, struct str text, struct proof *out)
{
    struct str rest = text, line, value;
    *out = (struct proof){0};
    if (text.n == 0 || text.n > PROOF_MAX || !str_split(&rest, '\n', &line) ||
        !str_eq_z(line, FIRST_LINE) || !str_split(&rest, '\n', &line) ||
        !line_after(line, "extra", &value) || extra_read(a, value, out) != ERR_OK)
        return ERR_INVALID; /* without the leaf there is nothing that could be checked */
    if (!str_split(&rest, '\n', &line) || !line_after(line, "index", &value) ||
        !str_to_u64(value, &out->index) || (value.p[0] == '0' && value.n > 1))
        return ERR_INVALID;
    enum err e = hashes_read(a, &rest, out);
    out->note = rest;
    return e;
}
