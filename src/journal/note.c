#include "journal/note.h"

#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/jose.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a space */
enum { KEY_ID_LEN = 4, SIGNATURE_LEN = 64, STAMP_LEN = 8 };

/* ---- keys -------------------------------------------------------------------------------------
 */
static void key_make(struct str name, enum note_type type, const uint8_t public_key[32],
                     struct note_key *out)
{
    const char between[2] = {'\n', (char)type};
    uint8_t hash[SHA256_LEN];
    struct str parts[] = {name, str_of(between, 2), str_of(public_key, 32)};
    sha256_many(parts, COUNT_OF(parts), hash);
    out->name = name;
    out->type = type;
    memcpy(out->id, hash, sizeof out->id);
    memcpy(out->public_key, public_key, 32);
}

void note_key_make(struct str name, const uint8_t public_key[32], struct note_key *out)
{
    key_make(name, NOTE_ED25519, public_key, out);
}

void note_cosigner_make(struct str name, const uint8_t public_key[32], struct note_key *out)
{
    key_make(name, NOTE_COSIGNATURE, public_key, out);
}

struct str note_key_line(struct arena *a, const struct note_key *k)
{
    uint8_t raw[33];
    raw[0] = (uint8_t)k->type;
    memcpy(raw + 1, k->public_key, 32);
    return arena_printf(a, STR_FMT "+" STR_FMT "+" STR_FMT, STR_ARG(k->name),
                        STR_ARG(codec_to_hex(a, k->id, sizeof k->id)),
                        STR_ARG(codec_to_base64(a, raw, sizeof raw)));
}

/* No spaces, no plus sign, no control characters. Unicode's other spaces begin with c2 85, c2 a0,
 * e1 9a 80, e2 80 8x/a8/a9/af, e2 81 9f, e3 80 80. */
