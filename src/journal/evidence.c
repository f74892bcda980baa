#include "journal/evidence.h"

#include <stdio.h>
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

void evidence_verify(struct arena *a, struct str file, struct str key, struct evidence *ev,
                     struct journal_verdict *out)
{
    json_t *j = NULL, *line;
    struct proof p;
    struct checkpoint c;
    size_t i;
    *ev = (struct evidence){0};
    *out = (struct journal_verdict){.index = -1};
    if (json_read(file, &j, NULL) != ERR_OK ||
        strcmp(json_get_z(j, "format", ""), EVIDENCE_FORMAT) != 0 ||
        !json_is_array(json_get(j, "witnesses"))) {
        say(out, ERR_INVALID, "This is no evidence file, or it is cut.");
        json_decref(j);
        return;
    }
    ev->proof = arena_dup(a, json_get_str(j, "proof"));
    journal_verify_proof(a, ev->proof, key, &ev->leaf, out);
    if (out->err == ERR_OK && proof_read(a, ev->proof, &p) == ERR_OK &&
        checkpoint_read(a, p.note, &c) == ERR_OK)
        json_array_foreach(json_get(j, "witnesses"), i, line)
        {
            if (out->err == ERR_OK)
                witness_check(a, str_from(json_is_string(line) ? json_string_value(line) : ""), &c,
                              ev, out);
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
