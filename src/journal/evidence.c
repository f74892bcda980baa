#include "journal/evidence.h"

#include <stdio.h>
#include "base/codec.h"
#include "crypto/digest.h"
#include "data/json.h"
#include "journal/proof.h"

bool evidence_is(struct str file)
{
    return file.n > 0 && file.p[0] == '{';
}

static void say(struct journal_verdict *out, enum err e, const char *what)
{
    out->err = e;
    snprintf(out->what, sizeof out->what, "%s", what);
}

static void witness_check(struct arena *a, struct str line, const struct checkpoint *c,
                          struct evidence *ev, struct journal_verdict *out)
{
    struct note_key k;
    struct str own;
    size_t i = ev->n_witnesses;
    if (i == EVIDENCE_WITNESSES_MAX || note_cosigner_read(a, line, &k) != ERR_OK) {
        say(out, ERR_INVALID, "A witness's key is malformed, or there are too many.");
        return;
    }
    enum err e = checkpoint_cosigned(a, c, &k, &ev->witness[i].at_s, &own);
    if (e == ERR_DENIED) {
        say(out, e, "A witness's signature is wrong.");
        return;
    }
    if (e != ERR_OK)
        ev->witness[i].at_s = 0;
    ev->witness[i].name = arena_dup(a, k.name);
    ev->n_witnesses++;
}

/* ---- a proof and the logs that followed its own -------------------------------------------------
 */
struct sealed {
    struct str leaf;
    struct checkpoint checkpoint; /* of the proof */
    struct str end_key;           /* of the last log of the chain */
    struct str origins[EVIDENCE_CHAIN_MAX];
    size_t n_origins;
};

/* Does this first entry of a log name that checkpoint as the one before it? */
static bool follows(struct arena *a, struct str leaf, const struct checkpoint *before)
{
    json_t *j = NULL;
    bool good = false;
    if (json_read(leaf, &j, NULL) != ERR_OK)
        return false;
    const json_t *p = json_get(j, "previous");
    good = strcmp(json_get_z(j, "kind", ""), "journal.opened") == 0 &&
           str_eq(json_get_str(p, "origin"), before->origin) &&
           json_get_i64(p, "size", -1) == (int64_t)before->size &&
           str_eq(json_get_str(p, "root"), codec_to_base64(a, before->root, HASH_LEN));
    json_decref(j);
    return good;
}

/* One proof of the chain, and what its checkpoint says. */
static bool take(struct arena *a, struct str text, struct str key, struct str *leaf,
                 struct checkpoint *c, struct str *key_line, struct journal_verdict *out)
{
    struct proof p;
    journal_verify_proof(a, text, key, leaf, out);
    if (out->err != ERR_OK || proof_read(a, text, &p) != ERR_OK ||
        checkpoint_read(a, p.note, c) != ERR_OK)
        return false;
    *key_line = key.p ? key : p.key_line;
    return true;
}

static bool sealed_check(struct arena *a, const json_t *of, struct str key, struct sealed *s,
                         struct journal_verdict *out)
{
    const json_t *chain = json_get(of, "chain"), *one;
    size_t i, n = json_array_size(chain);
    struct checkpoint before;
    struct journal_verdict next;
    struct str leaf;
    if (n > EVIDENCE_CHAIN_MAX || (chain && !json_is_array(chain))) {
        say(out, ERR_INVALID, "This is no evidence file, or it is cut.");
        return false;
    }
    if (!take(a, arena_dup(a, json_get_str(of, "proof")), n ? STR_NONE : key, &s->leaf,
              &s->checkpoint, &s->end_key, out))
        return false;
    before = s->checkpoint;
    json_array_foreach(chain, i, one)
    {
        struct str text =
            arena_dup(a, json_is_string(one) ? str_from(json_string_value(one)) : STR(""));
        struct checkpoint c;
        if (!take(a, text, i + 1 == n ? key : STR_NONE, &leaf, &c, &s->end_key, &next) ||
            next.index != 0 || !follows(a, leaf, &before)) {
            say(out, ERR_CORRUPT, "The chain of logs is broken.");
            return false;
        }
        s->origins[s->n_origins++] = c.origin;
        before = c;
    }
    return true;
}

/* ---- what the entry refers to -------------------------------------------------------------------
 */
static bool terms_fit(struct arena *a, struct str first, struct str terms, struct str of,
                      struct str text)
{
    json_t *j = NULL, *t = NULL;
    uint8_t hash[SHA256_LEN];
    sha256(text.p, text.n, hash);
    struct str digest = codec_to_base64url(a, hash, sizeof hash);
    bool read = json_read(first, &j, NULL) == ERR_OK && json_read(terms, &t, NULL) == ERR_OK;
    struct str id = read ? json_get_str(j, arena_dupz(a, of)) : STR("");
    bool good = id.n && str_eq(json_get_str(t, "object"), id) &&
                str_eq(json_get_str(t, "digest"), digest) &&
                strcmp(json_get_z(t, "id", "~"), json_get_z(j, "id", "")) <= 0;
    json_decref(j);
    json_decref(t);
    return good;
}

