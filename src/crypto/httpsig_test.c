/* The examples of RFC 9421 (appendix B, and those of sections 2.4 and 3.2), as the standard prints
 * them; then what it asks of each component, and what must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/httpsig.h"
#include "data/json.h"

static struct str text_of(const json_t *v)
{
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

static struct httpsig_message message_of(struct arena *a, const json_t *m, const json_t *vector)
{
    const json_t *list = json_object_get(m, "headers"), *pair;
    size_t n = json_array_size(list), i;
    struct httpsig_field *f = arena_array(a, struct httpsig_field, n + 2);
    json_array_foreach((json_t *)list, i, pair) f[i] =
        (struct httpsig_field){text_of(json_array_get(pair, 0)), text_of(json_array_get(pair, 1))};
    if (vector) {
        f[n++] = (struct httpsig_field){STR("Signature-Input"),
                                        text_of(json_object_get(vector, "input"))};
        f[n++] =
            (struct httpsig_field){STR("Signature"), text_of(json_object_get(vector, "signature"))};
    }
    return (struct httpsig_message){
        .method = text_of(json_object_get(m, "method")),
        .scheme = text_of(json_object_get(m, "scheme")),
        .authority = text_of(json_object_get(m, "authority")),
        .path = text_of(json_object_get(m, "path")),
        .query = text_of(json_object_get(m, "query")),
        .status = (int)json_integer_value(json_object_get(m, "status")),
        .headers = {f, n},
    };
}

static void vector(const json_t *keys, const json_t *v)
{
    struct arena a;
    struct jwk *jwk = NULL;
    struct httpsig_list list;
    struct str why = STR(""), base;
    const char *name = json_string_value(json_object_get(v, "name"));
    const json_t *k = json_object_get(keys, json_string_value(json_object_get(v, "key")));
    arena_init(&a);
    struct httpsig_message of = message_of(&a, json_object_get(v, "request"), NULL);
    struct httpsig_message m = message_of(&a, json_object_get(v, "message"), v);
    struct httpsig_key key = {0};
    m.request = &of;
    if (json_is_string(k))
        assert_int_equal(codec_base64(&a, text_of(k), &key.secret), ERR_OK);
    else
        assert_int_equal(jwk_read(k, &jwk), ERR_OK);
    key.jwk = jwk;
    assert_int_equal(httpsig_read(&a, &m, &list, &why), ERR_OK);
    assert_int_equal(list.n, 1);
    if (json_object_get(v, "base") && !json_is_null(json_object_get(v, "base"))) {
        assert_int_equal(httpsig_base(&a, &list.v[0], &m, &base, &why), ERR_OK);
        assert_true(str_eq(base, text_of(json_object_get(v, "base"))));
    }
    struct httpsig_policy policy = {.now_s = 1618884480, .max_age_s = 60};
    enum err e = httpsig_verify(&a, &list.v[0], &m, &key, &policy, &why);
    if (e != (json_is_true(json_object_get(v, "good")) ? ERR_OK : ERR_DENIED))
        fail_msg("%s: %s: " STR_FMT, name, err_name(e), STR_ARG(why));
    if (e == ERR_OK) { /* one bit of the signature turned */
        struct str sig = arena_dup(&a, list.v[0].signature);
        ((char *)sig.p)[sig.n / 2] ^= 1;
        list.v[0].signature = sig;
        assert_int_equal(httpsig_verify(&a, &list.v[0], &m, &key, &policy, &why), ERR_DENIED);
        assert_true(str_eq_z(why, "the signature is not that of this message and key"));
    }
    jwk_free(jwk);
    arena_free(&a);
}

static void the_standards_examples_verify(void **state)
{
    (void)state;
    const char *root = getenv("SOCLE_VECTORS");
    char path[512];
    size_t i;
    snprintf(path, sizeof path, "%s/rfc9421/signatures.json", root ? root : "test/vectors");
    json_t *doc = json_load_file(path, 0, NULL), *one;
    if (!doc)
        skip();
    json_array_foreach(json_object_get(doc, "signatures"), i, one)
        vector(json_object_get(doc, "keys"), one);
    assert_true(i >= 15);
    json_decref(doc);
}

/* --- components, one by one ------------------------------------------------------------------- */

