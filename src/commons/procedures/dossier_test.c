/* Dossiers: who sees which, which moves they make, and that no two hands move one at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "commons/procedures/form.h"
#include "crypto/digest.h"
#include "platform/fixture.h"

static struct fixture *f;
static const struct procedure *p;

static int open_all(void **state)
{
    (void)state;
    f = fixture_open();
    if (!f || definitions_load() != ERR_OK)
        return -1;
    p = procedure_find(STR("changement-adresse"));
    return p ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    fixture_close(f);
    return 0;
}

static struct ctx *as(const char *host, const char *subject, enum role role)
{
    struct ctx *c = fixture_ctx(f, host);
    fixture_session(c, subject, role, json_pack("{s:s}", "name", "Samir Benali"));
    return c;
}

static struct ctx *citizen(const char *subject)
{
    return as("mairie.localhost", subject, ROLE_USER);
}

static struct ctx *agent(void)
{
    return as("mairie.localhost", "agent-1", ROLE_AGENT);
}

/* All that is asked, right. */
static void fill(struct dossier *d)
{
    static const char *const values[][2] = {{"nom", "MARTIN"},
                                            {"prenoms", "Camille Anne"},
                                            {"naissance", "1988-04-12"},
                                            {"ancienne_voie", "14 rue des Capucins"},
                                            {"ancienne_commune", "69123"},
                                            {"date", "2026-11-14"},
                                            {"nouvelle_voie", "8 rue de Strasbourg"},
                                            {"nouvelle_commune", "44109"}};
    for (size_t i = 0; i < COUNT_OF(values); i++)
        dossier_set(d, values[i][0], json_pack("{s:s}", "v", values[i][1]));
}

static struct str sent(struct ctx *c)
{
    struct dossier d;
    assert_int_equal(dossier_draft(c, p, &d), ERR_OK);
    fill(&d);
    assert_int_equal(dossier_save(c, &d), ERR_OK);
    assert_int_equal(procedures_send(c, d.id, 0, &d), ERR_OK);
    return arena_dup(&f->pf.arena, d.id);
}

static void a_person_has_one_draft_and_finds_it_again(void **state)
{
    (void)state;
    struct ctx *c = citizen("one");
    struct dossier first, again;
    assert_int_equal(dossier_draft(c, p, &first), ERR_OK);
    dossier_set(&first, "nom", json_pack("{s:s}", "v", "MARTIN"));
    assert_int_equal(dossier_save(c, &first), ERR_OK);
    assert_int_equal(dossier_draft(c, p, &again), ERR_OK);
    assert_true(str_eq(first.id, again.id));
    assert_string_equal(json_get_z(dossier_value(&again, "nom"), "v", ""), "MARTIN");
    fixture_ctx_free(c);
}

static void nobody_sees_the_dossier_of_another(void **state)
{
    (void)state;
    struct ctx *owner = citizen("owner"), *other = citizen("other");
    struct ctx *elsewhere = as("autre.localhost", "owner", ROLE_USER);
    struct ctx *agent_elsewhere = as("autre.localhost", "agent-1", ROLE_AGENT);
    struct dossier d;
    json_t *errors;
    struct str id = sent(owner);
    assert_int_equal(dossier_get(owner, id, true, &d), ERR_OK);
    assert_int_equal(dossier_get(other, id, true, &d), ERR_NOT_FOUND);
    assert_int_equal(dossier_get(elsewhere, id, true, &d), ERR_NOT_FOUND);
    assert_int_equal(dossier_get(agent_elsewhere, id, false, &d), ERR_NOT_FOUND);
    assert_int_equal(procedures_take(other, id, 0, &d, &errors), ERR_NOT_FOUND);
    assert_int_equal(procedures_send(other, id, 0, &d), ERR_NOT_FOUND);
    assert_int_equal(
        form_read(agent_elsewhere->arena, STR("outcome=accept"), &agent_elsewhere->form), ERR_OK);
    assert_int_equal(procedures_decide(agent_elsewhere, id, &d, &errors), ERR_NOT_FOUND);
    fixture_ctx_free(owner);
    fixture_ctx_free(other);
    fixture_ctx_free(elsewhere);
    fixture_ctx_free(agent_elsewhere);
}

