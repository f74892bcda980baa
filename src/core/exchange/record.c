#include "core/exchange/record.h"

#include <stdlib.h>
#include "base/clock.h"
#include "crypto/seal.h"
#include "data/json.h"
#include "core/exchange/stages.h"

enum { SIDE_MAX = 48 * 1024, JOINED_MAX = 16 << 20 };

struct record_lane {
    struct journal_async *journal;
    struct loop *loop;
    struct loop_timer flush; /* at once: timers run after the turn's events */
    bool flush_set;
    struct buf leaf, side, joined;
    struct arena work;
};

static void flush_now(struct loop_timer *t)
{
    struct record_lane *r = (struct record_lane *)((char *)t - offsetof(struct record_lane, flush));
    r->flush_set = false;
    journal_flush(r->journal);
}

struct record_lane *record_lane_new(struct platform *pf, struct loop *l, unsigned index)
{
    struct record_lane *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->loop = l;
    r->flush.fn = flush_now;
    if (index < pf->n_loop_journal_fds)
        r->journal = journal_async_connect(pf->loop_journal_fds[index], l);
    buf_init(&r->leaf, JOURNAL_LEAF_MAX);
    buf_init(&r->side, SIDE_MAX);
    buf_init(&r->joined, JOINED_MAX);
    arena_init_secret(&r->work);
    return r;
}

static enum err append(struct record_lane *r, const struct journal_record *rec,
                       struct journal_call *call)
{
    enum err e = r->journal ? journal_append_async(r->journal, rec, call) : ERR_UNAVAILABLE;
    if (e == ERR_OK && !r->flush_set) {
        r->flush_set = true;
        loop_timer_set(r->loop, &r->flush, 0);
    }
    return e;
}

/* Refusals a person is told of, and in which words. */
static const struct told {
    enum gw_code code;
    const char *fr, *en;
} told[] = {
    {GW_CONSENT, "Vous n’avez pas donné votre accord, ou vous l’avez retiré.",
     "You did not give your consent, or you withdrew it."},
    {GW_CONTRACT, "Le contrat de cet organisme est suspendu ou terminé.",
     "This body's contract is suspended or has ended."},
    {GW_RECIPIENT, "Le destinataire indiqué n’est pas prévu par le contrat.",
     "The recipient that was named is not in the contract."},
    {GW_PURPOSE, "La raison de la demande n’était pas indiquée.",
     "The reason for the request was not given."},
};

static const struct told *told_of(enum gw_code code)
{
    for (size_t i = 0; i < COUNT_OF(told); i++)
        if (told[i].code == code)
            return &told[i];
    return NULL;
}

/* The person's copy: docs/formats/exchange-side.md. refused NULL: it was allowed. */
static struct str side_make(struct record_lane *r, const struct record_call *c,
                            const struct record_ticket *t, const struct told *refused)
{
    struct buf *b = &r->side;
    buf_reset(b);
    buf_add_char(b, '{');
    buf_add_str(b, c->k->side_common);
    buf_add_z(b, ",\"at\":");
    buf_add_u64(b, (uint64_t)c->at_ms);
    buf_add_z(b, ",\"entry\":\"");
    buf_add(b, t->id, ID_LEN);
    buf_add_z(b, "\",\"salt\":\"");
    buf_add_base64url(b, t->salt, sizeof t->salt);
    buf_add_char(b, '"');
    if (c->purpose.context.n) {
        buf_add_z(b, ",\"context\":");
        buf_add_json(b, c->purpose.context);
        buf_add_z(b, ",\"object\":");
        buf_add_json(b, c->purpose.object);
        buf_add_z(b, ",\"recipient\":");
        buf_add_json(b, c->purpose.recipient);
    }
    if (refused) {
        buf_printf(b, ",\"decision\":\"refused\",\"code\":\"%s\",\"reason\":{\"fr\":",
                   gw_fault(refused->code)->code);
        buf_add_json(b, str_from(refused->fr));
        buf_add_z(b, ",\"en\":");
        buf_add_json(b, str_from(refused->en));
        buf_add_char(b, '}');
    }
    buf_add_char(b, '}');
    arena_reset(&r->work);
    return b->err == ERR_OK ? seal(&r->work, c->token->subject_key, STR("journal.side"), buf_str(b))
                            : STR_NONE;
}

/* What decisions and refusals have in common. */
static void leaf_begin(struct record_lane *r, struct journal_entry *e, const struct record_call *c,
                       struct record_ticket *t, const char *kind)
{
    id_new(t->id);
    journal_entry_start(e, &r->leaf, t->id, c->at_ms, kind, NULL);
    memcpy(t->salt, e->salt, sizeof t->salt);
    journal_entry_ready(e, c->k->entry_common);
    journal_entry_str(e, "consent", c->consent);
    journal_entry_str(e, "trace", str_from(c->trace_id));
    if (c->k->delegated) /* a vendor's call: for which body, in clear, since it is no person */
        journal_entry_str(e, "for", c->purpose.recipient);
    if (c->token->has_subject)
        journal_entry_subject(e, c->token->person);
}

