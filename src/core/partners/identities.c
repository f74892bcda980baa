/* The demonstration provider's accounts, each with what it is for: identities of every shape. */
#include "core/partners/partners.h"

#include "web/assets.h"

static void add(struct ctx *c, json_t *list, const char *file)
{
    json_t *doc, *a;
    size_t i;
    if (json_read(asset_get(file), &doc, NULL) != ERR_OK)
        return;
    json_own(&c->pool, doc);
    json_array_foreach(json_get(doc, "accounts"), i, a)
    {
        json_t *one = json_copy(a);
        json_object_del(one, "argon2id");
        json_array_append_new(list, one);
    }
}

json_t *identities_list(struct ctx *c)
{
    json_t *list = json_own(&c->pool, json_array());
    if (c->pf->settings->demo) {
        add(c, list, "demo/data/identities.json");
        add(c, list, "demo/data/accounts.json");
    }
    return list;
}
