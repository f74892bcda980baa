/* Who somebody is: what a provider may say, and the identifiers made from it. The vectors were
 * computed with Python's hashlib, from the definition alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include "core/identity/pivot.h"
#include "crypto/keys.h"
#include "data/json.h"
#include "sys/file.h"

static struct arena arena;

static int end(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static json_t *person(const char *given, const char *family, const char *birthdate,
                      const char *gender, const char *place, const char *country)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "given_name", given, "family_name", family,
                     "birthdate", birthdate, "gender", gender, "birthplace", place, "birthcountry",
                     country);
}

static const char SECRET[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const struct vector {
    const char *given, *family, *birthdate, *gender, *place, *country, *hash, *sub_1, *sub_2;
} vectors[] = {
    {"Angela Claire Louise", "DUBOIS", "1962-08-24", "female", "75107", "99100",
     "Sr1x7B9YHc4uoiIcvqx8lzxq6nvLg1rN/n1klPFSgGA=",
     "7e77c15a6142525d5f584ba6265c768c19424947277bca4f5d6e4bc8a9956e2fv1",
     "0d0c53a4b4b6587142ac84529b314df26574121acd830be6af3641f69561ccc5v1"},
    {"Fatima", "BENKACEM", "1971-00-00", "female", "", "99352",
     "pA5UA4RAuMCmDmrd4BK3CEG4TMlk/bx8/vNQGi3Ly5Y=",
     "2f0e74e0694e6175710bcf1fbd6346fe66d068dbf9edf97217ac32cfac5c4631v1",
     "f305d2003a0a021e1dab93d3a818f40b8d931fb653c51c22dcaf00fcf1c236cev1"},
    {"Élie Jean-Noël", "L’HÉRITIER", "1919-02-00", "male", "2A004", "99100",
     "gjtomj+7H2VxKkPQ+1gfHO+MnHue3u6WOvSXuZJe8Us=",
     "6bf5d65bbd1e1890c3cc3d42036195fabdf191dc5f333267eac4596089c538c9v1",
     "d8f9de5dc15390b210c97a6cb420774346aab8758af9da252c288bdbc2759c25v1"},
    /* a place abroad does not count */
    {"Fatima", "BENKACEM", "1971-00-00", "female", "99999", "99352",
     "pA5UA4RAuMCmDmrd4BK3CEG4TMlk/bx8/vNQGi3Ly5Y=",
     "2f0e74e0694e6175710bcf1fbd6346fe66d068dbf9edf97217ac32cfac5c4631v1",
     "f305d2003a0a021e1dab93d3a818f40b8d931fb653c51c22dcaf00fcf1c236cev1"},
};

static void hash_is_the_defined_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        json_t *p = person(v->given, v->family, v->birthdate, v->gender, v->place, v->country);
        assert_string_equal(pivot_hash(&arena, p).p, v->hash);
        json_decref(p);
    }
}

/* The keys process with a secret that is known here: its own would be drawn. */
static struct keys *keys_with(const char *folder)
{
    struct keys *k;
    const char *path = arena_printf(&arena, "%s/pairwise.secret", folder).p;
    assert_int_equal(file_write_atomic(path, arena_printf(&arena, "%s\n", SECRET), 0600), ERR_OK);
    assert_int_equal(keys_open_local(folder, &k), ERR_OK);
    return k;
}

static void sub_is_the_defined_one(void **state)
{
    (void)state;
    char folder[] = "/tmp/pivot-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct keys *k = keys_with(folder);
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct str sub;
        assert_int_equal(
            keys_pairwise_v1(k, arena_printf(&arena, "entite-1%s", v->hash), &arena, &sub), ERR_OK);
        assert_int_equal(sub.n, KEYS_SUB_LEN);
        assert_string_equal(sub.p, v->sub_1);
        assert_int_equal(
            keys_pairwise_v1(k, arena_printf(&arena, "entite-2%s", v->hash), &arena, &sub), ERR_OK);
        assert_string_equal(sub.p, v->sub_2);
    }
    keys_close(k);
    assert_int_equal(system(arena_printf(&arena, "rm -rf '%s'", folder).p), 0);
}

