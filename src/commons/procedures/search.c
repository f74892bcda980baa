/* Finding a procedure in plain words: no engine, a few hundred procedures of some fifty words each
 * are compared one by one, which costs less than asking anything else. A word is forgiven its
 * accents, its plural, its ending, and a slip of the finger or two according to its length. */
#include "commons/procedures/procedures.h"

#include <stdlib.h>
#include "data/fold.h"
#include "web/pages.h"

enum { WORDS_MAX = 400, QUERY_MAX = 12, WORD_N_MAX = 32, RESULTS_MAX = 50, FULL = 100 };

struct search_word {
    struct str word;
    int weight;
};
struct search_index {
    struct arena arena;
    struct search_word *words;
    size_t n;
};

/* Words that say nothing of what is looked for, in either language, folded. */
static bool is_filler(struct str w)
{
    static const char *const fillers[] = {
        "a",     "ai",   "an",  "and",  "as",      "at",       "au",   "aux",  "avec", "avoir",
        "c",     "can",  "ce",  "ces",  "comment", "d",        "dans", "de",   "des",  "do",
        "du",    "elle", "en",  "est",  "et",      "faire",    "for",  "from", "get",  "have",
        "how",   "i",    "il",  "in",   "is",      "j",        "je",   "l",    "la",   "le",
        "les",   "leur", "ma",  "me",   "mes",     "moi",      "mon",  "my",   "need", "notre",
        "nous",  "of",   "on",  "ou",   "our",     "par",      "pas",  "pour", "qu",   "que",
        "qui",   "s",    "se",  "ses",  "si",      "son",      "suis", "sur",  "t",    "the",
        "to",    "un",   "une", "veux", "ve",      "voudrais", "vous", "want", "we",   "with",
        "would", "y",    "you", "your",
    };
    for (size_t i = 0; i < COUNT_OF(fillers); i++)
        if (str_eq_z(w, fillers[i]))
            return true;
    return false;
}

static void add_text(struct search_index *x, struct str text, int weight)
{
    struct str rest = text_fold(&x->arena, text), word;
    while (rest.n && str_split(&rest, ' ', &word))
        if (word.n <= WORD_N_MAX && x->n < WORDS_MAX && !is_filler(word))
            x->words[x->n++] = (struct search_word){word, weight};
}

static void add_both(struct search_index *x, const json_t *two, int weight)
{
    add_text(x, json_get_str(two, "fr"), weight);
    add_text(x, json_get_str(two, "en"), weight);
}

struct search_index *search_index_new(const struct procedure *p)
{
    static const char *const langs[] = {"fr", "en"};
    struct search_index *x = calloc(1, sizeof *x);
    size_t i;
    json_t *k;
    if (!x)
        abort();
    arena_init(&x->arena);
    x->words = arena_array(&x->arena, struct search_word, WORDS_MAX);
    add_both(x, json_get(p->def, "title"), 5);
    for (size_t l = 0; l < COUNT_OF(langs); l++) {
        json_array_foreach(json_get(json_get(p->def, "keywords"), langs[l]), i, k)
        {
            add_text(x, str_of(json_string_value(k), json_string_length(k)), 4);
        }
    }
    add_both(x, json_get(p->def, "summary"), 1);
    add_text(x, str_from(p->org), 1);
    return x;
}

/* ---- how alike two words are --------------------------------------------------------------------
 */
/* Without the plural: "aides" and "aide", "travaux" and "traval", which is enough to meet
 * "travail". */
static struct str singular(struct str w)
{
    if (w.n > 4 && str_ends(w, STR("aux")))
        return str_sub(w, 0, w.n - 1);
    if (w.n > 3 && (w.p[w.n - 1] == 's' || w.p[w.n - 1] == 'x'))
        return str_sub(w, 0, w.n - 1);
    return w;
}

/* Same beginning of four letters or more, of which little is left over: "demenage", "demenagement".
 */
static bool same_stem(struct str a, struct str b)
{
    size_t shorter = a.n < b.n ? a.n : b.n, n = 0;
    while (n < shorter && a.p[n] == b.p[n])
        n++;
    return n >= 4 && n + 2 >= shorter && n * 2 >= a.n && n * 2 >= b.n;
}

/* 0 to FULL. Numbers and words of three letters must be right. */
static int likeness(struct str asked, struct str have)
{
    struct str a = singular(asked), b = singular(have);
    if (str_eq(asked, have))
        return FULL;
    if (str_eq(a, b))
        return 95;
    if (a.n < 4 || b.n < 3)
        return 0;
    if (same_stem(a, b))
        return 75;
    int most = a.n >= 8 ? 2 : 1;
    int d = text_distance(a, b, most);
    if (d <= most)
        return 80 - 10 * d;
    /* a slip in the beginning of a longer word: "demenagm" for "demenagement" */
    if (b.n > a.n && a.n >= 6 && text_distance(a, str_sub(b, 0, a.n), 1) <= 1)
        return 55;
    return 0;
}

