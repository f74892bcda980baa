/* socle traces: search and alerts for scripts. */
#include <stdio.h>

#include "base/clock.h"
#include "core/traces/traces.h"
#include "platform/cli.h"

static const char help[] =
    "usage: socle traces search [WORD ...] [--severity NAME] [--from TIME] [--to TIME]\n"
    "                           [--source ID] [--limit N] [--json]   newest first\n"
    "       socle traces alerts [--all] [--json]\n"
    "       socle traces close ALERT\n"
    "TIME is RFC 3339. Thresholds of alerts: the setting trace_rules.\n";
static const struct cli_option options[] = {{"--severity", false}, {"--from", false},
                                            {"--to", false},       {"--source", false},
                                            {"--limit", false},    {"--all", true}};

static bool query_read(struct cli *r, struct trace_query *q)
{
    uint64_t limit;
    int level = 0;
    const char *severity = cli_value(r, "--severity", "debug");
    const char *from = cli_value(r, "--from", NULL), *to = cli_value(r, "--to", NULL);
    *q = (struct trace_query){.words = STR(""), .source = str_from(cli_value(r, "--source", ""))};
    for (size_t i = 1; i < r->n_words; i++)
        q->words = arena_printf(&r->arena, STR_FMT " %s", STR_ARG(q->words), r->words[i]);
    while (level < 8 && strcmp(trace_severity_names[level], severity) != 0)
        level++;
    q->severity = level;
    if (level == 8 || (from && !clock_rfc3339_read(str_from(from), &q->from_ms)) ||
        (to && !clock_rfc3339_read(str_from(to), &q->to_ms)) ||
        !str_to_u64(str_from(cli_value(r, "--limit", "50")), &limit))
        return false;
    q->limit = (size_t)limit;
    return true;
}

static int search(struct cli *r)
{
    struct trace_query q;
    struct trace_found *found;
    size_t n;
    if (!query_read(r, &q))
        return 2;
    enum err e = trace_search(r->c, &q, &found, &n);
    if (e != ERR_OK)
        return cli_failed(r, "search", e);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct trace_event *ev = &found[i].event;
        json_array_append_new(items, trace_found_json(r->c, &found[i]));
        if (!r->json)
            printf("%s %-7s " STR_FMT " " STR_FMT " " STR_FMT "\n",
                   clock_rfc3339(&r->arena, ev->at_ms, true).p, trace_severity_names[ev->severity],
                   STR_ARG(ev->texts[T_HOST]), STR_ARG(ev->texts[T_APP]),
                   STR_ARG(ev->texts[T_MESSAGE].n ? ev->texts[T_MESSAGE] : ev->texts[T_EVENT]));
    }
    if (r->json)
        cli_print(r, json_pack("{s:o}", "items", items));
    else
        json_decref(items);
    return 0;
}

static int alerts(struct cli *r)
{
    struct trace_alert *list;
    size_t n;
    enum err e = trace_alerts(r->c, cli_has(r, "--all"), &list, &n);
    if (e != ERR_OK)
        return cli_failed(r, "alerts", e);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(items, trace_alert_json(r->c, &list[i]));
        if (!r->json)
            printf(STR_FMT "  %-6.*s  %-20.*s  " STR_FMT "  %lld (usual %lld)\n",
                   STR_ARG(list[i].id), STR_ARG(list[i].state), STR_ARG(list[i].rule),
                   STR_ARG(list[i].group), (long long)list[i].n, (long long)list[i].usual);
    }
    if (r->json)
        cli_print(r, json_pack("{s:o}", "items", items));
    else
        json_decref(items);
    return 0;
}

static int run(struct cli *r)
{
    if (r->n_words >= 1 && strcmp(r->words[0], "search") == 0)
        return search(r);
    if (cli_is(r, "alerts", 1))
        return alerts(r);
    if (!cli_is(r, "close", 2))
        return 2;
    enum err e = trace_alert_close(r->c, str_from(r->words[1]), STR("operator"));
    return e == ERR_OK ? 0 : cli_failed(r, r->words[1], e);
}

int traces_cli(struct platform *pf, int argc, char **argv)
{
    return cli_run(pf, argc, argv, help, options, COUNT_OF(options), run);
}
