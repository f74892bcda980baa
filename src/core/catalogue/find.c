/* Search in plain words over APIs, data and procedures. A few thousand short texts are compared one
 * by one: accents, plurals and slips of the finger are forgiven by data/fold.h, as in the
 * procedures' own search. */
#include "core/catalogue/catalogue.h"

#include <stdlib.h>
#include "data/fold.h"

enum { ASKED_MAX = 10, SHOWN = 20 };

struct asked {
    struct str words[ASKED_MAX];
    size_t n;
};

static void ask(struct arena *a, struct str q, struct asked *out)
{
    struct str rest = text_fold(a, str_sub(q, 0, 300)), word;
    out->n = 0;
    while (rest.n && out->n < ASKED_MAX && str_split(&rest, ' ', &word))
        if (word.n > 2)
            out->words[out->n++] = word;
}

static int like(struct str asked, struct str have)
{
    if (str_eq(asked, have))
        return 10;
    size_t n = asked.n < have.n ? asked.n : have.n;
    if (n >= 4 && memcmp(asked.p, have.p, n) == 0)
        return 7;
    int most = asked.n >= 8 ? 2 : asked.n >= 4 ? 1 : 0;
    int d = most ? text_distance(asked, have, most) : most + 1;
    return d <= most ? 6 - d : 0;
}

/* Each asked word once, by what is most like it. */
static int score(struct arena *a, const struct asked *q, struct str text, int weight)
{
    struct str folded = text_fold(a, str_sub(text, 0, 2000)), word;
    int sum = 0;
    for (size_t i = 0; i < q->n; i++) {
        struct str rest = folded;
        int best = 0;
        while (rest.n && str_split(&rest, ' ', &word)) {
            int l = like(q->words[i], word);
            best = l > best ? l : best;
        }
        sum += best * weight;
    }
    return sum;
}

static int score_two(struct arena *a, const struct asked *q, const json_t *two, int weight)
{
    int fr = score(a, q, json_get_str(two, "fr"), weight);
    int en = score(a, q, json_get_str(two, "en"), weight);
    return fr > en ? fr : en;
}

struct hit {
    json_t *v;
    int score;
};

static int better_first(const void *a, const void *b)
{
    return ((const struct hit *)b)->score - ((const struct hit *)a)->score;
}

/* The best of items, by a weight for each text of theirs. */
static json_t *best(struct ctx *c, const struct asked *q, json_t *items)
{
    size_t i, n = 0;
    json_t *v, *out = json_array();
    struct hit *hits = arena_array(c->arena, struct hit, json_array_size(items) + 1);
    json_array_foreach(items, i, v)
    {
        json_t *names = json_get(v, "names");
        int s = score_two(c->arena, q, json_get(v, "title"), 3) +
                score_two(c->arena, q, json_get(v, "label"), 3) +
                score_two(c->arena, q, json_get(v, "summary"), 1) +
                score(c->arena, q, json_get_str(v, "id"), 2) +
                score(c->arena, q, str_from(json_string_value(names)), 1);
        if (s >= 5)
            hits[n++] = (struct hit){v, s};
    }
    qsort(hits, n, sizeof *hits, better_first);
    for (i = 0; i < n && i < SHOWN; i++)
        json_array_append(out, hits[i].v);
    return out;
}

enum err find_all(struct ctx *c, struct str q, json_t **out)
{
    struct asked asked;
    json_t *apis, *data, *procedures = NULL;
    ask(c->arena, q, &asked);
    enum err e = catalogue_public(c, &apis);
    if (e == ERR_OK)
        e = data_list(c, &data);
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_pack("{s:o, s:o, s:[]}", "apis", best(c, &asked, apis), "data",
                                        best(c, &asked, data), "procedures"));
    json_t *args = json_pack("{s:o, s:s}", "q", jstr(q), "lang", c->lang ? c->lang : "fr");
    if (platform_call(c, "procedures.search", args, &procedures) == ERR_OK)
        json_object_set(*out, "procedures", json_get(procedures, "items"));
    json_decref(args);
    return ERR_OK;
}

enum err catalogue_call_search(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e = find_all(c, json_get_str(args, "q"), out);
    if (e == ERR_OK)
        json_incref(*out);
    return e;
}