/* What she has not sent is hers alone: not the agent's to read, and not to decide. */
static void a_draft_is_nobody_elses(void **state)
{
    (void)state;
    struct ctx *c = citizen("drafter"), *a = agent();
    struct dossier d, seen;
    struct dossier_query q = {.page = 1, .per_page = 100};
    struct dossier_row *rows;
    json_t *errors;
    size_t n;
    int64_t total;
    assert_int_equal(dossier_draft(c, p, &d), ERR_OK);
    assert_int_equal(form_read(a->arena, STR("outcome=accept"), &a->form), ERR_OK);
    assert_int_equal(procedures_decide(a, d.id, &seen, &errors), ERR_NOT_FOUND);
    assert_int_equal(dossiers_of_site(a, &q, &rows, &n, &total), ERR_OK);
    for (size_t i = 0; i < n; i++)
        assert_false(str_eq(rows[i].id, d.id));
    fixture_ctx_free(c);
    fixture_ctx_free(a);
}

static void what_is_incomplete_or_wrong_cannot_be_sent(void **state)
{
    (void)state;
    struct ctx *c = citizen("incomplete");
    struct dossier d;
    assert_int_equal(dossier_draft(c, p, &d), ERR_OK);
    assert_int_equal(procedures_send(c, d.id, 0, &d), ERR_INVALID);
    assert_string_equal(c->fault.code, "PRC-422-MISSING");
    fill(&d);
    dossier_set(&d, "courriel", json_pack("{s:s,s:s}", "v", "nope", "wrong", "error.email"));
    assert_int_equal(dossier_save(c, &d), ERR_OK);
    assert_int_equal(procedures_send(c, d.id, 0, &d), ERR_INVALID);
    assert_int_equal(d.state, DOSSIER_DRAFT);
    fixture_ctx_free(c);
}

