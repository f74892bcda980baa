#include "platform/retention.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/rand.h"
#include "journal/journal.h"

enum { MONTHS_MAX = 1200, KIND_LEN_MAX = 64, CALLS_A_TURN = 20, WAIT_MS = 30000 };
enum { SOON_MS = 10 * 1000, DAY_MS = 86400 * 1000 };

struct rule {
    struct str kind;
    uint64_t months;
};

/* Takes one off the list. ERR_NOT_FOUND: none is left; ERR_INVALID: it is no rule. */
static enum err rule_next(struct str *rest, struct rule *out)
{
    struct str word = STR("");
    while (rest->n && word.n == 0 && str_split(rest, ' ', &word))
        word = str_trim(word);
    if (word.n == 0)
        return ERR_NOT_FOUND;
    ptrdiff_t eq = str_find_char(word, '=');
    if (eq < 1 || eq > KIND_LEN_MAX || !str_to_u64(str_after(word, (size_t)eq + 1), &out->months) ||
        out->months < 1 || out->months > MONTHS_MAX)
        return ERR_INVALID;
    out->kind = str_sub(word, 0, (size_t)eq);
    return ERR_OK;
}

enum err retention_check(const char *text)
{
    struct rule r;
    struct str rest = str_from(text);
    enum err e;
    while ((e = rule_next(&rest, &r)) == ERR_OK)
        ;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

int64_t retention_months(const struct settings *s, const char *kind)
{
    struct rule r;
    struct str rest = str_from(s->retention);
    while (rule_next(&rest, &r) == ERR_OK)
        if (str_eq_z(r.kind, kind))
            return (int64_t)r.months;
    return 0;
}

/* What was erased is said in the journal itself: the gap in what people read has a reason. */
static enum err say(struct platform *pf, const struct journal_expiry *x, uint64_t rows,
                    int64_t now_ms)
{
    enum { ENTRY_MAX = 512 };
    struct buf b;
    struct journal_entry entry;
    char id[ID_LEN + 1];
    buf_init(&b, ENTRY_MAX);
    id_new(id);
    journal_entry_start(&entry, &b, id, now_ms, "journal.expired", NULL);
    journal_entry_str(&entry, "of", x->kind);
    journal_entry_i64(&entry, "before", x->before_ms);
    journal_entry_i64(&entry, "rows", (int64_t)rows);
    enum err e = journal_entry_end(&entry);
    struct journal_record r = {.leaf = buf_str(&b)};
    if (e == ERR_OK)
        e = journal_append(pf->journal, &r, WAIT_MS, NULL);
    buf_free(&b);
    return e;
}

/* *more: there is more than one turn should take. */
static enum err rule_obey(struct platform *pf, const struct rule *r, int64_t now_ms, bool *more)
{
    struct journal_expiry x = {.kind = r->kind,
                               .before_ms = now_ms - (int64_t)r->months * RETENTION_MONTH_MS};
    uint64_t all = 0, n = JOURNAL_EXPIRE_ROWS;
    enum err e = ERR_OK;
    for (int i = 0; i < CALLS_A_TURN && e == ERR_OK && n >= JOURNAL_EXPIRE_ROWS; i++) {
        n = 0;
        e = journal_expire(pf->journal, &x, WAIT_MS, &n);
        all += n;
    }
    *more |= n >= JOURNAL_EXPIRE_ROWS;
    if (all == 0)
        return e;
    log_info("retention", "rows", LOG_NUM(all), "months", LOG_NUM(r->months));
    enum err said = say(pf, &x, all, now_ms);
    return e == ERR_OK ? said : e;
}

enum err retention_sweep(struct platform *pf, int64_t now_ms)
{
    static int64_t next_ms; /* jobs alone, in one thread */
    struct rule r;
    struct str rest = str_from(pf->settings->retention);
    bool more = false;
    enum err e = ERR_OK;
    if (now_ms < next_ms)
        return ERR_OK;
    while (e == ERR_OK && (e = rule_next(&rest, &r)) == ERR_OK)
        e = rule_obey(pf, &r, now_ms, &more);
    e = e == ERR_NOT_FOUND ? ERR_OK : e;
    next_ms = now_ms + (more || e != ERR_OK ? SOON_MS : DAY_MS);
    return e;
}
