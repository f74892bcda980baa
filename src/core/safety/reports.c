/* What a person tells of a use that was not hers: it carries what an operator needs to look it up,
 * and she gets a reference and an acknowledgement. */
#include "core/safety/safety.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "platform/mail.h"

enum { WORDS_MAX = 4000, NAME_MAX_BYTES = 200 };

struct report_row {
    char id[ID_LEN + 1];
    struct str person, data;
    struct mail_sealed mail;
    int64_t now_ms;
};

static enum err report_write(struct db_conn *db, void *arg)
{
    const struct report_row *r = arg;
    enum err e =
        db_exec(db,
                "INSERT INTO report(id, person, data, state, at, closed_at) VALUES($1, $2, "
                "$3, 'open', $4, 0)",
                "zsbi", r->id, r->person, r->data, r->now_ms);
    return e == ERR_OK ? mail_queue(db, &r->mail, r->now_ms) : e;
}

static enum err mail_make(struct ctx *c, struct str person, const char *kind, const char *key,
                          json_t *d, struct mail_sealed *out)
{
    struct str to;
    enum err e = safety_address(c, person, &to);
    *out = (struct mail_sealed){.data = STR_NONE};
    if (e != ERR_OK || !mail_address_ok(to))
        return e;
    json_object_set_new(d, "brand", json_string(c->pf->settings->brand_name));
    struct mail m = {.owner = arena_dupz(c->arena, person),
                     .to = to,
                     .subject = safety_text(c, arena_printf(c->arena, "%s.subject", key).p, d),
                     .text = safety_text(c, arena_printf(c->arena, "%s.text", key).p, d),
                     .kind = kind};
    return mail_seal(c, &m, out);
}

enum err safety_report(struct ctx *c, const struct report *r, struct str *id)
{
    struct act act;
    struct report_row *row = arena_new(c->arena, struct report_row);
    if (!r->words.n || r->words.n > WORDS_MAX || r->service.n > NAME_MAX_BYTES ||
        !str_is_utf8(r->words) || !str_is_utf8(r->service) ||
        (r->sign_in.n && !id_is_valid(r->sign_in)) || r->session.n > 64)
        return ERR_INVALID;
    id_new(row->id);
    row->person = r->person;
    row->now_ms = clock_now_ms();
    json_t *v = json_pack("{s:o,s:o,s:o,s:o,s:s}", "sign_in", json_str(r->sign_in), "session",
                          json_str(r->session), "service", json_str(r->service), "words",
                          json_str(r->words), "lang", c->lang);
    if (!v)
        return ERR_INVALID;
    enum err e = safety_seal(c, r->person, v, &row->data);
    json_t *d = json_pack("{s:s}", "reference", row->id);
    if (e == ERR_OK)
        e = mail_make(c, r->person, "identity.report_received", "mail.report", d, &row->mail);
    json_decref(d);
    if (e != ERR_OK)
        return e;
    struct act_info info = {.kind = "identity.fraud_reported",
                            .actor = STR("self"),
                            .object = str_from(row->id),
                            .person = r->person,
                            .told = json_pack("{s:{s:s,s:s}}", "title", "fr",
                                              "Signalement d’une utilisation frauduleuse", "en",
                                              "Report of a fraudulent use")};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, report_write, row, &act, 1);
    *id = str_from(row->id);
    return e;
}

static json_t *report_json(struct ctx *c, const struct db_result *r, size_t i)
{
    json_t *d = safety_open(c, db_str(r, i, 1), db_str(r, i, 2));
    json_t *v = d ? json_copy(d) : json_object();
    json_object_set_new(v, "id", json_string(db_z(r, i, 0)));
    json_object_set_new(v, "person", json_string(db_z(r, i, 1)));
    json_object_set_new(v, "state", json_string(d ? db_z(r, i, 3) : "erased"));
    json_object_set_new(v, "at", json_integer(db_i64(r, i, 4)));
    return v;
}