int search_score(const struct search_index *x, struct str folded)
{
    struct str rest = folded, word;
    int score = 0, asked = 0, found = 0;
    while (rest.n && asked < QUERY_MAX && str_split(&rest, ' ', &word)) {
        int best = 0, alike = 0;
        if (is_filler(word) || word.n > WORD_N_MAX)
            continue;
        asked++;
        for (size_t i = 0; i < x->n; i++) {
            int l = likeness(word, x->words[i].word);
            if (l * x->words[i].weight > best) {
                best = l * x->words[i].weight;
                alike = l;
            }
        }
        found += alike > 0;
        score += best;
    }
    return found * 2 >= asked ? score : 0;
}

/* ---- the call ----------------------------------------------------------------------------------
 */
struct hit {
    const struct procedure *p;
    int score;
};

static int better_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return x->score != y->score ? y->score - x->score : strcmp(x->p->id, y->p->id);
}

static json_t *hit_json(struct ctx *c, const struct procedure *p)
{
    struct site *site = site_of_org(c->arena, str_from(p->org));
    if (!site)
        return NULL; /* its organisation has no site here */
    struct str url =
        arena_printf(c->arena, STR_FMT "/demarches/%s", STR_ARG(site->base_url), p->id);
    return json_pack("{s:s,s:O,s:O,s:{s:s#,s:s#},s:s#}", "id", p->id, "title",
                     json_get(p->def, "title"), "summary", json_get(p->def, "summary"), "org_name",
                     "fr", site->name_fr.p, (int)site->name_fr.n, "en", site->name_en.p,
                     (int)site->name_en.n, "url", url.p, (int)url.n);
}

enum err call_search(struct ctx *c, const json_t *args, json_t **out)
{
    struct str asked = str_trim(json_get_str(args, "q"));
    struct str q = text_fold(c->arena, str_sub(asked, 0, 400));
    const struct procedure *p;
    size_t n = 0;
    for (size_t i = 0; procedure_at(i); i++)
        n++;
    struct hit *hits = arena_array(c->arena, struct hit, n + 1);
    n = 0;
    for (size_t i = 0; (p = procedure_at(i)) != NULL; i++) {
        int score = asked.n ? search_score(p->index, q) : 1;
        if (score > 0)
            hits[n++] = (struct hit){p, score};
    }
    qsort(hits, n, sizeof *hits, better_first);
    json_t *items = json_array();
    for (size_t i = 0; i < n && i < RESULTS_MAX; i++) {
        json_t *item = hit_json(c, hits[i].p);
        if (item)
            json_array_append_new(items, item);
    }
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* ---- dossiers of a person, for her account ------------------------------------------------------
 */
static json_t *of_sub_json(struct ctx *c, const struct site *site, const struct dossier_row *d)
{
    bool draft = d->state == DOSSIER_DRAFT;
    struct str key = arena_printf(c->arena, "state.%s", dossier_state_name(d->state));
    struct str fr = pages_text(c->arena, "procedures", key.p, "fr", NULL);
    struct str en = pages_text(c->arena, "procedures", key.p, "en", NULL);
    struct str url = arena_printf(c->arena, STR_FMT "/dossiers/" STR_FMT, STR_ARG(site->base_url),
                                  STR_ARG(d->id));
    return json_pack("{s:s#,s:s#,s:O,s:s,s:{s:s#,s:s#},s:{s:s#,s:s#},s:I,s:s#}", "id", d->id.p,
                     (int)d->id.n, "number", d->number.p, draft ? 0 : (int)d->number.n, "procedure",
                     json_get(d->procedure->def, "title"), "state", dossier_state_name(d->state),
                     "state_label", "fr", fr.p, (int)fr.n, "en", en.p, (int)en.n, "org_name", "fr",
                     site->name_fr.p, (int)site->name_fr.n, "en", site->name_en.p,
                     (int)site->name_en.n, "updated_at", (json_int_t)d->updated_ms, "url", url.p,
                     (int)url.n);
}

enum err call_of_sub(struct ctx *c, const json_t *args, json_t **out)
{
    struct dossier_row *rows;
    size_t n;
    struct site *site = site_of_client(c->arena, json_get_str(args, "client_id"));
    *out = json_pack("{s:[]}", "items");
    if (!site)
        return ERR_OK;
    enum err e = dossiers_mine(c, site->host, json_get_str(args, "sub"), &rows, &n);
    for (size_t i = 0; e == ERR_OK && i < n; i++)
        json_array_append_new(json_get(*out, "items"), of_sub_json(c, site, &rows[i]));
    return e;
}