static const struct httpsig_field fields[] = {
    {STR("Host"), STR("www.example.com")},
    {STR("X-Lists"), STR("  one ")},
    {STR("X-Lists"), STR("two, \tthree")},
    {STR("X-Empty"), STR("")},
    {STR("Example-Dict"), STR("a=1,    b=2;x=1;y=2,   c=(a   b   c), d")},
    {STR("Priority"), STR("u=1,   i")},
    {STR("X-Line"), STR("a\nb")},
};
static const struct httpsig_field trailers[] = {
    {STR("Expires"), STR("Wed, 9 Nov 2022 07:28:00 GMT")}};
static const struct httpsig_message asked = {
    .method = STR("GET"),
    .scheme = STR("HTTPS"),
    .authority = STR("WWW.example.com:443"),
    .path = STR("/parameters"),
    .query = STR("var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace"
                 "&fa%C3%A7ade%22%3A%20=something&qux=&dup=1&dup=2"),
    .headers = {fields, COUNT_OF(fields)},
    .trailers = {trailers, COUNT_OF(trailers)},
};

/* The line of a component, or what its refusal says. */
static struct str line(struct arena *a, const struct httpsig_message *m, const char *id)
{
    const char *names[] = {id, NULL};
    struct httpsig_wanted w = {.label = "s", .components = names, .created_s = 1};
    struct str base, input, why = STR("");
    if (httpsig_make(a, &w, m, &base, &input, &why))
        return why;
    return str_sub(base, 0, (size_t)str_find_char(base, '\n'));
}

static const struct {
    const char *id, *want;
    bool of_response;
} lines[] = {
    {"\"@method\"", "\"@method\": GET", false},
    {"\"@authority\"", "\"@authority\": www.example.com", false},
    {"\"@scheme\"", "\"@scheme\": https", false},
    {"\"@path\"", "\"@path\": /parameters", false},
    {"\"@query-param\";name=\"var\"",
     "\"@query-param\";name=\"var\": this%20is%20a%20big%0Amultiline%20value", false},
    {"\"@query-param\";name=\"bar\"", "\"@query-param\";name=\"bar\": with%20plus%20whitespace",
     false},
    {"\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\"",
     "\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\": something", false},
    {"\"@query-param\";name=\"qux\"", "\"@query-param\";name=\"qux\": ", false},
    {"\"@query-param\";name=\"dup\"",
     "component \"@query-param\";name=\"dup\": the parameter is there twice", false},
    {"\"@query-param\";name=\"none\"",
     "component \"@query-param\";name=\"none\": no such parameter", false},
    {"\"@query-param\"", "component \"@query-param\": it needs a name", false},
    {"\"x-lists\"", "\"x-lists\": one, two, \tthree", false},
    {"\"x-lists\";bs", "\"x-lists\";bs: :b25l:, :dHdvLCAJdGhyZWU=:", false},
    {"\"x-empty\"", "\"x-empty\": ", false},
    {"\"example-dict\";key=\"a\"", "\"example-dict\";key=\"a\": 1", false},
    {"\"example-dict\";key=\"b\"", "\"example-dict\";key=\"b\": 2;x=1;y=2", false},
    {"\"example-dict\";key=\"c\"", "\"example-dict\";key=\"c\": (a b c)", false},
    {"\"example-dict\";key=\"d\"", "\"example-dict\";key=\"d\": ?1", false},
    {"\"priority\";sf", "\"priority\";sf: u=1, i", false},
    {"\"expires\";tr", "\"expires\";tr: Wed, 9 Nov 2022 07:28:00 GMT", false},
    {"\"expires\"", "component \"expires\": the message has no such field", false},
    {"\"x-lists\";tr", "component \"x-lists\";tr: the message has no such trailer", false},
    {"\"example-dict\";sf", "component \"example-dict\";sf: the type of this field is not known",
     false},
    {"\"example-dict\";key=\"z\"",
     "component \"example-dict\";key=\"z\": the field has no such member", false},
    {"\"x-lists\";key=\"a\";bs",
     "component \"x-lists\";key=\"a\";bs: bs goes with neither sf nor key", false},
    {"\"x-lists\";zz", "component \"x-lists\";zz: a parameter it cannot have", false},
    {"\"X-Lists\"", "component \"X-Lists\": its name must be in lower case", false},
    {"\"x-line\"", "component \"x-line\": the field cannot be signed", false},
    {"\"@method\";tr", "component \"@method\";tr: a parameter it cannot have", false},
    {"\"@method\";req", "component \"@method\";req: req is for responses", false},
    {"\"@status\"", "component \"@status\": a request has none", false},
    {"\"@signature-params\"", "component \"@signature-params\": covered always, named never",
     false},
    {"\"@nothing\"", "component \"@nothing\": no such component", false},
    {"\"@status\"", "\"@status\": 204", true},
    {"\"@method\"", "component \"@method\": a response has none: say ;req", true},
    {"\"@method\";req", "\"@method\";req: GET", true},
    {"\"x-lists\";req", "\"x-lists\";req: one, two, \tthree", true},
};

