/* A family fund that speaks REST/JSON, and a tax office whose service is older: XML over HTTP, put
 * behind an adapter that its own staff would run. The person comes in the gateway's Socle-Subject
 * header, base64url JSON of the pivot identity; the bodies match it to their own files. */
#include "demo/bodies.h"

#include "base/codec.h"
#include "base/log.h"
#include "data/fold.h"
#include "data/json.h"
#include "data/xml.h"
#include "web/assets.h"
#include "web/client.h"
#include "web/form.h"

/* The body's own file: demo/data/people.json, {"people":[{family_name, birthdate, famille{},
 * adresse{}}]}. */
static json_t *people, *registered;

static enum err people_open(void)
{
    enum err e = json_read(asset_get("demo/data/people.json"), &people, NULL);
    return e == ERR_OK ? json_read(asset_get("demo/data/register.json"), &registered, NULL) : e;
}

static const json_t *person_find(struct arena *a, struct str family_name, struct str birthdate)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_get(people, "people"), i, p)
    {
        struct str want = text_fold(a, json_get_str(p, "family_name"));
        if (str_eq(want, text_fold(a, family_name)) &&
            str_eq(json_get_str(p, "birthdate"), birthdate))
            return p;
    }
    return NULL;
}

static enum err pivot_read(struct web_request *rq, json_t **pivot)
{
    struct str raw, header = http_header_get(rq->head, "Socle-Subject");
    if (!header.p || codec_base64url(rq->arena, header, &raw) != ERR_OK)
        return ERR_INVALID;
    return json_read(raw, pivot, NULL);
}

static void unknown(struct web_response *rs)
{
    demo_json(rs, 404, STR("{\"title\":\"Personne inconnue de cet organisme\",\"status\":404}"));
}

/* ---- civil register: POST /etat-civil/v1 (docs/formats/civil-register.md)
 * ------------------------
 */
/* demo/data/register.json names who is found otherwise than exactly; whoever else there is, is. */
static void civil_register(struct web_request *rq, struct web_response *rs)
{
    json_t *q = NULL, *p;
    size_t i;
    json_t *said = json_pack("{s:i,s:i,s:b}", "v", 1, "code", 2, "deceased", 0);
    if (json_read(rq->body, &q, NULL) != ERR_OK)
        json_object_set_new(said, "code", json_integer(9));
    json_array_foreach(json_get(registered, "persons"), i, p)
    {
        if (!str_eq(json_get_str(q, "family_name"), json_get_str(p, "family_name")) ||
            !str_eq(json_get_str(q, "birthdate"), json_get_str(p, "birthdate")))
            continue;
        json_object_set(said, "code", json_get(p, "code"));
        json_object_set(said, "deceased", json_get(p, "deceased"));
    }
    demo_json(rs, 200, json_text(rq->arena, said));
    json_decref(said);
    json_decref(q);
}

/* ---- family fund: GET /v1/foyer ----------------------------------------------------------------
 */
static void family(struct web_request *rq, struct web_response *rs, void *arg)
{
    json_t *pivot = NULL;
    (void)arg;
    if (str_eq_z(rq->path, "/etat-civil/v1") && rq->method == HTTP_POST) {
        civil_register(rq, rs);
        return;
    }
    if (!str_eq_z(rq->path, "/v1/foyer") || rq->method != HTTP_GET) {
        demo_json(rs, 404, STR("{\"title\":\"Pas de telle ressource\",\"status\":404}"));
        return;
    }
    if (pivot_read(rq, &pivot) != ERR_OK) {
        demo_json(rs, 401, STR("{\"title\":\"Appel sans identité\",\"status\":401}"));
        return;
    }
    const json_t *p = person_find(rq->arena, json_get_str(pivot, "family_name"),
                                  json_get_str(pivot, "birthdate"));
    const json_t *data = p ? json_get(p, "famille") : NULL;
    if (data)
        demo_json(rs, 200, json_text(rq->arena, data));
    else
        unknown(rs);
    json_decref(pivot);
}

static unsigned port_of(const struct settings *s, unsigned plus)
{
    return (unsigned)s->port + plus;
}

int demo_family_main(struct proc *self, void *settings)
{
    if (people_open() != ERR_OK)
        return 1;
    return demo_serve(self, settings, DEMO_PORT_FAMILY, family, settings);
}

/* ---- tax office, the older service: GET /ws/adresse.do?NOM=..&DNAIS=.. -> XML -------------------
 */