bool note_name_is_good(struct str s)
{
    static const char *const spaces[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
                                         "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
                                         "\xe2\x81\x9f", "\xe3\x80\x80"};
    if (s.n == 0 || s.n > NOTE_NAME_MAX || !str_is_utf8(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= 0x20 || s.p[i] == 0x7f || s.p[i] == '+' ||
            (i + 2 < s.n && memcmp(s.p + i, "\xe2\x80", 2) == 0 && (uint8_t)s.p[i + 2] <= 0x8a))
            return false;
    for (size_t i = 0; i < COUNT_OF(spaces); i++)
        if (str_find(s, str_from(spaces[i])) >= 0)
            return false;
    return true;
}

static enum err key_read(struct arena *a, struct str text, enum note_type type,
                         struct note_key *out)
{
    struct str rest = text, name, id, raw, id_bytes;
    uint8_t public_key[32];
    if (rest.n && rest.p[rest.n - 1] == '\n')
        rest.n--;
    if (rest.n > NOTE_KEY_MAX || !str_split(&rest, '+', &name) || !str_split(&rest, '+', &id) ||
        !rest.p || !note_name_is_good(name) || codec_hex(a, id, &id_bytes) != ERR_OK ||
        id_bytes.n != KEY_ID_LEN || codec_base64(a, rest, &raw) != ERR_OK || raw.n != 33 ||
        raw.p[0] != (char)type)
        return ERR_INVALID;
    memcpy(public_key, raw.p + 1, 32);
    key_make(name, type, public_key, out);
    return memcmp(out->id, id_bytes.p, KEY_ID_LEN) == 0 ? ERR_OK : ERR_INVALID;
}

enum err note_key_read(struct arena *a, struct str text, struct note_key *out)
{
    return key_read(a, text, NOTE_ED25519, out);
}

enum err note_cosigner_read(struct arena *a, struct str text, struct note_key *out)
{
    return key_read(a, text, NOTE_COSIGNATURE, out);
}

/* ---- notes ------------------------------------------------------------------------------------
 */
/* Splits at the last empty line. */
static bool note_split(struct str note, struct str *text, struct str *signatures)
{
    if (note.n < 4 || note.n > NOTE_MAX || note.p[note.n - 1] != '\n' || !str_is_utf8(note))
        return false;
    for (size_t i = 0; i < note.n; i++)
        if ((uint8_t)note.p[i] < 0x20 && note.p[i] != '\n')
            return false;
    for (size_t i = note.n - 1; i-- > 1;)
        if (note.p[i] == '\n' && note.p[i - 1] == '\n') {
            *text = str_sub(note, 0, i);
            *signatures = str_after(note, i + 1);
            return signatures->n > 0;
        }
    return false;
}

/* One signature line: its name, and what it is in base64. */
static bool line_read(struct str line, struct str *name, struct str *base64)
{
    struct str rest = str_after(line, sizeof DASH - 1);
    return str_starts(line, STR(DASH)) && rest.n && str_split(&rest, ' ', name) && rest.p &&
           note_name_is_good(*name) && (*base64 = rest, true);
}

/* Lines of the form that the format gives, with at least a key id each. */
static bool signatures_are_good(struct arena *a, struct str signatures)
{
    struct str rest = str_sub(signatures, 0, signatures.n - 1), line, name, base64, raw;
    size_t n = 0;
    while (str_split(&rest, '\n', &line))
        if (++n > NOTE_SIGNATURES_MAX || !line_read(line, &name, &base64) ||
            codec_base64(a, base64, &raw) != ERR_OK || raw.n < KEY_ID_LEN + 1)
            return false;
    return n > 0;
}

static bool read_size(struct str text, uint64_t *size)
{
    return str_to_u64(text, size) && (text.p[0] != '0' || text.n == 1);
}

enum err checkpoint_read(struct arena *a, struct str note, struct checkpoint *out)
{
    struct str rest, size, root, raw, line;
    *out = (struct checkpoint){0};
    if (!note_split(note, &out->text, &out->signatures) || !signatures_are_good(a, out->signatures))
        return ERR_INVALID;
    rest = str_sub(out->text, 0, out->text.n - 1);
    if (!rest.n || !str_split(&rest, '\n', &out->origin) || !str_split(&rest, '\n', &size) ||
        !str_split(&rest, '\n', &root) || !note_name_is_good(out->origin) ||
        !read_size(size, &out->size) || codec_base64(a, root, &raw) != ERR_OK || raw.n != HASH_LEN)
        return ERR_INVALID;
    memcpy(out->root, raw.p, HASH_LEN);
    while (str_split(&rest, '\n', &line))
        if (line.n == 0)
            return ERR_INVALID;
    return ERR_OK;
}

enum err checkpoint_check(struct arena *a, const struct checkpoint *c, const struct note_key *k)
{
    struct str rest = str_sub(c->signatures, 0, c->signatures.n - 1), line, name, base64, raw;
    bool good = false;
    if (!str_eq(c->origin, k->name))
        return ERR_DENIED;
    while (str_split(&rest, '\n', &line)) {
        if (!line_read(line, &name, &base64) || !str_eq(name, k->name) ||
            codec_base64(a, base64, &raw) != ERR_OK || memcmp(raw.p, k->id, KEY_ID_LEN) != 0)
            continue;
        if (raw.n != KEY_ID_LEN + SIGNATURE_LEN ||
            !ed25519_verify(k->public_key, c->text, (const uint8_t *)raw.p + KEY_ID_LEN))
            return ERR_DENIED;
        good = true;
    }
    return good ? ERR_OK : ERR_DENIED;
}

struct str checkpoint_text(struct arena *a, struct str origin, uint64_t size,
                           const uint8_t root[HASH_LEN])
{
    return arena_printf(a, STR_FMT "\n%llu\n" STR_FMT "\n", STR_ARG(origin),
                        (unsigned long long)size, STR_ARG(codec_to_base64(a, root, HASH_LEN)));
}

struct str checkpoint_note(struct arena *a, struct str text, const struct note_key *k,
                           struct str signature)
{
    char *raw = arena_alloc(a, KEY_ID_LEN + signature.n);
    memcpy(raw, k->id, KEY_ID_LEN);
    memcpy(raw + KEY_ID_LEN, signature.p, signature.n);
    return arena_printf(a, STR_FMT "\n" DASH STR_FMT " " STR_FMT "\n", STR_ARG(text),
                        STR_ARG(k->name),
                        STR_ARG(codec_to_base64(a, raw, KEY_ID_LEN + signature.n)));
}

/* ---- cosignatures (C2SP tlog-cosignature, Ed25519) ----------------------------------------------
 */
struct str cosignature_text(struct arena *a, struct str checkpoint_text, uint64_t at_s)
{
    return arena_printf(a, "cosignature/v1\ntime %llu\n" STR_FMT, (unsigned long long)at_s,
                        STR_ARG(checkpoint_text));
}

struct str cosignature_line(struct arena *a, const struct note_key *k, uint64_t at_s,
                            struct str signature)
{
    size_t n = KEY_ID_LEN + STAMP_LEN + signature.n;
    char *raw = arena_alloc(a, n);
    memcpy(raw, k->id, KEY_ID_LEN);
    for (size_t i = 0; i < STAMP_LEN; i++)
        raw[KEY_ID_LEN + i] = (char)(at_s >> 8 * (STAMP_LEN - 1 - i));
    memcpy(raw + KEY_ID_LEN + STAMP_LEN, signature.p, signature.n);
    return arena_printf(a, DASH STR_FMT " " STR_FMT "\n", STR_ARG(k->name),
                        STR_ARG(codec_to_base64(a, raw, n)));
}

static bool cosignature_is_good(struct arena *a, const struct checkpoint *c,
                                const struct note_key *k, struct str raw, uint64_t *at_s)
{
    *at_s = 0;
    if (raw.n != KEY_ID_LEN + STAMP_LEN + SIGNATURE_LEN)
        return false;
    for (size_t i = 0; i < STAMP_LEN; i++)
        *at_s = *at_s << 8 | (uint8_t)raw.p[KEY_ID_LEN + i];
    return *at_s <= INT64_MAX && ed25519_verify(k->public_key, cosignature_text(a, c->text, *at_s),
                                                (const uint8_t *)raw.p + KEY_ID_LEN + STAMP_LEN);
}

enum err checkpoint_cosigned(struct arena *a, const struct checkpoint *c, const struct note_key *k,
                             uint64_t *at_s, struct str *out)
{
    struct str rest = str_sub(c->signatures, 0, c->signatures.n - 1), line, name, base64, raw;
    while (str_split(&rest, '\n', &line)) {
        if (!line_read(line, &name, &base64) || !str_eq(name, k->name) ||
            codec_base64(a, base64, &raw) != ERR_OK || memcmp(raw.p, k->id, KEY_ID_LEN) != 0)
            continue;
        *out = str_of(line.p, line.n + 1); /* its line feed included: the note ends with one */
        return cosignature_is_good(a, c, k, raw, at_s) ? ERR_OK : ERR_DENIED;
    }
    return ERR_NOT_FOUND;
}
