/* An API's description (OpenAPI 3.0 or 3.1) as the catalogue reads it: the tree with its lines,
 * references followed, operations and fields walked. What the members named x-socle-* mean stands
 * in docs/formats/api-description.md. */
#ifndef CATALOGUE_DESCRIPTION_H
#define CATALOGUE_DESCRIPTION_H

#include "data/yaml.h"

enum {
    DESC_REF_HOPS = 16,
    DESC_SCHEMA_LEVELS = 12,
    DESC_FIELDS_MAX = 2000,
    DESC_OPS_MAX = 2000,
    DESC_WALK_MAX = 50000, /* schemas looked at, so that a lying description ends */
};

struct desc_op {
    const char *path, *method; /* "/foyer", "get" */
    const json_t *item, *op;
};

struct desc_field {
    struct str path;  /* "foyer.enfants.prenom" */
    const char *type; /* "string", "integer", "object", "array" ... ; "" unknown */
    const char *format;
    struct str label_fr, label_en; /* "" : nobody said what it means */
    const char *concept;           /* x-socle-concept: a name that several sources share; "" none */
    int sensitivity;               /* 0 to 3; -1: not said */
    bool leaf, read, written;
    const json_t *schema;
};

struct description {
    struct yaml_doc doc;
    const json_t *root;
    struct desc_op *ops;
    size_t n_ops;
    struct desc_field *fields;
    size_t n_fields;
    bool fields_cut; /* there were more */
};

/* ERR_INVALID or ERR_LIMIT: not YAML, not JSON, or not an object; fault says where. What else may
 * be wrong with it, rules say (rules.h): a description that breaks rules is still walked. */
enum err desc_read(struct str text, struct description *out, struct json_fault *fault) MUST_CHECK;
void desc_free(struct description *d);

/* The thing itself, or what its $ref leads to inside the document. NULL: nowhere, out of the
 * document, or round in a circle. */
const json_t *desc_ref(const struct description *d, const json_t *node);

/* The line of the first of these that is known. */
int desc_line(const struct description *d, const json_t *node, const json_t *holder);

/* The operation's best answer: of the status asked for, or the first of the 2xx (0); NULL: none.
 * *status_out may be NULL. */
const json_t *desc_answer(const struct description *d, const json_t *op, int status,
                          int *status_out);
/* A JSON media type's object of an answer or a request body; *type (may be NULL) is its name. */
const json_t *desc_media(const struct description *d, const json_t *answer, const char **type);

/* Parameters of the path item and of the operation, references followed; fn gets each. */
typedef void desc_param_fn(void *arg, const json_t *param);
void desc_params(const struct description *d, const struct desc_op *op, desc_param_fn *fn,
                 void *arg);

/* The operation that a path of this API asks for; NULL: none. *other: the path is known with
 * another method. Paths without names come before those with. */
const struct desc_op *desc_match(const struct description *d, const char *method, struct str path,
                                 bool *other);

/* An example of a schema: its own where it has one, else made up from type and format. The caller
 * owns it. */
json_t *desc_example(const struct description *d, const json_t *media);

/* "Composition du foyer" -> "composition-du-foyer": a name for addresses. */
struct str desc_slug(struct arena *a, struct str text);

#endif