static void sending_twice_is_sending_once(void **state)
{
    (void)state;
    struct ctx *c = citizen("twice");
    struct dossier d, again;
    struct dossier_event *events;
    json_t *errors;
    size_t n;
    struct str id = sent(c);
    assert_int_equal(dossier_get(c, id, true, &d), ERR_OK);
    assert_int_equal(procedures_send(c, id, 0, &again), ERR_OK);
    assert_true(str_eq(d.number, again.number));
    assert_true(str_eq(d.digest, again.digest));
    assert_int_equal(dossier_events(c, &d, &events, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(procedures_take(c, id, 0, &again, &errors), ERR_CONFLICT);
    assert_string_equal(c->fault.code, "PRC-409-SENT");
    /* the next one is another dossier */
    assert_int_equal(dossier_draft(c, p, &again), ERR_OK);
    assert_false(str_eq(again.id, id));
    fixture_ctx_free(c);
}

static void the_receipt_s_digest_is_that_of_what_can_be_downloaded(void **state)
{
    (void)state;
    struct ctx *c = citizen("digest"), *a = agent();
    struct dossier d;
    json_t *errors;
    uint8_t hash[SHA256_LEN];
    struct str id = sent(c);
    assert_int_equal(form_read(a->arena, STR("outcome=refuse&reason=hors+commune"), &a->form),
                     ERR_OK);
    assert_int_equal(procedures_decide(a, id, &d, &errors), ERR_OK);
    assert_int_equal(dossier_get(c, id, true, &d), ERR_OK); /* and still after the decision */
    struct str deposit = dossier_deposit(c, &d);
    sha256(deposit.p, deposit.n, hash);
    assert_true(str_eq(codec_to_hex(c->arena, hash, sizeof hash), d.digest));
    assert_true(str_find(deposit, STR("8 rue de Strasbourg")) > 0);
    assert_true(d.deadline_ms == d.submitted_ms + 15LL * 86400000);
    fixture_ctx_free(c);
    fixture_ctx_free(a);
}

/* Two tabs: what was changed elsewhere since it was read over is not sent unread. */
static void answers_changed_in_another_tab_are_not_sent_unread(void **state)
{
    (void)state;
    struct ctx *c = citizen("tabs");
    struct dossier d, tab;
    assert_int_equal(dossier_draft(c, p, &d), ERR_OK);
    fill(&d);
    assert_int_equal(dossier_save(c, &d), ERR_OK);
    assert_int_equal(dossier_get(c, d.id, true, &tab), ERR_OK);
    int64_t read_over = d.revision;
    dossier_set(&tab, "nouvelle_voie", json_pack("{s:s}", "v", "autre"));
    assert_int_equal(dossier_save(c, &tab), ERR_OK);
    assert_int_equal(procedures_send(c, d.id, read_over, &d), ERR_CONFLICT);
    assert_string_equal(c->fault.code, "PRC-409-CHANGED");
    assert_int_equal(procedures_send(c, d.id, tab.revision, &d), ERR_OK);
    /* a save from what was read before is refused, not written over */
    assert_int_equal(dossier_save(c, &tab), ERR_CONFLICT);
    fixture_ctx_free(c);
}

static void a_decision_is_made_once_with_its_reason(void **state)
{
    (void)state;
    struct ctx *c = citizen("decided"), *a = agent(), *b = agent();
    struct dossier d;
    struct dossier_event *events;
    json_t *errors;
    size_t n;
    struct str id = sent(c);
    assert_int_equal(form_read(a->arena, STR("outcome=&reason="), &a->form), ERR_OK);
    assert_int_equal(procedures_decide(a, id, &d, &errors), ERR_OK);
    assert_non_null(json_get(errors, "outcome"));
    assert_int_equal(form_read(a->arena, STR("outcome=refuse&reason=+"), &a->form), ERR_OK);
    assert_int_equal(procedures_decide(a, id, &d, &errors), ERR_OK);
    assert_non_null(json_get(errors, "reason"));
    assert_int_equal(d.state, DOSSIER_SUBMITTED);
    assert_int_equal(form_read(a->arena, STR("outcome=refuse&reason=hors+commune"), &a->form),
                     ERR_OK);
    assert_int_equal(procedures_decide(a, id, &d, &errors), ERR_OK);
    assert_null(errors);
    assert_int_equal(form_read(b->arena, STR("outcome=accept"), &b->form), ERR_OK);
    struct str second = sent(c); /* without a reason at all, as a program may accept */
    struct dossier accepted;
    assert_int_equal(procedures_decide(b, second, &accepted, &errors), ERR_OK);
    assert_int_equal(accepted.state, DOSSIER_ACCEPTED);
    assert_int_equal(procedures_decide(b, id, &d, &errors), ERR_CONFLICT);
    assert_string_equal(b->fault.code, "PRC-409-DECIDED");
    assert_int_equal(dossier_get(c, id, true, &d), ERR_OK);
    assert_int_equal(d.state, DOSSIER_REFUSED);
    assert_string_equal(json_get_z(d.data, "reason", ""), "hors commune");
    assert_true(str_eq_z(d.agent_name, "Samir Benali"));
    assert_int_equal(dossier_events(c, &d, &events, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_true(str_eq_z(events[1].text, "hors commune"));
    fixture_ctx_free(c);
    fixture_ctx_free(a);
    fixture_ctx_free(b);
}

/* Both had read it before either acted: the database lets one act. */
static void of_two_hands_at_once_one_acts(void **state)
{
    (void)state;
    struct ctx *c = citizen("race"), *a = agent(), *b = agent();
    struct dossier d, same;
    assert_int_equal(dossier_draft(c, p, &d), ERR_OK);
    fill(&d);
    assert_int_equal(dossier_save(c, &d), ERR_OK);
    assert_int_equal(dossier_get(c, d.id, true, &same), ERR_OK);
    assert_int_equal(dossier_submit(c, &d), ERR_OK);
    assert_int_equal(dossier_submit(c, &same), ERR_CONFLICT);
    assert_int_equal(dossier_get(a, d.id, false, &d), ERR_OK);
    assert_int_equal(dossier_get(b, d.id, false, &same), ERR_OK);
    assert_int_equal(dossier_decide(a, &d, true, STR("")), ERR_OK);
    assert_int_equal(dossier_decide(b, &same, false, STR("non")), ERR_CONFLICT);
    assert_int_equal(dossier_get(c, d.id, true, &d), ERR_OK);
    assert_int_equal(d.state, DOSSIER_ACCEPTED);
    fixture_ctx_free(c);
    fixture_ctx_free(a);
    fixture_ctx_free(b);
}

static size_t found(struct ctx *a, const char *q, const char *state, int64_t *total)
{
    struct dossier_query query = {
        .q = str_from(q), .state = str_from(state), .page = 1, .per_page = 100};
    struct dossier_row *rows;
    size_t n;
    assert_int_equal(dossiers_of_site(a, &query, &rows, &n, total), ERR_OK);
    return n;
}

static void agents_find_by_number_and_by_name(void **state)
{
    (void)state;
    struct ctx *c = citizen("sought"), *a = agent();
    struct dossier d;
    int64_t total;
    struct str id = sent(c);
    assert_int_equal(dossier_get(c, id, true, &d), ERR_OK);
    assert_int_equal(found(a, arena_dupz(a->arena, d.number), "", &total), 1);
    assert_int_equal(total, 1);
    assert_true(found(a, "martin", "", &total) >= 1);
    assert_true(found(a, "Camille MARTIN", "submitted", &total) >= 1);
    assert_int_equal(found(a, "camille dupont", "", &total), 0);
    assert_int_equal(found(a, "%", "", &total),
                     found(a, "", "", &total));        /* no wildcard: nothing asked */
    assert_int_equal(found(a, "mart", "", &total), 0); /* a name is whole: it is not in clear */
    struct ctx *elsewhere = as("autre.localhost", "agent-9", ROLE_AGENT);
    assert_int_equal(found(elsewhere, "martin", "", &total), 0);
    fixture_ctx_free(elsewhere);
    fixture_ctx_free(c);
    fixture_ctx_free(a);
}

static void counts_agree_with_the_list(void **state)
{
    (void)state;
    struct ctx *a = agent();
    struct dossier_counts n;
    int64_t total;
    assert_int_equal(dossiers_count(a, &n), ERR_OK);
    assert_int_equal(found(a, "", "", &total), n.all);
    assert_int_equal(found(a, "", "submitted", &total), n.submitted);
    assert_int_equal(found(a, "", "done", &total), n.done);
    assert_int_equal(n.late, 0);
    clock_set_offset_ms(20LL * 86400000);
    assert_int_equal(dossiers_count(a, &n), ERR_OK);
    assert_int_equal(n.late, n.submitted);
    assert_int_equal(found(a, "", "late", &total), n.late);
    clock_set_offset_ms(0);
    fixture_ctx_free(a);
}

/* Nothing a person typed is in the database's bytes, and erasing her key leaves nothing to open. */
static void what_was_typed_is_sealed_at_rest(void **state)
{
    (void)state;
    struct ctx *c = citizen("sealed");
    struct dossier d;
    char command[256];
    struct str id = sent(c);
    snprintf(command, sizeof command, "grep -rqaE 'Capucins|Strasbourg|MARTIN' %s", f->folder);
    assert_int_not_equal(system(command), 0);
    assert_int_equal(dossier_get(c, id, true, &d), ERR_OK);
    assert_int_equal(vault_erase(c, dossier_subject(c, &d)), ERR_OK);
    assert_int_not_equal(dossier_get(c, id, true, &d), ERR_OK);
    fixture_ctx_free(c);
}

static void the_account_gets_the_list_without_opening_anything(void **state)
{
    (void)state;
    struct ctx *c = citizen("listed");
    json_t *out, *args;
    struct str id = sent(c);
    args = json_own(&c->pool, json_pack("{s:s,s:s}", "client_id", "client-ville-de-nantes-demo",
                                        "sub", "listed"));
    assert_int_equal(platform_call(c, "procedures.of_sub", args, &out), ERR_OK);
    json_t *one = json_array_get(json_get(out, "items"), 0);
    assert_true(str_eq(json_get_str(one, "id"), id));
    assert_string_equal(json_get_z(one, "state", ""), "submitted");
    assert_string_equal(json_get_z(json_get(one, "state_label"), "en", ""), "Sent");
    assert_true(
        str_starts(json_get_str(one, "url"), STR("http://mairie.localhost:8080/dossiers/")));
    args = json_own(&c->pool, json_pack("{s:s}", "q", "je demenaje"));
    assert_int_equal(platform_call(c, "procedures.search", args, &out), ERR_OK);
    assert_string_equal(json_get_z(json_array_get(json_get(out, "items"), 0), "url", ""),
                        "http://mairie.localhost:8080/demarches/changement-adresse");
    fixture_ctx_free(c);
}

static int64_t outbox_rows(void)
{
    struct db_result r;
    assert_int_equal(
        db_query_one(db_read(f->pf.db), &f->arena, &r, "SELECT COUNT(*) FROM outbox", ""), ERR_OK);
    return db_i64(&r, 0, 0);
}

/* She will read in her account that an agent opened her dossier: once a day for each agent. */
static void an_agents_look_is_noted_once_a_day(void **state)
{
    (void)state;
    struct ctx *c = citizen("read"), *a = agent();
    struct ctx *b = as("mairie.localhost", "agent-2", ROLE_AGENT);
    struct dossier d;
    struct str id = sent(c);
    int64_t before = outbox_rows();
    assert_int_equal(dossier_get(a, id, false, &d), ERR_OK);
    assert_int_equal(dossier_note_read(a, &d), ERR_OK);
    assert_int_equal(dossier_note_read(a, &d), ERR_OK);
    assert_int_equal(outbox_rows() - before, 1);
    assert_int_equal(dossier_note_read(b, &d), ERR_OK);
    assert_int_equal(outbox_rows() - before, 2);
    clock_set_offset_ms(2LL * 86400000);
    assert_int_equal(dossier_note_read(a, &d), ERR_OK);
    clock_set_offset_ms(0);
    assert_int_equal(outbox_rows() - before, 3);
    fixture_ctx_free(c);
    fixture_ctx_free(a);
    fixture_ctx_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_person_has_one_draft_and_finds_it_again),
        cmocka_unit_test(nobody_sees_the_dossier_of_another),
        cmocka_unit_test(a_draft_is_nobody_elses),
        cmocka_unit_test(what_is_incomplete_or_wrong_cannot_be_sent),
        cmocka_unit_test(sending_twice_is_sending_once),
        cmocka_unit_test(the_receipt_s_digest_is_that_of_what_can_be_downloaded),
        cmocka_unit_test(answers_changed_in_another_tab_are_not_sent_unread),
        cmocka_unit_test(a_decision_is_made_once_with_its_reason),
        cmocka_unit_test(of_two_hands_at_once_one_acts),
        cmocka_unit_test(agents_find_by_number_and_by_name),
        cmocka_unit_test(counts_agree_with_the_list),
        cmocka_unit_test(an_agents_look_is_noted_once_a_day),
        cmocka_unit_test(what_was_typed_is_sealed_at_rest),
        cmocka_unit_test(the_account_gets_the_list_without_opening_anything),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