static void xml_element(struct buf *b, const char *name, const json_t *from, const char *key)
{
    buf_printf(b, "    <%s>", name);
    buf_add_html(b, json_get_str(from, key));
    buf_printf(b, "</%s>\n", name);
}

static void tax_xml(struct web_request *rq, struct web_response *rs, void *arg)
{
    struct form q;
    (void)arg;
    rs->status = 400;
    web_header(rs, "Content-Type", STR("application/xml; charset=utf-8"));
    if (!str_eq_z(rq->path, "/ws/adresse.do") || form_read(rq->arena, rq->query, &q) != ERR_OK)
        return;
    const json_t *p = person_find(rq->arena, form_get(&q, "NOM"), form_get(&q, "DNAIS"));
    const json_t *a = p ? json_get(p, "adresse") : NULL;
    struct buf *b = &rs->body;
    rs->status = 200;
    buf_add_z(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Reponse version=\"1.4\">\n");
    buf_printf(b, "  <CodeRetour>%s</CodeRetour>\n", a ? "00" : "12");
    if (a) {
        buf_add_z(b, "  <FoyerFiscal>\n");
        xml_element(b, "NumVoie", a, "numero");
        xml_element(b, "LibVoie", a, "voie");
        xml_element(b, "CodePostal", a, "code_postal");
        xml_element(b, "CodeInsee", a, "code_commune");
        xml_element(b, "LibCommune", a, "commune");
        xml_element(b, "DateEffet", a, "depuis");
        xml_element(b, "RevFiscRef", a, "revenu_fiscal_reference");
        xml_element(b, "DateMaj", a, "date_mise_a_jour");
        buf_add_z(b, "  </FoyerFiscal>\n");
    }
    buf_add_z(b, "</Reponse>\n");
}

int demo_tax_xml_main(struct proc *self, void *settings)
{
    if (people_open() != ERR_OK)
        return 1;
    return demo_serve(self, settings, DEMO_PORT_TAX_XML, tax_xml, settings);
}

/* ---- the adapter before it: GET /v1/adresse -> JSON --------------------------------------------
 */
static struct str adapted(struct arena *a, const struct xml_node *f)
{
    struct buf b;
    struct jw w;
    buf_init(&b, 16 * 1024);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_key(&w, "adresse");
    jw_obj(&w);
    jw_kz(&w, "numero", xml_text(f, "NumVoie"));
    jw_kz(&w, "voie", xml_text(f, "LibVoie"));
    jw_kz(&w, "code_postal", xml_text(f, "CodePostal"));
    jw_kz(&w, "code_commune", xml_text(f, "CodeInsee"));
    jw_kz(&w, "commune", xml_text(f, "LibCommune"));
    jw_end(&w);
    jw_kz(&w, "depuis", xml_text(f, "DateEffet"));
    jw_kz(&w, "revenu_fiscal_reference", xml_text(f, "RevFiscRef"));
    jw_kz(&w, "date_mise_a_jour", xml_text(f, "DateMaj"));
    jw_end(&w);
    struct str s = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return s;
}

static void tax(struct web_request *rq, struct web_response *rs, void *arg)
{
    const struct settings *s = arg;
    json_t *pivot = NULL;
    struct xml_node *root;
    struct client_answer answer;
    if (!str_eq_z(rq->path, "/v1/adresse") || pivot_read(rq, &pivot) != ERR_OK) {
        demo_json(rs, 404, STR("{\"title\":\"Pas de telle ressource\",\"status\":404}"));
        return;
    }
    struct str url =
        arena_printf(rq->arena, "http://127.0.0.1:%u/ws/adresse.do", port_of(s, DEMO_PORT_TAX_XML));
    url = url_with(rq->arena, url, "NOM", json_get_str(pivot, "family_name"));
    url = url_with(rq->arena, url, "DNAIS", json_get_str(pivot, "birthdate"));
    json_decref(pivot);
    struct client_call call = {.url = url, .timeout_ms = 3000, .allow_inside = true};
    if (client_send(rq->arena, &call, &answer) != ERR_OK || answer.status != 200 ||
        xml_read(rq->arena, answer.body, 64 * 1024, &root) != ERR_OK) {
        demo_json(rs, 502, STR("{\"title\":\"Le service fiscal ne répond pas\",\"status\":502}"));
        return;
    }
    const struct xml_node *f = xml_child(root, "FoyerFiscal");
    if (f)
        demo_json(rs, 200, adapted(rq->arena, f));
    else
        unknown(rs);
}

int demo_tax_main(struct proc *self, void *settings)
{
    client_global_start();
    return demo_serve(self, settings, DEMO_PORT_TAX, tax, settings);
}
