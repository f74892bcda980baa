#include "platform/metrics.h"

#include <arpa/inet.h>
#include "base/clock.h"
#include "platform/change.h"
#include "platform/mail_inner.h"
#include "sys/resolve.h"

static const struct web_server *server;

void metrics_set_server(const struct web_server *s)
{
    server = s;
}

static void line(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
               (unsigned long long)v);
}

/* The journal and who watches it; nothing where there is no such service. */
static void journal_lines(struct ctx *c, struct buf *b)
{
    json_t *d = NULL, *node;
    size_t i, bad = 0;
    if (platform_call(c, "trust.state", NULL, &d) != ERR_OK)
        return;
    json_array_foreach(json_get(d, "nodes"), i, node)
    {
        bad += strcmp(json_get_z(node, "state", ""), "good") != 0;
    }
    line(b, "socle_journal_entries", "gauge", "Entries that a checkpoint covers.",
         (uint64_t)json_get_i64(d, "entries", 0));
    line(b, "socle_journal_published", "gauge", "Entries that the published checkpoint covers.",
         (uint64_t)json_get_i64(d, "published", 0));
    line(b, "socle_journal_witnesses_signed", "gauge", "Witnesses that signed it.",
         (uint64_t)json_get_i64(d, "signed", 0));
    line(b, "socle_journal_witness_quorum", "gauge", "Witnesses that must have signed.",
         (uint64_t)json_get_i64(d, "quorum", 0));
    line(b, "socle_journal_witness_late", "gauge", "1: the quorum is late by a minute.",
         json_is_true(json_get(d, "late")));
    line(b, "socle_followed_logs_bad", "gauge", "Followed logs that are not good.", bad);
}

enum err metrics_page(struct ctx *c)
{
    struct web_counts n = {0};
    struct buf *b = &c->rs->body;
    struct sockaddr_in probe = {.sin_family = AF_INET};
    char remote[64] = "";
    if (c->rq->remote.n < sizeof remote)
        memcpy(remote, c->rq->remote.p, c->rq->remote.n);
    /* Figures tell outsiders when to strike: only from inside. */
    bool v4 = inet_pton(AF_INET, remote, &probe.sin_addr) == 1;
    if (v4 ? !resolve_is_inside((struct sockaddr *)&probe) : strcmp(remote, "::1") != 0)
        return ERR_NOT_FOUND;
    if (server)
        web_server_counts(server, &n);
    line(b, "socle_connections_open", "gauge", "Connections open.", n.connections_open);
    line(b, "socle_connections_accepted_total", "counter", "Connections accepted.", n.accepted);
    line(b, "socle_requests_total", "counter", "Requests read.", n.requests);
    line(b, "socle_requests_fast_total", "counter", "Requests on the fast lane.", n.fast);
    line(b, "socle_requests_refused_total", "counter", "Requests the engine refused.", n.refused);
    line(b, "socle_bytes_in_total", "counter", "Bytes received.", n.bytes_in);
    line(b, "socle_bytes_out_total", "counter", "Bytes sent.", n.bytes_out);
    line(b, "socle_handler_queue", "gauge", "Requests waiting for a handler.", n.queue_length);
    buf_add_z(b,
              "# HELP socle_answers_total Answers by class.\n# TYPE socle_answers_total counter\n");
    for (int i = 1; i < 6; i++)
        buf_printf(b, "socle_answers_total{class=\"%dxx\"} %llu\n", i,
                   (unsigned long long)n.by_status[i]);
    line(b, "socle_change_age_ms", "gauge", "Age of the last confirmed change poll.",
         (uint64_t)(clock_mono_ms() - change_confirmed_ms()));
    mail_metrics(c, b);
    journal_lines(c, b);
    web_header(c->rs, "Content-Type", STR("text/plain; version=0.0.4"));
    return ERR_OK;
}
