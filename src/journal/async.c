/* The client of an event loop. Records are written straight into a message under way; at the turn's
 * end it is sent, and stays as it is until its answer comes, so that it can be sent again when the
 * journal process was started anew. The messages are a ring: answered in the order they were sent,
 * save for a repeat. When all others wait for their answers, the last one goes on gathering: a slow
 * disk makes bigger messages, not refusals, until that one is full too. */
#include <assert.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/rand.h"
#include "journal/wire.h"

enum { MESSAGES = 64 }; /* 8 MB at most: half a second of a busy loop while the disk is slow */

struct message {
    char *payload; /* WIRE_PAYLOAD_MAX; pages are touched as they are needed */
    size_t size, n;
    uint64_t id;
    bool sent, answered;
    struct journal_call *calls[WIRE_RECORDS_MAX]; /* NULL: nobody waits */
};

struct journal_async {
    struct loop_io io; /* first: the handler casts */
    struct loop *loop;
    struct message ring[MESSAGES];
    size_t first, count; /* under way; the one behind them gathers */
    uint64_t next_id;
    bool broken, closed; /* sending failed; all were told so */
    char *in;
};

static struct message *nth(struct journal_async *j, size_t i)
{
    return &j->ring[(j->first + i) % MESSAGES];
}

static struct message *gathering(struct journal_async *j)
{
    return nth(j, j->count);
}

static void message_reset(struct message *m)
{
    m->size = m->n = 0;
    m->sent = m->answered = false;
}

/* ---- sending ----------------------------------------------------------------------------------
 */
static void send_waiting(struct journal_async *j)
{
    bool room = true;
    for (size_t i = 0; i < j->count && room && !j->broken; i++) {
        struct message *m = nth(j, i);
        if (m->sent)
            continue;
        struct chan_head h = {.op = WIRE_APPEND, .id = m->id};
        enum err e = chan_try_send(j->io.fd, &h, str_of(m->payload, m->size));
        m->sent = e == ERR_OK;
        room = e != ERR_AGAIN;
        j->broken = !m->sent && room;
    }
    if (!j->broken)
        loop_io_set(j->loop, &j->io, LOOP_READ | (room ? 0u : LOOP_WRITE));
}

void journal_flush(struct journal_async *j)
{
    struct message *m = gathering(j);
    if (m->n == 0 || j->count == MESSAGES - 1 || j->broken || j->closed)
        return; /* the answer that frees a message sends this one */
    m->id = j->next_id++;
    j->count++;
    message_reset(gathering(j));
    send_waiting(j);
}

enum err journal_append_async(struct journal_async *j, const struct journal_record *r,
                              struct journal_call *call)
{
    size_t size;
    enum err e = wire_check(r, &size);
    if (e != ERR_OK)
        return e;
    if (j->broken || j->closed)
        return ERR_UNAVAILABLE;
    struct message *m = gathering(j);
    if (m->size + size > WIRE_PAYLOAD_MAX || m->n == WIRE_RECORDS_MAX) {
        if (j->count == MESSAGES - 1)
            return ERR_UNAVAILABLE;
        journal_flush(j);
        m = gathering(j);
    }
    wire_write(m->payload + m->size, r);
    m->size += size;
    m->calls[m->n++] = call;
    return ERR_OK;
}

/* ---- answers ----------------------------------------------------------------------------------
 */
static void hand_over(struct message *m, enum err status, struct str answer)
{
    if (status == ERR_OK && answer.n != m->n * 8)
        status = ERR_INTERNAL;
    for (size_t i = 0; i < m->n; i++) {
        struct journal_call *c = m->calls[i];
        int64_t v = status == ERR_OK ? wire_answer_read(answer, i) : -(int64_t)status;
        enum err e = wire_answer_err(v);
        m->calls[i] = NULL;
        if (e != ERR_OK && !c)
            log_warn("journal_entry_refused", "error", err_name(e)); /* nobody else would say so */
        if (c && c->done)
            c->done(c, e, e == ERR_OK ? (uint64_t)v : UINT64_MAX);
    }
    m->answered = true;
}

static void take_answer(struct journal_async *j, const struct chan_head *h, struct str payload)
{
    for (size_t i = 0; i < j->count; i++) {
        struct message *m = nth(j, i);
        if (m->id != h->id || m->answered)
            continue;
        hand_over(m, h->status < ERR_COUNT ? (enum err)h->status : ERR_INTERNAL, payload);
        break;
    }
    while (j->count > 0 && nth(j, 0)->answered) {
        message_reset(nth(j, 0));
        j->first = (j->first + 1) % MESSAGES;
        j->count--;
    }
}

/* The journal process was started anew: it knows nothing of what it had not made durable. */
static void send_again(struct journal_async *j)
{
    for (size_t i = 0; i < j->count; i++) {
        struct message *m = nth(j, i);
        struct str rest = str_of(m->payload, m->size);
        for (struct wire_record r; m->sent && rest.n && wire_read(&rest, &r) == ERR_OK;)
            m->payload[r.whole.p - m->payload + 1] |= WIRE_REPEAT;
        m->sent = m->answered;
    }
    send_waiting(j);
}

static void fail_all(struct journal_async *j)
{
    j->closed = true;
    loop_io_del(j->loop, &j->io);
    for (size_t i = 0; i <= j->count; i++)
        if (!nth(j, i)->answered)
            hand_over(nth(j, i), ERR_UNAVAILABLE, STR_NONE);
    j->count = 0;
    message_reset(gathering(j));
}

/* False when there is nothing more to take. */
static bool take_message(struct journal_async *j)
{
    struct chan_head h;
    struct str payload;
    enum err e = chan_recv(j->io.fd, 0, j->in, &h, &payload);
    if (e == ERR_CORRUPT)
        log_error("journal_answer_corrupt");
    else if (e == ERR_OK && h.op == CHAN_HELLO)
        send_again(j);
    else if (e == ERR_OK)
        take_answer(j, &h, payload);
    j->broken |= e != ERR_OK && e != ERR_AGAIN && e != ERR_CORRUPT;
    return e == ERR_OK || e == ERR_CORRUPT;
}

static void on_ready(struct loop_io *io, unsigned events)
{
    struct journal_async *j = (struct journal_async *)io;
    bool was_full = j->count == MESSAGES - 1;
    if (events & LOOP_WRITE)
        send_waiting(j);
    for (size_t most = MESSAGES; most > 0 && !j->broken && take_message(j); most--)
        ;
    if (j->broken)
        fail_all(j);
    else if (was_full)
        journal_flush(j); /* what waited for a free message */
}

struct journal_async *journal_async_connect(int fd, struct loop *l)
{
    struct journal_async *j = calloc(1, sizeof *j);
    if (!j || !(j->in = malloc(CHAN_MAX)))
        abort();
    j->io = (struct loop_io){.fn = on_ready, .fd = fd, .events = LOOP_READ};
    j->loop = l;
    rand_bytes(&j->next_id, sizeof j->next_id); /* answers to a process before us are not ours */
    for (size_t i = 0; i < MESSAGES; i++)
        if (!(j->ring[i].payload = malloc(WIRE_PAYLOAD_MAX)))
            abort();
    if (loop_io_add(l, &j->io) != ERR_OK)
        abort(); /* at the start of the loop */
    return j;
}

void journal_async_close(struct journal_async *j)
{
    if (!j)
        return;
    if (!j->closed)
        loop_io_del(j->loop, &j->io);
    for (size_t i = 0; i < MESSAGES; i++)
        free(j->ring[i].payload);
    free(j->in);
    free(j);
}