static void terms_check(struct arena *a, const json_t *term, struct str key, struct str end_key,
                        struct evidence *ev, struct journal_verdict *out)
{
    struct journal_verdict v;
    struct sealed s = {0};
    struct str of = arena_dup(a, json_get_str(term, "of"));
    struct str text = arena_dup(a, json_get_str(term, "text"));
    size_t i = ev->n_terms;
    bool known = str_eq_z(of, "contract") || str_eq_z(of, "consent");
    if (i == EVIDENCE_TERMS_MAX || !known || !sealed_check(a, term, key, &s, &v) ||
        !str_eq(s.end_key, end_key) || !terms_fit(a, ev->leaf, s.leaf, of, text)) {
        say(out, ERR_CORRUPT, "The contract or the consent is not the one that was in force.");
        return;
    }
    ev->terms[i].of = of;
    ev->terms[i].text = text;
    ev->n_terms++;
}

static void timestamps_take(struct arena *a, const json_t *list, struct evidence *ev,
                            struct journal_verdict *out)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        struct str raw;
        if (ev->n_timestamps == COUNT_OF(ev->timestamps) || !json_is_string(one) ||
            codec_base64(a, str_from(json_string_value(one)), &raw) != ERR_OK) {
            say(out, ERR_INVALID, "A timestamp is malformed, or there are too many.");
            return;
        }
        ev->timestamps[ev->n_timestamps++] = raw;
    }
}

static void parts_check(struct arena *a, const json_t *j, struct str key, struct evidence *ev,
                        struct journal_verdict *out)
{
    struct sealed s = {0};
    const json_t *one;
    size_t i;
    if (!sealed_check(a, j, key, &s, out))
        return;
    ev->leaf = s.leaf;
    ev->note = s.checkpoint.text;
    ev->n_origins = s.n_origins;
    memcpy(ev->origins, s.origins, sizeof s.origins);
    json_array_foreach(json_get(j, "witnesses"), i, one)
    {
        if (out->err == ERR_OK)
            witness_check(a, str_from(json_is_string(one) ? json_string_value(one) : ""),
                          &s.checkpoint, ev, out);
    }
    json_array_foreach(json_get(j, "terms"), i, one)
    {
        if (out->err == ERR_OK)
            terms_check(a, one, key, s.end_key, ev, out);
    }
    if (out->err == ERR_OK)
        timestamps_take(a, json_get(j, "timestamps"), ev, out);
}

static bool is_list(const json_t *j, const char *name)
{
    return !json_get(j, name) || json_is_array(json_get(j, name));
}

void evidence_verify(struct arena *a, struct str file, struct str key, struct evidence *ev,
                     struct journal_verdict *out)
{
    json_t *j = NULL;
    *ev = (struct evidence){0};
    *out = (struct journal_verdict){.index = -1};
    bool read = json_read(file, &j, NULL) == ERR_OK;
    const char *format = json_get_z(j, "format", "");
    bool first = strcmp(format, "socle-evidence-1") == 0;
    if (!read || (!first && strcmp(format, EVIDENCE_FORMAT) != 0) ||
        !json_is_array(json_get(j, "witnesses")) || !is_list(j, "terms") ||
        !is_list(j, "timestamps")) {
        say(out, ERR_INVALID, "This is no evidence file, or it is cut.");
    } else {
        if (first) { /* it had no more than these */
            json_object_del(j, "terms");
            json_object_del(j, "chain");
            json_object_del(j, "timestamps");
        }
        parts_check(a, j, key, ev, out);
    }
    json_decref(j);
}

enum err evidence_open(struct str leaf, struct str name, struct str value, struct str salt,
                       bool is_entry_salt, uint8_t field_salt[JOURNAL_SALT_LEN])
{
    char commitment[JOURNAL_COMMITMENT_LEN + 1];
    json_t *j, *f;
    size_t i;
    enum err e = salt.n == JOURNAL_SALT_LEN ? json_read(leaf, &j, NULL) : ERR_INVALID;
    if (e != ERR_OK)
        return e;
    if (is_entry_salt)
        journal_field_salt((const uint8_t *)salt.p, name, field_salt);
    else
        memcpy(field_salt, salt.p, JOURNAL_SALT_LEN);
    journal_field_commitment(field_salt, name, value, commitment);
    e = ERR_NOT_FOUND;
    json_array_foreach(json_get(j, "fields"), i, f)
    {
        if (str_eq(json_get_str(f, "name"), name))
            e = strcmp(json_get_z(f, "commitment", ""), commitment) == 0 ? ERR_OK : ERR_DENIED;
        if (e == ERR_OK)
            break;
    }
    json_decref(j);
    return e;
}
