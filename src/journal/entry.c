/* Leaves of version 1 (docs/formats/journal-entry.md): written member by member, read by their
 * head. The writer's process checks that a leaf is clean text with the right head, and does not
 * parse the rest: whoever wrote it made it with the functions below. */
#include <assert.h>
#include "base/rand.h"
#include "crypto/digest.h"
#include "journal/journal.h"
#include "journal/leaf.h"

/* ---- commitments ------------------------------------------------------------------------------
 */
static const char zero[1];

void journal_field_salt(const uint8_t entry_salt[JOURNAL_SALT_LEN], struct str name,
                        uint8_t out[JOURNAL_SALT_LEN])
{
    struct str parts[] = {STR("socle/salt/1"), str_of(zero, 1), name, str_of(zero, 1),
                          str_of(entry_salt, JOURNAL_SALT_LEN)};
    sha256_many(parts, COUNT_OF(parts), out);
}

static void base64url_32(const uint8_t in[32], char out[JOURNAL_COMMITMENT_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *p = out;
    for (int i = 0; i < 30; i += 3) {
        unsigned v = (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | in[i + 2];
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = digits[v >> 6 & 63];
        *p++ = digits[v & 63];
    }
    unsigned v = (unsigned)in[30] << 10 | (unsigned)in[31] << 2;
    *p++ = digits[v >> 12];
    *p++ = digits[v >> 6 & 63];
    *p++ = digits[v & 63];
    *p = '\0';
}

void journal_field_commitment(const uint8_t field_salt[JOURNAL_SALT_LEN], struct str name,
                              struct str value, char out[JOURNAL_COMMITMENT_LEN + 1])
{
    uint8_t digest[SHA256_LEN];
    struct str parts[] = {STR("socle/field/1"),
                          str_of(zero, 1),
                          str_of(field_salt, JOURNAL_SALT_LEN),
                          name,
                          str_of(zero, 1),
                          value};
    sha256_many(parts, COUNT_OF(parts), digest);
    base64url_32(digest, out);
}

void journal_leaf_commitment(struct str leaf, char out[JOURNAL_COMMITMENT_LEN + 1])
{
    uint8_t hash[SHA256_LEN];
    struct str parts[] = {str_of(zero, 1), leaf};
    sha256_many(parts, COUNT_OF(parts), hash);
    base64url_32(hash, out);
}

static void add_commitment(struct journal_entry *e, struct str name, struct str value)
{
    uint8_t salt[JOURNAL_SALT_LEN];
    char text[JOURNAL_COMMITMENT_LEN + 1];
    journal_field_salt(e->salt, name, salt);
    journal_field_commitment(salt, name, value, text);
    buf_add_char(e->b, '"');
    buf_add(e->b, text, JOURNAL_COMMITMENT_LEN);
    buf_add_char(e->b, '"');
}

/* ---- writing ----------------------------------------------------------------------------------
 */
void journal_entry_start(struct journal_entry *e, struct buf *b, const char *id, int64_t at_ms,
                         const char *kind, const uint8_t *salt)
{
    *e = (struct journal_entry){.b = b};
    if (salt)
        memcpy(e->salt, salt, sizeof e->salt);
    else
        rand_bytes(e->salt, sizeof e->salt);
    buf_reset(b);
    buf_add_z(b, "{\"v\":1,\"id\":\"");
    buf_add_z(b, id);
    buf_add_z(b, "\",\"at\":");
    buf_add_u64(b, at_ms > 0 ? (uint64_t)at_ms : 0);
    buf_add_z(b, ",\"kind\":\"");
    buf_add_z(b, kind);
    buf_add_char(b, '"');
}

static void fields_close(struct journal_entry *e)
{
    if (e->in_fields)
        buf_add_char(e->b, ']');
    e->in_fields = false;
}

static void add_key(struct journal_entry *e, const char *key)
{
    fields_close(e);
    buf_add_z(e->b, ",\"");
    buf_add_z(e->b, key);
    buf_add_z(e->b, "\":");
}

void journal_entry_str(struct journal_entry *e, const char *key, struct str value)
{
    if (!value.n)
        return;
    add_key(e, key);
    buf_add_json(e->b, value);
}

void journal_entry_i64(struct journal_entry *e, const char *key, int64_t value)
{
    add_key(e, key);
    if (value < 0)
        buf_add_char(e->b, '-');
    buf_add_u64(e->b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void journal_entry_json(struct journal_entry *e, const char *key, struct str json)
{
    if (!json.n)
        return;
    add_key(e, key);
    buf_add_str(e->b, json);
}

void journal_entry_ready(struct journal_entry *e, struct str members)
{
    fields_close(e);
    buf_add_str(e->b, members);
}

void journal_entry_subject(struct journal_entry *e, struct str person)
{
    if (!person.n)
        return;
    add_key(e, "subject");
    add_commitment(e, STR("@subject"), person);
}

void journal_entry_field(struct journal_entry *e, struct str name, struct str value)
{
    if (e->in_fields) {
        buf_add_char(e->b, ',');
    } else {
        add_key(e, "fields");
        buf_add_char(e->b, '[');
        e->in_fields = true;
    }
    buf_add_z(e->b, "{\"name\":");
    buf_add_json(e->b, name);
    buf_add_z(e->b, ",\"commitment\":");
    add_commitment(e, name, value);
    buf_add_char(e->b, '}');
}

enum err journal_entry_end(struct journal_entry *e)
{
    fields_close(e);
    buf_add_char(e->b, '}');
    if (e->b->err == ERR_OK && e->b->n > JOURNAL_LEAF_MAX)
        return ERR_LIMIT;
    return e->b->err;
}

/* ---- ULIDs ------------------------------------------------------------------------------------
 */
static const char ulid_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Value + 1 of each digit; 0: none. */
static const uint8_t ulid_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20, ['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24,
    ['R'] = 25, ['S'] = 26, ['T'] = 27, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32,
};

bool ulid_read(struct str text, uint8_t out[ULID_BYTES])
{
    unsigned __int128 v = 0;
    if (text.n != ULID_LEN || text.p[0] > '7')
        return false;
    for (size_t i = 0; i < ULID_LEN; i++) {
        uint8_t d = ulid_values[(uint8_t)text.p[i]];
        if (!d)
            return false;
        v = v << 5 | (unsigned)(d - 1);
    }
    for (int i = ULID_BYTES - 1; i >= 0; i--) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
    return true;
}

void ulid_write(const uint8_t id[ULID_BYTES], char out[ULID_LEN + 1])
{
    unsigned __int128 v = 0;
    for (int i = 0; i < ULID_BYTES; i++)
        v = v << 8 | id[i];
    for (int i = ULID_LEN - 1; i >= 0; i--) {
        out[i] = ulid_digits[(unsigned)(v & 31)];
        v >>= 5;
    }
    out[ULID_LEN] = '\0';
}

/* ---- reading ----------------------------------------------------------------------------------
 */
static bool take(struct str *rest, struct str text)
{
    if (!str_starts(*rest, text))
        return false;
    *rest = str_after(*rest, text.n);
    return true;
}

static bool is_kind_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool take_at(struct str *rest, int64_t *at_ms)
{
    size_t n = 0;
    while (n < rest->n && n < 16 && rest->p[n] >= '0' && rest->p[n] <= '9')
        n++;
    bool good =
        n > 0 && n < 16 && (n == 1 || rest->p[0] != '0') && str_to_i64(str_sub(*rest, 0, n), at_ms);
    *rest = str_after(*rest, n);
    return good;
}

enum err leaf_head_read(struct str leaf, struct leaf_head *out)
{
    struct str rest = leaf;
    *out = (struct leaf_head){0};
    if (!take(&rest, STR("{\"v\":1,\"id\":\"")))
        return ERR_INVALID;
    out->id_text = str_sub(rest, 0, ULID_LEN);
    rest = str_after(rest, ULID_LEN);
    if (!ulid_read(out->id_text, out->id) || !take(&rest, STR("\",\"at\":")) ||
        !take_at(&rest, &out->at_ms) || !take(&rest, STR(",\"kind\":\"")))
        return ERR_INVALID;
    size_t n = 0;
    while (n < rest.n && is_kind_char(rest.p[n]))
        n++;
    out->kind = str_sub(rest, 0, n);
    rest = str_after(rest, n);
    if (n == 0 || n > KIND_MAX || rest.n < 2 || rest.p[0] != '"' ||
        (rest.p[1] != ',' && rest.p[1] != '}'))
        return ERR_INVALID;
    return ERR_OK;
}

/* Eight bytes at a time for what is nearly always ASCII: true when none is under 0x20 nor over
 * 0x7f. */
static bool is_plain_ascii(struct str s)
{
    const uint64_t high = 0x8080808080808080u, low = 0x2020202020202020u;
    uint64_t bad = 0;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t v;
        memcpy(&v, s.p + i, 8);
        bad |= (v | (v - low)) & high; /* a borrow comes from a byte that is bad itself */
    }
    for (; i < s.n; i++)
        bad |= (uint8_t)s.p[i] < 0x20 || (uint8_t)s.p[i] > 0x7f;
    return bad == 0;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < 0x20)
            return true;
    return false;
}

enum err leaf_check(struct str leaf, struct leaf_head *out)
{
    enum err e = leaf_head_read(leaf, out);
    if (e != ERR_OK)
        return e;
    if (leaf.p[leaf.n - 1] != '}' ||
        (!is_plain_ascii(leaf) && (has_control(leaf) || !str_is_utf8(leaf))))
        return ERR_INVALID;
    return ERR_OK;
}