enum err safety_reports(struct ctx *c, struct str person, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, person, data, state, at FROM report WHERE $1 = '' OR person "
                          "= $1 ORDER BY CASE WHEN state = 'open' THEN 0 ELSE 1 END, at DESC LIMIT "
                          "500",
                          "s", person);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, report_json(c, &r, i));
    *out = json_own(&c->pool, json_pack("{s:o}", "items", items));
    return ERR_OK;
}

static enum err close_write(struct db_conn *db, void *arg)
{
    const struct report_row *r = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE report SET state = 'closed', closed_at = $2 WHERE id = $1 "
                               "AND state = 'open'",
                               "zi", r->id, r->now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_NOT_FOUND;
    return e == ERR_OK ? mail_queue(db, &r->mail, r->now_ms) : e;
}

/* An operator has dealt with it; she is told what was found. */
enum err safety_report_close(struct ctx *c, struct str id, struct str answer)
{
    struct db_result r;
    struct act act;
    struct report_row *row = arena_new(c->arena, struct report_row);
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    if (id.n != ID_LEN || !answer.n || answer.n > WORDS_MAX || !str_is_utf8(answer))
        return ERR_INVALID;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT id, person, data, state, at FROM report WHERE id = $1 AND "
                              "state = 'open'",
                              "s", id);
    if (e != ERR_OK)
        return e;
    json_t *v = json_own(&c->pool, report_json(c, &r, 0));
    const char *lang = c->lang;
    memcpy(row->id, id.p, ID_LEN);
    row->now_ms = clock_now_ms();
    row->person = db_str(&r, 0, 1);
    if (strcmp(json_get_z(v, "state", ""), "erased") != 0) {
        json_t *d = json_pack("{s:s,s:o}", "reference", row->id, "answer", json_str(answer));
        c->lang = strcmp(json_get_z(v, "lang", "fr"), "en") == 0 ? "en" : "fr";
        e = mail_make(c, row->person, "identity.report_answered", "mail.answer", d, &row->mail);
        c->lang = lang;
        json_decref(d);
    }
    struct act_info info = {
        .kind = "identity.fraud_answered", .actor = STR("operator"), .object = id};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, close_write, row, &act, 1) : e;
}

/* ---- socle person reports|answer|block|unblock --------------------------------------------------
 */
static void print_reports(json_t *list)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_get(list, "items"), i, v)
    {
        printf("%s  %-6s  person %s  sign-in %s  %s\n", json_get_z(v, "id", ""),
               json_get_z(v, "state", ""), json_get_z(v, "person", ""),
               json_get_z(v, "sign_in", ""), json_get_z(v, "service", ""));
    }
}

/* args: words (list), json. out: code, the exit code. */
enum err safety_call_command(struct ctx *c, const json_t *args, json_t **out)
{
    const json_t *words = json_get(args, "words");
    struct str w[3] = {STR(""), STR(""), STR("")};
    json_t *list;
    enum err e = ERR_INVALID;
    for (size_t i = 0; i < 3 && i < json_array_size(words); i++)
        w[i] = str_from(json_string_value(json_array_get(words, i)));
    if (str_eq_z(w[0], "reports")) {
        e = safety_reports(c, STR(""), &list);
        if (e == ERR_OK && json_get_bool(args, "json", false))
            printf("%s\n", json_text(c->arena, list).p);
        else if (e == ERR_OK)
            print_reports(list);
    } else if (str_eq_z(w[0], "answer")) {
        e = safety_report_close(c, w[1], w[2]);
    } else if (str_eq_z(w[0], "block")) {
        struct block b = {.person = w[1], .provider = w[2], .through = w[2], .by = STR("operator")};
        e = w[1].n ? safety_block(c, &b) : ERR_INVALID;
    } else if (str_eq_z(w[0], "unblock")) {
        e = safety_unblock(c, w[1], w[2], STR("operator"), STR(""), STR(""));
    }
    if (e != ERR_OK)
        fprintf(stderr, "socle person " STR_FMT ": %s\n", STR_ARG(w[0]), err_name(e));
    *out = json_pack("{s:i}", "code", e == ERR_OK ? 0 : 1);
    return ERR_OK;
}