static void each_component_has_its_line(void **state)
{
    (void)state;
    struct arena a;
    struct httpsig_message answer = {.status = 204, .request = &asked};
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct str got = line(&a, lines[i].of_response ? &answer : &asked, lines[i].id);
        if (!str_eq_z(got, lines[i].want))
            fail_msg("%s gave <" STR_FMT ">", lines[i].id, STR_ARG(got));
    }
    answer.request = NULL;
    assert_true(str_eq_z(line(&a, &answer, "\"@method\";req"),
                         "component \"@method\";req: the request is not at hand"));
    struct httpsig_message bare = {
        .method = STR("OPTIONS"), .scheme = STR("http"), .authority = STR("a:443")};
    assert_true(str_eq_z(line(&a, &bare, "\"@query\""), "\"@query\": ?"));
    assert_true(str_eq_z(line(&a, &bare, "\"@target-uri\""), "\"@target-uri\": http://a:443/"));
    arena_free(&a);
}

/* --- what is refused -------------------------------------------------------------------------- */

static enum err read_of(struct arena *a, const char *input, const char *value,
                        struct httpsig_list *out, struct str *why)
{
    struct httpsig_field f[] = {{STR("Signature-Input"), str_from(input)},
                                {STR("Signature"), str_from(value)},
                                {STR("Host"), STR("a.example")}};
    struct httpsig_message m = {.method = STR("GET"),
                                .headers = {f + !input, COUNT_OF(f) - !input}};
    return httpsig_read(a, &m, out, why);
}

static void what_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    struct arena a;
    struct httpsig_list list;
    struct str why;
    static const char *const bad[][2] = {
        {"a=(\"@method\")", "b=:AA==:"},
        {"a=(\"@method\")", "a=AA"},
        {"a=(\"@method\");created=\"1\"", "a=:AA==:"},
        {"a=(\"@method\");created=-1", "a=:AA==:"},
        {"a=(\"@method\");keyid=x", "a=:AA==:"},
        {"a=(method)", "a=:AA==:"},
        {"a=\"@method\"", "a=:AA==:"},
        {"a=(\"@method\"), b=()", "a=:AA==:"},
        {"a=(\"@method\"", "a=:AA==:"},
        {"", ""},
        {NULL, "a=:AA==:"},
    };
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(read_of(&a, bad[i][0], bad[i][1], &list, &why), ERR_INVALID);
    assert_int_equal(read_of(&a, "a=(\"@method\");created=1", "a=:AA==:", &list, &why), ERR_OK);
    struct httpsig_message none = {.method = STR("GET")};
    assert_int_equal(httpsig_read(&a, &none, &list, &why), ERR_NOT_FOUND);
    arena_free(&a);
}

static const char *const covered[] = {"\"@method\"", "\"@path\"", NULL};
static const struct str secret = STR("0123456789abcdef0123456789abcdef");

static struct str refusal(struct arena *a, const char *const *components, int64_t created_s,
                          int64_t expires_s, const char *alg, const struct httpsig_policy *policy)
{
    struct httpsig_wanted w = {.label = "s",
                               .components = components,
                               .created_s = created_s,
                               .expires_s = expires_s,
                               .alg = alg,
                               .keyid = STR("k")};
    struct str base, input, why = STR("");
    struct httpsig_list list;
    uint8_t mac[SHA256_LEN];
    assert_int_equal(httpsig_make(a, &w, &asked, &base, &input, &why), ERR_OK);
    hmac_sha256(secret, base, mac);
    struct httpsig_field f[] = {{STR("signature-input"), input},
                                {STR("signature"), httpsig_value(a, "s", str_of(mac, sizeof mac))}};
    struct httpsig_message m = asked;
    m.headers = (struct httpsig_fields){f, 2};
    assert_int_equal(httpsig_read(a, &m, &list, &why), ERR_OK);
    struct httpsig_key key = {.secret = secret};
    return httpsig_verify(a, &list.v[0], &m, &key, policy, &why) ? why : STR("");
}