static void birthdates(void **state)
{
    (void)state;
    static const char *const good[] = {"1988-04-12", "2000-02-29", "1904-02-29",
                                       "1971-00-00", "1971-05-00", "2026-12-31"};
    static const char *const bad[] = {"",           "1988",        "1988-04",    "1988-4-12",
                                      "88-04-12",   "1988-13-01",  "1988-04-31", "1900-02-29",
                                      "1971-00-12", "1988-04-12 ", "1988/04/12", "1849-01-01",
                                      "19x8-04-12", "-988-04-12",  "1988-04-1\0"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!birthdate_is_valid(str_from(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (birthdate_is_valid(str_from(bad[i])))
            fail_msg("taken: %s", bad[i]);
}

static void sirets(void **state)
{
    (void)state;
    assert_true(siret_is_valid(STR("21440109300015"))); /* the town of Nantes */
    assert_true(siret_is_valid(STR("35600000049837"))); /* the post office: another key */
    assert_false(siret_is_valid(STR("21440109300016")));
    assert_false(siret_is_valid(STR("2144010930001")));
    assert_false(siret_is_valid(STR("214401093000150")));
    assert_false(siret_is_valid(STR("2144010930001X")));
    assert_false(siret_is_valid(STR("")));
}

static const char *pivot_fault(const char *member, json_t *value)
{
    const char *why = NULL;
    json_t *out, *p = person("Camille Anne", "MARTIN", "1988-04-12", "female", "69123", "99100");
    if (value)
        json_object_set_new(p, member, value);
    else if (member)
        json_object_del(p, member);
    if (pivot_read(p, &out, &why) == ERR_OK) {
        json_decref(out);
        why = NULL;
    } else {
        assert_non_null(why);
    }
    json_decref(p);
    return why;
}

static void whole_pivot_is_taken_and_nothing_else(void **state)
{
    (void)state;
    const char *why;
    json_t *out, *p = person("Camille Anne", "MARTIN", "1988-04-12", "female", "69123", "99100");
    json_object_set_new(p, "email", json_string("camille@exemple.fr"));
    json_object_set_new(p, "is_admin", json_true());
    json_object_set_new(p, "sub", json_string("abc"));
    assert_int_equal(pivot_read(p, &out, &why), ERR_OK);
    assert_string_equal(json_get_z(out, "family_name", ""), "MARTIN");
    assert_string_equal(json_get_z(out, "email", ""), "camille@exemple.fr");
    assert_null(json_get(out, "is_admin"));
    assert_null(json_get(out, "sub"));
    const json_t *names = json_get(out, "given_name_array");
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(json_string_value(json_array_get(names, 1)), "Anne");
    json_decref(out);
    json_decref(p);
}

static void broken_pivot_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const needed[] = {"given_name", "family_name",  "birthdate",
                                         "gender",     "birthcountry", "birthplace"};
    for (size_t i = 0; i < COUNT_OF(needed); i++) {
        assert_string_equal(pivot_fault(needed[i], NULL), needed[i]);
        assert_string_equal(pivot_fault(needed[i], json_string("<b>\x7f</b>")), needed[i]);
        assert_string_equal(pivot_fault(needed[i], json_integer(12)), needed[i]);
        assert_string_equal(pivot_fault(needed[i], json_string("")), needed[i]);
    }
    assert_string_equal(pivot_fault("gender", json_string("Female")), "gender");
    assert_string_equal(pivot_fault("birthcountry", json_string("FR")), "birthcountry");
    assert_string_equal(pivot_fault("birthplace", json_string("Lyon")), "birthplace");
    assert_string_equal(pivot_fault("email", json_string("nobody")), "email");
    assert_string_equal(pivot_fault("given_name_array", json_array()), "given_name_array");
    assert_string_equal(pivot_fault("given_name_array", json_pack("[i]", 3)), "given_name_array");
    assert_null(pivot_fault("gender", json_string("unspecified")));
    assert_null(pivot_fault("birthplace", json_string("2B033")));
}

static void born_abroad_needs_no_place(void **state)
{
    (void)state;
    const char *why;
    json_t *out, *p = person("Fatima", "BENKACEM", "1971-00-00", "female", "", "99352");
    assert_int_equal(pivot_read(p, &out, &why), ERR_OK);
    assert_string_equal(json_get_z(out, "birthplace", "?"), "");
    json_decref(out);
    json_decref(p);
}

static void agents(void **state)
{
    (void)state;
    const char *why = "";
    json_t *out, *p = json_pack("{s:s,s:s,s:s,s:s,s:s,s:[s]}", "given_name", "Sophie", "usual_name",
                                "LEROY", "email", "sophie.leroy@nantes.demo", "uid", "42", "siret",
                                "21440109300015", "roles", "agent_public_territorial");
    assert_int_equal(agent_read(p, &out, &why), ERR_OK);
    assert_string_equal(json_get_z(out, "siren", ""), "214401093");
    json_decref(out);
    json_object_set_new(p, "siret", json_string("21440109300016"));
    assert_int_equal(agent_read(p, &out, &why), ERR_INVALID);
    assert_string_equal(why, "siret");
    json_decref(p);
}

static void scopes_bring_their_claims(void **state)
{
    (void)state;
    assert_string_equal(claims_of_scopes(&arena, STR("openid"), STR("")).p, "");
    assert_string_equal(claims_of_scopes(&arena, STR("openid birth"), STR("")).p,
                        "birthdate birthplace birthcountry");
    assert_string_equal(claims_of_scopes(&arena, STR("openid email"), STR("gender")).p,
                        "gender email");
    assert_true(scope_is_known(STR("identite_pivot")));
    assert_false(scope_is_known(STR("famille_foyer")));
    json_t *all = person("Camille", "MARTIN", "1988-04-12", "female", "69123", "99100");
    json_t *some = claims_pick(all, STR("gender nothing"));
    assert_int_equal(json_object_size(some), 1);
    json_decref(some);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(hash_is_the_defined_one, end),
        cmocka_unit_test_teardown(sub_is_the_defined_one, end),
        cmocka_unit_test(birthdates),
        cmocka_unit_test(sirets),
        cmocka_unit_test(whole_pivot_is_taken_and_nothing_else),
        cmocka_unit_test(broken_pivot_is_refused_by_name),
        cmocka_unit_test(born_abroad_needs_no_place),
        cmocka_unit_test(agents),
        cmocka_unit_test_teardown(scopes_bring_their_claims, end),
    };
    arena_init(&arena);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
