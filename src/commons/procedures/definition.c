/* Definitions come from the services' folders compiled into the program. A wrong one stops the
 * start: better than a procedure that fails a citizen at its third page. */
#include "commons/procedures/procedures.h"

#include <stdio.h>
#include "base/log.h"
#include "web/assets.h"

enum { PROCEDURES_MAX = 256 };
static struct procedure list[PROCEDURES_MAX];
static size_t n_list;

static enum err refuse(const char *path, const char *why)
{
    log_error("procedure_refused", "file", path, "why", why);
    return ERR_INVALID;
}

static enum err load_one(const struct asset *a)
{
    static char folders[PROCEDURES_MAX][128];
    struct procedure *p = &list[n_list];
    struct json_fault fault;
    char path[256];
    char *folder = folders[n_list];
    size_t n = strlen(a->path) - strlen("/service.json");
    if (n_list == PROCEDURES_MAX || n >= sizeof folders[0])
        return refuse(a->path, "too many procedures, or a name too long");
    memcpy(folder, a->path, n);
    folder[n] = '\0';
    *p = (struct procedure){.folder = folder};
    if (json_read(str_of(a->data, a->size), &p->def, &fault) != ERR_OK)
        return refuse(a->path, fault.text);
    p->id = json_get_z(p->def, "id", NULL);
    p->org = json_get_z(p->def, "org", NULL);
    p->version = (int)json_get_i64(p->def, "version", 0);
    if (!p->id || !p->org || p->version < 1)
        return refuse(a->path, "id, org or version is missing");
    snprintf(path, sizeof path, "%s/forms/%s.json", folder, json_get_z(p->def, "form", ""));
    if (json_read(asset_get(path), &p->form, &fault) != ERR_OK)
        return refuse(path, fault.text);
    p->n_steps = json_array_size(json_get(p->form, "steps"));
    if (p->n_steps == 0)
        return refuse(path, "no steps");
    n_list++;
    return ERR_OK;
}

enum err definitions_load(void)
{
    const struct asset *a;
    size_t at = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && (a = asset_next("services/", &at)) != NULL)
        if (str_ends(str_from(a->path), STR("/service.json")))
            e = load_one(a);
    return e;
}

const struct procedure *procedure_find(struct str id)
{
    for (size_t i = 0; i < n_list; i++)
        if (str_eq_z(id, list[i].id))
            return &list[i];
    return NULL;
}

const struct procedure *procedure_at(size_t i)
{
    return i < n_list ? &list[i] : NULL;
}

const char *def_text(const struct ctx *c, const json_t *two)
{
    return json_get_z(two, c->lang, "");
}

json_t *procedure_step(const struct procedure *p, size_t step)
{
    return json_array_get(json_get(p->form, "steps"), step);
}
