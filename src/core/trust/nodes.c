/* Follows the logs of the setting journal_nodes, as `socle journal monitor` does: the other nodes
 * of this platform, or anybody's. What was seen of each is kept; what is not as it was is said in
 * the log, on the page /journal and in the metrics, and stays said until the log is good again. */
#include "core/trust/trust.h"

#include "base/clock.h"
#include "base/log.h"
#include "journal/follow.h"
#include "web/client.h"

enum { EVERY_MS = 10000, ASK_MS = 5000, FILE_MAX_BYTES = 16 * 1024 * 1024 };

struct node {
    struct platform *pf;
    struct arena a;
    struct trust_witness line;
    struct follow follow;
    struct follow_report report;
};

static enum err fetch(void *arg, const char *path, struct arena *a, struct str *out)
{
    struct node *n = arg;
    struct client_answer answer;
    struct client_call call = {.url = arena_printf(a, STR_FMT "/%s", STR_ARG(n->line.url), path),
                               .timeout_ms = ASK_MS,
                               .answer_max = FILE_MAX_BYTES,
                               .allow_inside = n->pf->settings->allow_inside};
    enum err e = client_send(a, &call, &answer);
    if (e != ERR_OK)
        return e;
    *out = answer.body;
    return answer.status == 200 ? ERR_OK : answer.status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE;
}

/* Another key in the file is another log: the operator says so. */
static void begin(struct node *n, struct str *state_before)
{
    struct db_result r;
    struct db_conn *db = db_read(n->pf->db);
    n->follow = (struct follow){.key = n->line.key};
    *state_before = STR("");
    if (!db || db_query_one(db, &n->a, &r, "SELECT kept, state FROM trust_node WHERE url = $1", "s",
                            n->line.url) != ERR_OK)
        return;
    struct follow kept;
    *state_before = arena_dup(&n->a, db_str(&r, 0, 1));
    if (follow_read(&n->a, arena_dup(&n->a, db_str(&r, 0, 0)), &kept) == ERR_OK &&
        str_eq(note_key_line(&n->a, &kept.key), n->line.key_line))
        n->follow = kept;
}

static enum err keep(struct db_conn *db, void *arg)
{
    struct node *n = arg;
    struct str kept = n->follow.note.n ? follow_print(&n->a, &n->follow) : STR("");
    return db_exec(db,
                   "INSERT INTO trust_node(url, origin, kept, state, size, file, what, at) "
                   "VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(url) DO UPDATE SET "
                   "origin = $2, kept = $3, state = $4, size = $5, file = $6, what = $7, at = $8",
                   "ssszizzi", n->line.url, n->line.key.name, kept, n->report.state,
                   (int64_t)n->follow.size, n->report.file, n->report.what, clock_now_ms());
}

static void look(struct node *n)
{
    struct str before;
    begin(n, &before);
    follow_look(&n->follow, &n->a, fetch, n, &n->report);
    if (!str_eq_z(before, n->report.state) && strcmp(n->report.state, "good") != 0)
        log_error("followed_log_is_not_good", "log", arena_dupz(&n->a, n->line.key.name), "state",
                  n->report.state, "file", n->report.file);
    if (db_write(n->pf->db, keep, n) != ERR_OK)
        log_warn("followed_log_not_kept");
}

void trust_follow(struct platform *pf, int64_t now_ms)
{
    static int64_t next_ms; /* of this thread alone */
    struct str rest = pf->settings->journal_nodes_text;
    enum err e = ERR_OK;
    if (!rest.n || now_ms < next_ms)
        return;
    next_ms = now_ms + EVERY_MS;
    while (e != ERR_NOT_FOUND) {
        struct node n = {.pf = pf};
        arena_init(&n.a);
        e = trust_node_next(&n.a, &rest, &n.line);
        if (e == ERR_OK)
            look(&n);
        else if (e != ERR_NOT_FOUND)
            log_error("journal_nodes_line_malformed");
        arena_free(&n.a);
    }
}