STAGE_AT(decision);
enum err record_decision(struct record_lane *r, const struct record_call *c,
                         struct record_ticket *t, struct journal_call *call)
{
    struct journal_entry e;
    struct journal_record rec = {0};
    leaf_begin(r, &e, c, t, "exchange.decision");
    if (c->cached)
        journal_entry_json(&e, "cached", STR("true"));
    journal_entry_field(&e, STR("request"), c->target);
    if (c->body.n)
        journal_entry_field(&e, STR("request_body"), c->body);
    if (c->purpose.context.n) {
        journal_entry_field(&e, STR("context"), c->purpose.context);
        journal_entry_field(&e, STR("object"), c->purpose.object);
        journal_entry_field(&e, STR("recipient"), c->purpose.recipient);
    }
    if (journal_entry_end(&e) != ERR_OK)
        return ERR_LIMIT;
    rec.id = str_of(t->id, ID_LEN);
    rec.leaf = buf_str(&r->leaf);
    journal_leaf_commitment(rec.leaf, t->commitment);
    if (c->token->has_subject) {
        rec.subject = c->token->person;
        rec.side = side_make(r, c, t, NULL);
        if (!rec.side.n)
            return ERR_LIMIT;
    }
    return append(r, &rec, call);
}

void record_refusal(struct record_lane *r, const struct record_call *c, enum gw_code code)
{
    struct journal_entry e;
    struct record_ticket t;
    const struct told *why = told_of(code);
    if (!why || !c->token->has_subject)
        return;
    leaf_begin(r, &e, c, &t, "exchange.refused");
    journal_entry_str(&e, "code", str_from(gw_fault(code)->code));
    journal_entry_field(&e, STR("request"), c->target);
    if (journal_entry_end(&e) != ERR_OK)
        return;
    struct journal_record rec = {.id = str_of(t.id, ID_LEN),
                                 .leaf = buf_str(&r->leaf),
                                 .subject = c->token->person,
                                 .side = side_make(r, c, &t, why)};
    /* The refusal stands whether it is written or not: no data left. */
    if (rec.side.n && append(r, &rec, NULL) != ERR_OK)
        return;
}

void record_fields_clear(struct record_fields *f)
{
    buf_reset(f->values);
    f->n = 0;
    f->more = false;
    memset(f->first, 0, sizeof f->first);
}

void record_field_seen(void *record_fields, size_t path_index, struct str raw_value)
{
    struct record_fields *f = record_fields;
    if (f->n == COUNT_OF(f->list)) {
        f->more = true;
        return;
    }
    f->list[f->n].from = (uint32_t)f->values->n;
    f->list[f->n].n = (uint32_t)raw_value.n;
    f->list[f->n].next = 0;
    buf_add_str(f->values, raw_value);
    uint32_t place = (uint32_t)++f->n;
    if (f->first[path_index])
        f->list[f->last[path_index] - 1].next = place;
    else
        f->first[path_index] = place;
    f->last[path_index] = place;
}

/* All values of a path, joined by zeros: no JSON text holds one. */
static struct str path_values(struct record_lane *r, const struct record_fields *f, size_t path)
{
    uint32_t place = f->first[path];
    struct str one = str_of(f->values->p + f->list[place - 1].from, f->list[place - 1].n);
    if (!f->list[place - 1].next)
        return one;
    buf_reset(&r->joined);
    for (; place; place = f->list[place - 1].next) {
        if (r->joined.n)
            buf_add_char(&r->joined, '\0');
        buf_add(&r->joined, f->values->p + f->list[place - 1].from, f->list[place - 1].n);
    }
    return buf_str(&r->joined);
}

static void outcome_fields(struct record_lane *r, struct journal_entry *e,
                           const struct record_end *end)
{
    for (size_t i = 0; i < end->k->n_fields; i++)
        if (end->fields->first[i])
            journal_entry_field(e, end->k->fields[i].path, path_values(r, end->fields, i));
}

STAGE_AT(outcome);
void record_outcome(struct record_lane *r, const struct record_ticket *t,
                    const struct record_end *end)
{
    struct journal_entry e;
    struct journal_record rec = {0};
    char id[ID_LEN + 1];
    id_new(id);
    journal_entry_start(&e, &r->leaf, id, clock_now_ms(), "exchange.outcome", t->salt);
    journal_entry_str(&e, "ref", str_of(t->id, ID_LEN));
    journal_entry_i64(&e, "status", end->status);
    if (end->code)
        journal_entry_str(&e, "code", str_from(end->code));
    journal_entry_i64(&e, "bytes", (int64_t)end->bytes);
    journal_entry_i64(&e, "took_us", end->took_us);
    if (end->cached)
        journal_entry_i64(&e, "age_s", (int64_t)end->age_s);
    if (end->fields && end->fields->more)
        journal_entry_json(&e, "more_fields", STR("true"));
    if (end->fields)
        outcome_fields(r, &e, end);
    if (journal_entry_end(&e) != ERR_OK)
        return;
    rec.id = str_of(id, ID_LEN);
    rec.leaf = buf_str(&r->leaf);
    /* A decision without an outcome says: the outcome is not known. Nothing else depends on it. */
    if (append(r, &rec, NULL) != ERR_OK)
        return;
}