static void a_policy_is_kept(void **state)
{
    (void)state;
    struct arena a;
    struct httpsig_policy p = {.required = covered, .now_s = 1000, .max_age_s = 60, .ahead_s = 10};
    static const char *const less[] = {"\"@method\"", NULL};
    arena_init(&a);
    assert_true(refusal(&a, covered, 1000, 0, NULL, &p).n == 0);
    assert_true(refusal(&a, covered, 1000, 1001, "hmac-sha256", &p).n == 0);
    assert_true(
        str_eq_z(refusal(&a, less, 1000, 0, NULL, &p), "the signature does not cover \"@path\""));
    assert_true(str_eq_z(refusal(&a, covered, 939, 0, NULL, &p), "the signature is too old"));
    assert_true(
        str_eq_z(refusal(&a, covered, 1011, 0, NULL, &p), "the signature was made in the future"));
    assert_true(str_eq_z(refusal(&a, covered, 990, 1000, NULL, &p), "the signature has expired"));
    assert_true(str_eq_z(refusal(&a, covered, 1000, 0, "ed25519", &p),
                         "the key is for hmac-sha256, the signature says another algorithm"));
    arena_free(&a);
}

static void a_component_named_twice_is_refused(void **state)
{
    (void)state;
    struct arena a;
    struct httpsig_list list;
    struct str why, base;
    arena_init(&a);
    assert_int_equal(read_of(&a, "a=(\"x\";sf;bs \"x\";bs;sf)", "a=:AA==:", &list, &why), ERR_OK);
    assert_int_equal(httpsig_base(&a, &list.v[0], &asked, &base, &why), ERR_INVALID);
    assert_true(str_eq_z(why, "a component is named twice"));
    arena_free(&a);
}

static void a_digest_is_that_of_the_body(void **state)
{
    (void)state;
    struct arena a;
    struct str why, body = STR("{\"hello\": \"world\"}");
    arena_init(&a);
    /* RFC 9530 and RFC 9421 print these two. */
    assert_true(str_eq_z(
        httpsig_digest_of(&a, HTTPSIG_SHA512, body),
        "sha-512=:WZDPaVn/"
        "7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"));
    assert_true(str_eq_z(httpsig_digest_of(&a, HTTPSIG_SHA256, body),
                         "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"));
    struct str both = arena_printf(&a, STR_FMT ", md5=:AA==:, " STR_FMT,
                                   STR_ARG(httpsig_digest_of(&a, HTTPSIG_SHA256, body)),
                                   STR_ARG(httpsig_digest_of(&a, HTTPSIG_SHA512, body)));
    assert_int_equal(httpsig_digest_check(&a, both, body, &why), ERR_OK);
    assert_int_equal(httpsig_digest_check(&a, both, STR("{\"hello\": \"World\"}"), &why),
                     ERR_DENIED);
    assert_true(str_eq_z(why, "the body is not the one whose sha-256 digest was sent"));
    assert_int_equal(httpsig_digest_check(&a, STR("md5=:AA==:"), body, &why), ERR_INVALID);
    assert_int_equal(httpsig_digest_check(&a, STR("sha-256=:AA==:"), body, &why), ERR_INVALID);
    assert_int_equal(httpsig_digest_check(&a, STR("sha-256="), body, &why), ERR_INVALID);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_examples_verify),
        cmocka_unit_test(each_component_has_its_line),
        cmocka_unit_test(what_is_not_well_formed_is_refused),
        cmocka_unit_test(a_policy_is_kept),
        cmocka_unit_test(a_component_named_twice_is_refused),
        cmocka_unit_test(a_digest_is_that_of_the_body),
    };
    return cmocka_run_group_tests_name("crypto/httpsig", tests, NULL, NULL);
}
