#include "core/exchange/record.h"

#include <stdlib.h>
#include "base/clock.h"
#include "crypto/seal.h"
#include "data/json.h"

enum { SIDE_MAX = 48 * 1024 };

struct record_lane {
    struct journal_async *journal;
    struct loop *loop;
    struct loop_timer flush; /* at once: timers run after the turn's events */
    bool flush_set;
    struct buf leaf, side;
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

/* The person's copy: docs/formats/exchange-side.md. */
static struct str side_make(struct record_lane *r, const struct record_call *c,
                            const struct record_ticket *t, const char *reason)
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
    if (reason) {
        buf_add_z(b, ",\"decision\":\"refused\",\"reason\":");
        buf_add_z(b, reason);
    }
    buf_add_char(b, '}');
    arena_reset(&r->work);
    return b->err == ERR_OK
               ? seal(&r->work, c->token->subject_key, STR("journal.side"), buf_str(b))
               : STR_NONE;
}

enum err record_decision(struct record_lane *r, const struct record_call *c,
                         struct record_ticket *t, struct journal_call *call)
{
    struct journal_entry e;
    struct journal_record rec = {0};
    id_new(t->id);
    journal_entry_start(&e, &r->leaf, t->id, c->at_ms, "exchange.decision", NULL);
    memcpy(t->salt, e.salt, sizeof t->salt);
    journal_entry_ready(&e, c->k->entry_common);
    journal_entry_str(&e, "consent", c->consent);
    journal_entry_str(&e, "trace", str_from(c->trace_id));
    if (c->token->has_subject)
        journal_entry_subject(&e, c->token->person);
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
    if (c->token->has_subject) {
        rec.subject = c->token->person;
        rec.side = side_make(r, c, t, NULL);
        if (!rec.side.n)
            return ERR_LIMIT;
    }
    return append(r, &rec, call);
}

void record_refused(struct record_lane *r, const struct record_call *c, const char *code,
                    const char *reason)
{
    struct journal_entry e;
    struct journal_record rec = {0};
    struct record_ticket t;
    id_new(t.id);
    journal_entry_start(&e, &r->leaf, t.id, c->at_ms, "exchange.refused", NULL);
    memcpy(t.salt, e.salt, sizeof t.salt);
    journal_entry_ready(&e, c->k->entry_common);
    journal_entry_str(&e, "consent", c->consent);
    journal_entry_str(&e, "code", str_from(code));
    journal_entry_str(&e, "trace", str_from(c->trace_id));
    journal_entry_subject(&e, c->token->person);
    if (journal_entry_end(&e) != ERR_OK)
        return;
    rec.id = str_of(t.id, ID_LEN);
    rec.leaf = buf_str(&r->leaf);
    rec.subject = c->token->person;
    rec.side = side_make(r, c, &t, reason);
    /* The answer is a refusal whether or not this is kept: nothing was delivered. */
    if (rec.side.n && append(r, &rec, NULL) != ERR_OK)
        return;
}

void record_field_seen(void *record_fields, size_t path_index, struct str raw_value)
{
    struct record_fields *f = record_fields;
    if (f->n == COUNT_OF(f->list)) {
        f->more = true;
        return;
    }
    f->list[f->n].path_index = path_index;
    f->list[f->n].from = f->values->n;
    buf_add_str(f->values, raw_value);
    f->list[f->n++].to = f->values->n;
}

static void outcome_fields(struct journal_entry *e, const struct record_end *end)
{
    const struct record_fields *f = end->fields;
    for (size_t i = 0; i < f->n; i++)
        journal_entry_field(e, end->k->fields[f->list[i].path_index].path,
                            str_of(f->values->p + f->list[i].from,
                                   f->list[i].to - f->list[i].from));
}

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
    if (end->fields && end->fields->more)
        journal_entry_json(&e, "more_fields", STR("true"));
    if (end->fields)
        outcome_fields(&e, end);
    if (journal_entry_end(&e) != ERR_OK)
        return;
    rec.id = str_of(id, ID_LEN);
    rec.leaf = buf_str(&r->leaf);
    /* A decision without an outcome says: the outcome is not known. Nothing else depends on it. */
    if (append(r, &rec, NULL) != ERR_OK)
        return;
}
