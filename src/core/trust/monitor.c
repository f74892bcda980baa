/* socle journal monitor URL: follows somebody's log from outside, with nothing but what it
 * publishes and what this command kept of it. */
#include "core/trust/trust.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "journal/follow.h"
#include "sys/file.h"
#include "web/client.h"

enum { USAGE = 2, STATE_MAX_BYTES = 128 * 1024, FILE_MAX_BYTES = 16 * 1024 * 1024, ASK_MS = 10000 };

static const char usage[] =
    "usage: socle journal monitor URL [--key KEY] [--state FILE] [--json]\n\n"
    "Looks once at the log that URL publishes (https://.../journal): its signature, that it holds "
    "all\n"
    "that was seen before, and that new entries lead to the signed root. What was seen is kept in\n"
    "FILE; run it again from time to time. Ends with 0 when all is good; with 1, and a word "
    "(fork,\n"
    "rollback, altered, signature, unavailable), when not. Without KEY the log's own key is taken "
    "at\n"
    "the first look, and kept.\n\n"
    "       socle journal monitor --nodes FILE [--state FOLDER] [--json]\n\n"
    "Looks at each log of FILE (a verifier key and a URL a line): all nodes of a platform at "
    "once.\n";

struct monitor {
    struct arena a;
    const struct settings *s;
    const char *url, *key, *state, *nodes;
    bool json;
};

static enum err fetch(void *arg, const char *path, struct arena *a, struct str *out)
{
    struct monitor *m = arg;
    struct client_answer answer;
    struct client_call call = {.url = arena_printf(a, "%s/%s", m->url, path),
                               .timeout_ms = ASK_MS,
                               .answer_max = FILE_MAX_BYTES,
                               .allow_inside = true}; /* the operator's own address */
    enum err e = client_send(a, &call, &answer);
    if (e != ERR_OK)
        return e;
    *out = answer.body;
    return answer.status == 200 ? ERR_OK : answer.status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
}

static bool options_read(struct monitor *m, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            m->json = true;
        else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc)
            m->key = argv[++i];
        else if (strcmp(argv[i], "--state") == 0 && i + 1 < argc)
            m->state = argv[++i];
        else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc)
            m->nodes = argv[++i];
        else if (argv[i][0] != '-' && !m->url)
            m->url = argv[i];
        else
            return false;
    }
    return (m->url != NULL) != (m->nodes != NULL);
}

/* The key: given, or kept, or the log's own word at the first look. */
static enum err begin(struct monitor *m, struct follow *f)
{
    struct str text, line = STR_NONE;
    enum err e = m->state ? file_read(&m->a, m->state, STATE_MAX_BYTES, &text) : ERR_NOT_FOUND;
    *f = (struct follow){0};
    if (e == ERR_OK)
        e = follow_read(&m->a, text, f);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool is_kept = e == ERR_OK;
    if (m->key && strchr(m->key, '+') == NULL)
        e = file_read(&m->a, m->key, NOTE_KEY_MAX, &line);
    else if (m->key)
        line = str_from(m->key), e = ERR_OK;
    else if (is_kept)
        return ERR_OK;
    else
        e = fetch(m, "key", &m->a, &line);
    struct note_key k;
    if (e == ERR_OK)
        e = note_key_read(&m->a, str_trim(line), &k);
    if (e == ERR_OK && is_kept && !str_eq(note_key_line(&m->a, &k), note_key_line(&m->a, &f->key)))
        e = ERR_DENIED; /* what is kept is about another log */
    if (e == ERR_OK)
        f->key = k;
    return e;
}

static void tell(struct monitor *m, const struct follow *f, const struct follow_report *r)
{
    bool good = strcmp(r->state, "good") == 0;
    if (m->json) {
        json_t *j = json_pack("{s:s, s:s#, s:I, s:I, s:s, s:s}", "state", r->state, "origin",
                              f->key.name.p, (int)f->key.name.n, "from", (json_int_t)r->from, "to",
                              (json_int_t)r->to, "file", r->file, "what", r->what);
        printf(STR_FMT "\n", STR_ARG(json_text(&m->a, j)));
        json_decref(j);
    } else if (good) {
        printf("good: " STR_FMT " has %llu entries, %llu of them new\n", STR_ARG(f->key.name),
               (unsigned long long)r->to, (unsigned long long)(r->to - r->from));
        if (!m->key)
            printf("  with the key that the log published: give --key to follow one kept "
                   "elsewhere\n");
    } else {
        printf("NOT GOOD: %s: %s\n  journal " STR_FMT "\n  file    %s\n  seen    %llu entries, now "
               "%llu\n",
               r->state, r->what, STR_ARG(f->key.name), r->file, (unsigned long long)r->from,
               (unsigned long long)r->to);
    }
}

static int monitor(struct monitor *m)
{
    struct follow f;
    struct follow_report r;
    enum err e = begin(m, &f);
    if (e != ERR_OK) {
        fprintf(stderr,
                "socle journal monitor: %s: no key to begin with, or what was kept is "
                "damaged or of another log (%s)\n",
                m->url, err_name(e));
        return 1;
    }
    follow_look(&f, &m->a, fetch, m, &r);
    tell(m, &f, &r);
    if (strcmp(r.state, "good") != 0)
        return 1;
    e = m->state ? file_write_atomic(m->state, follow_print(&m->a, &f), 0600) : ERR_OK;
    if (e != ERR_OK)
        fprintf(stderr, "socle journal monitor: %s: cannot be written (%s)\n", m->state,
                err_name(e));
    return e == ERR_OK ? 0 : 1;
}

/* What was seen of each lies in a file of the folder, named after the log. */
static enum err state_file(struct monitor *m, struct str origin, const char *folder)
{
    struct str name = arena_dup(&m->a, origin);
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9')))
            ((char *)name.p)[i] = '_';
    m->state = arena_printf(&m->a, "%s/" STR_FMT, folder, STR_ARG(name)).p;
    return mkdir(folder, 0700) == 0 || errno == EEXIST ? ERR_OK : ERR_DENIED;
}

static int monitor_all(struct monitor *m)
{
    struct str text = STR_NONE, rest;
    struct trust_witness node;
    const char *folder = m->state;
    int code = 0;
    enum err e = file_read(&m->a, m->nodes, STATE_MAX_BYTES, &text);
    rest = text;
    while (e == ERR_OK && (e = trust_node_next(&m->a, &rest, &node)) == ERR_OK) {
        m->key = arena_dupz(&m->a, node.key_line);
        m->url = arena_dupz(&m->a, node.url);
        if (folder)
            e = state_file(m, node.key.name, folder);
        if (e == ERR_OK && monitor(m) != 0)
            code = 1;
    }
    if (e != ERR_NOT_FOUND || !text.n) {
        fprintf(stderr, "socle journal monitor: %s: a line is malformed, or it cannot be read\n",
                m->nodes);
        return 1;
    }
    return code;
}

int trust_cli_monitor(const struct settings *s, int argc, char **argv)
{
    struct monitor m = {.s = s};
    if (!options_read(&m, argc, argv)) {
        fputs(usage, stderr);
        return USAGE;
    }
    client_global_start();
    arena_init(&m.a);
    int code = m.nodes ? monitor_all(&m) : monitor(&m);
    arena_free(&m.a);
    return code;
}
