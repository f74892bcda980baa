/* The keys: made once, closed to others, never made again, and the same whichever way they are
 * asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "crypto/keys.h"
#include "data/json.h"
#include "sys/file.h"

static struct arena arena;
static char folder[64];

static const char *file(const char *name)
{
    return arena_printf(&arena, "%s/%s", folder, name).p;
}

static void empty_folder(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(file(e->d_name));
    if (d)
        closedir(d);
    rmdir(folder);
}

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/keys-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    empty_folder();
    arena_reset(&arena);
    return 0;
}

static struct keys *open_keys(void)
{
    struct keys *k;
    assert_int_equal(keys_open_local(folder, &k), ERR_OK);
    return k;
}

static enum err open_fails(void)
{
    struct keys *k;
    enum err e = keys_open_local(folder, &k);
    assert_null(k);
    return e;
}

static struct jwks *public_of(struct keys *k, const char *purpose)
{
    struct str json;
    struct jwks *ks;
    assert_int_equal(keys_jwks(k, purpose, &arena, &json), ERR_OK);
    assert_null(strstr(json.p, "\"d\""));
    assert_int_equal(jwks_read(json, &ks), ERR_OK);
    return ks;
}

static enum err verify(struct keys *k, struct str compact, enum jose_alg alg)
{
    struct jws j;
    struct jwks *ks = public_of(k, "issuer");
    assert_int_equal(jws_split(&arena, compact, &j), ERR_OK);
    assert_int_equal(j.alg, alg);
    assert_int_equal(j.kid.n, 43);
    assert_true(str_eq_z(json_get_str(j.header, "typ"), "at+jwt"));
    enum err e = jws_verify(&j, ks, 1u << alg);
    jws_free(&j);
    jwks_free(ks);
    return e;
}

static struct str token(struct keys *k, enum jose_alg alg)
{
    struct str t;
    assert_int_equal(keys_sign_jws(k, "issuer", alg, "at+jwt", STR("{\"sub\":\"1\"}"), &arena, &t),
                     ERR_OK);
    return t;
}

/* ---- two processes on one folder: the running one, and a command --------------------------------
 */
static const enum jose_alg made_late[] = {JOSE_RS256, JOSE_PS256};

static void *make_late(void *arg)
{
    struct arena a;
    struct str sig;
    intptr_t bad = 0;
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(made_late); i++)
        bad += keys_sign(arg, "issuer", made_late[i], STR("x"), &a, &sig, NULL) != ERR_OK;
    arena_free(&a);
    return (void *)bad;
}

static void what_two_make_at_once_is_made_once(void **state)
{
    (void)state;
    enum { AT_ONCE = 4 };
    struct keys *k[AT_ONCE];
    pthread_t t[AT_ONCE];
    struct str json[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        k[i] = open_keys();
    for (int i = 0; i < AT_ONCE; i++)
        assert_int_equal(pthread_create(&t[i], NULL, make_late, k[i]), 0);
    for (int i = 0; i < AT_ONCE; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
        assert_int_equal(keys_jwks(k[i], "issuer", &arena, &json[i]), ERR_OK);
        assert_true(str_eq(json[0], json[i]));
        keys_close(k[i]);
    }
}

/* ---- two nodes ------------------------------------------------------------------------------- */

static void nodes_share_secrets_and_no_key_that_signs(void **state)
{
    static const uint8_t key[32] = {1, 2, 3}, wrong[32] = {1, 2, 4};
    char other[sizeof folder];
    uint8_t mac[2][32], shared[2][32], raw[2][32];
    struct str sealed, jwks, opened, wrapped;
    struct keys *b = NULL;
    (void)state;
    snprintf(other, sizeof other, "%.40s-b", folder);
    struct keys *k = open_keys();
    assert_int_equal(keys_jwks(k, "decrypt", &arena, &jwks), ERR_OK);
    assert_int_equal(keys_share(folder, key, &arena, &sealed), ERR_OK);
    assert_null(memmem(sealed.p, sealed.n, "PRIVATE", 7));
    /* The wrong code, and one byte that was altered: nothing is written. */
    assert_int_equal(keys_receive(other, wrong, sealed), ERR_CORRUPT);
    char *altered = arena_alloc(&arena, sealed.n);
    memcpy(altered, sealed.p, sealed.n);
    altered[sealed.n / 2] ^= 1;
    assert_int_equal(keys_receive(other, key, str_of(altered, sealed.n)), ERR_CORRUPT);
    assert_int_equal(keys_receive(other, key, STR("")), ERR_CORRUPT);
    assert_int_equal(keys_receive(folder, key, sealed), ERR_EXISTS);
    assert_int_equal(keys_receive(other, key, sealed), ERR_OK);
    assert_int_equal(keys_open_local(other, &b), ERR_OK);
    assert_int_equal(keys_mac(k, "pairwise", STR("x"), mac[0]), ERR_OK);
    assert_int_equal(keys_mac(b, "pairwise", STR("x"), mac[1]), ERR_OK);
    assert_memory_equal(mac[0], mac[1], 32);
    assert_int_equal(keys_shared_secret(k, "cookie", shared[0]), ERR_OK);
    assert_int_equal(keys_shared_secret(b, "cookie", shared[1]), ERR_OK);
    assert_memory_equal(shared[0], shared[1], 32);
    assert_int_equal(keys_wrap(k, "subject", STR("c"), STR("plain"), &arena, &wrapped), ERR_OK);
    assert_int_equal(keys_unwrap(b, "subject", STR("c"), wrapped, &arena, &opened), ERR_OK);
    assert_true(str_eq_z(opened, "plain"));
    struct str theirs;
    assert_int_equal(keys_jwks(b, "decrypt", &arena, &theirs), ERR_OK);
    assert_true(str_eq(jwks, theirs)); /* what a provider encrypts opens at either */
    static const char *const own[] = {"issuer", "client", "message"};
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        struct jwks *x = public_of(k, own[i]), *y = public_of(b, own[i]);
        for (size_t n = 0; n < x->n; n++)
            for (size_t m = 0; m < y->n; m++)
                assert_false(str_eq(jwk_kid(x->keys[n]), jwk_kid(y->keys[m])));
        jwks_free(x);
        jwks_free(y);
    }
    assert_int_equal(keys_public_raw(k, "journal", raw[0]), ERR_OK);
    assert_int_equal(keys_public_raw(b, "journal", raw[1]), ERR_OK);
    assert_memory_not_equal(raw[0], raw[1], 32);
    keys_close(b);
    keys_close(k);
    char first[64];
    memcpy(first, folder, sizeof first);
    memcpy(folder, other, sizeof folder);
    empty_folder();
    memcpy(folder, first, sizeof folder);
}

static void what_is_signed_verifies_with_what_is_published(void **state)
{
    uint8_t raw[32];
    struct str sig, kid;
    (void)state;
    struct keys *k = open_keys();
    assert_int_equal(verify(k, token(k, JOSE_ES256), JOSE_ES256), ERR_OK);
    assert_int_equal(verify(k, token(k, JOSE_PS256), JOSE_PS256), ERR_OK);
    assert_int_equal(verify(k, token(k, JOSE_RS256), JOSE_RS256), ERR_OK);
    assert_int_equal(keys_sign(k, "journal", JOSE_EDDSA, STR("root"), &arena, &sig, &kid), ERR_OK);
    assert_int_equal(kid.n, 43);
    assert_int_equal(keys_public_raw(k, "journal", raw), ERR_OK);
    assert_true(sig.n == 64 && ed25519_verify(raw, STR("root"), (const uint8_t *)sig.p));
    keys_close(k);
}

static void rsa_keys_are_made_at_first_use_and_then_published(void **state)
{
    (void)state;
    struct keys *k = open_keys();
    struct jwks *before = public_of(k, "issuer");
    assert_int_equal(access(file("issuer.rs256.pem"), F_OK), -1);
    struct str t = token(k, JOSE_RS256);
    struct jwks *after = public_of(k, "issuer");
    assert_true(before->n >= 1 && after->n > before->n);
    jwks_free(before);
    jwks_free(after);
    keys_close(k);
    k = open_keys();
    assert_int_equal(verify(k, t, JOSE_RS256), ERR_OK); /* and kept */
    keys_close(k);
}

static void a_second_start_has_the_same_keys(void **state)
{
    uint8_t mac[32], again[32];
    struct str wrapped, plain;
    (void)state;
    struct keys *k = open_keys();
    struct str t = token(k, JOSE_ES256);
    assert_int_equal(keys_mac(k, "pairwise", STR("sub|sector"), mac), ERR_OK);
    assert_int_equal(keys_wrap(k, "subject", STR("s1"), STR("a key"), &arena, &wrapped), ERR_OK);
    keys_close(k);
    k = open_keys();
    assert_int_equal(verify(k, t, JOSE_ES256), ERR_OK);
    assert_int_equal(keys_mac(k, "pairwise", STR("sub|sector"), again), ERR_OK);
    assert_memory_equal(mac, again, 32);
    assert_int_equal(keys_mac(k, "blind", STR("sub|sector"), again), ERR_OK);
    assert_memory_not_equal(mac, again, 32);
    assert_int_equal(keys_unwrap(k, "subject", STR("s1"), wrapped, &arena, &plain), ERR_OK);
    assert_true(str_eq_z(plain, "a key"));
    assert_int_equal(keys_unwrap(k, "subject", STR("s2"), wrapped, &arena, &plain), ERR_CORRUPT);
    keys_close(k);
}

static void no_secret_is_good_for_another_use(void **state)
{
    uint8_t out[32];
    struct str s;
    static char big[KEYS_DATA_MAX + 1];
    (void)state;
    struct keys *k = open_keys();
    assert_int_equal(keys_shared_secret(k, "cookie", out), ERR_OK);
    assert_int_equal(keys_shared_secret(k, "pairwise", out), ERR_DENIED);
    assert_int_equal(keys_shared_secret(k, "subject", out), ERR_DENIED);
    assert_int_equal(keys_mac(k, "cookie", STR("x"), out), ERR_DENIED);
    assert_int_equal(keys_wrap(k, "blind", STR_NONE, STR("x"), &arena, &s), ERR_DENIED);
    assert_int_equal(keys_mac(k, "nothing", STR("x"), out), ERR_NOT_FOUND);
    assert_int_equal(keys_sign(k, "journal", JOSE_ES256, STR("x"), &arena, &s, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(keys_sign(k, "issuer", JOSE_HS256, STR("x"), &arena, &s, NULL), ERR_NOT_FOUND);
    assert_int_equal(keys_jwks(k, "nobody", &arena, &s), ERR_NOT_FOUND);
    assert_int_equal(keys_public_raw(k, "issuer", out), ERR_NOT_FOUND);
    assert_int_equal(keys_mac(k, "blind", str_of(big, sizeof big), out), ERR_LIMIT);
    assert_int_equal(keys_mac(k, "blind", str_of(big, sizeof big - 1), out), ERR_OK);
    keys_close(k);
}

static void the_folder_is_closed_to_others(void **state)
{
    struct stat st;
    DIR *d;
    (void)state;
    keys_close(open_keys());
    d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            assert_int_equal(stat(file(e->d_name), &st), 0);
            assert_int_equal(st.st_mode & 0777, 0600);
        }
    closedir(d);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(open_fails(), ERR_DENIED);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(chmod(file("issuer.es256.pem"), 0640), 0);
    assert_int_equal(open_fails(), ERR_DENIED);
    assert_int_equal(chmod(file("issuer.es256.pem"), 0600), 0);
    assert_int_equal(chmod(file("pairwise.secret"), 0604), 0);
    assert_int_equal(open_fails(), ERR_DENIED);
}

static void a_lost_or_damaged_file_stops_the_start(void **state)
{
    static const char *const names[] = {"issuer.es256.pem", "journal.ed25519.pem",
                                        "pairwise.secret", "subject.secret"};
    struct str whole;
    (void)state;
    keys_close(open_keys());
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *path = file(names[i]);
        assert_int_equal(file_read(&arena, path, 16384, &whole), ERR_OK);
        assert_int_equal(file_write_atomic(path, str_sub(whole, 0, whole.n / 2), 0600), ERR_OK);
        assert_int_equal(open_fails(), ERR_CORRUPT);
        /* The current issuer key may be renamed away by a rotation; so its next goes too. */
        unlink(path);
        unlink(file("issuer.es256.next.pem"));
        assert_int_equal(open_fails(), ERR_CORRUPT);
        assert_int_equal(access(path, F_OK), -1); /* nothing was made in its place */
        assert_int_equal(file_write_atomic(path, whole, 0600), ERR_OK);
        keys_close(open_keys());
    }
    assert_int_equal(rename(file("journal.ed25519.pem"), file("issuer.es256.pem")), 0);
    assert_int_equal(open_fails(), ERR_CORRUPT);
}

static void a_rotation_keeps_old_tokens_good(void **state)
{
    (void)state;
    struct keys *k = open_keys();
    struct str old = token(k, JOSE_ES256);
    struct jwks *published = public_of(k, "issuer");
    assert_int_equal(keys_rotate(k, "issuer"), ERR_OK);
    struct str new = token(k, JOSE_ES256);
    struct jws j;
    assert_int_equal(jws_split(&arena, new, &j), ERR_OK);
    /* A client that read the set before the rotation knows the new key already. */
    assert_int_equal(jws_verify(&j, published, 1u << JOSE_ES256), ERR_OK);
    jws_free(&j);
    jwks_free(published);
    assert_int_equal(verify(k, old, JOSE_ES256), ERR_OK);
    keys_close(k);
    k = open_keys();
    assert_int_equal(verify(k, old, JOSE_ES256), ERR_OK);
    assert_int_equal(verify(k, new, JOSE_ES256), ERR_OK);
    assert_int_equal(keys_rotate(k, "issuer"), ERR_OK);
    assert_int_equal(verify(k, old, JOSE_ES256), ERR_NOT_FOUND);
    assert_int_equal(verify(k, new, JOSE_ES256), ERR_OK);
    assert_int_equal(keys_rotate(k, "journal"), ERR_NOT_FOUND);
    keys_close(k);
}

static void a_rotation_cut_short_goes_on(void **state)
{
    (void)state;
    struct keys *k = open_keys();
    struct str t = token(k, JOSE_ES256);
    keys_close(k);
    assert_int_equal(rename(file("issuer.es256.pem"), file("issuer.es256.old.pem")), 0);
    k = open_keys();
    assert_int_equal(verify(k, t, JOSE_ES256), ERR_OK);
    assert_int_equal(verify(k, token(k, JOSE_ES256), JOSE_ES256), ERR_OK);
    keys_close(k);
    assert_int_equal(access(file("issuer.es256.next.pem"), F_OK), 0);
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        UNIT(what_is_signed_verifies_with_what_is_published),
        UNIT(rsa_keys_are_made_at_first_use_and_then_published),
        UNIT(a_second_start_has_the_same_keys),
        UNIT(no_secret_is_good_for_another_use),
        UNIT(the_folder_is_closed_to_others),
        UNIT(a_lost_or_damaged_file_stops_the_start),
        UNIT(a_rotation_keeps_old_tokens_good),
        UNIT(a_rotation_cut_short_goes_on),
        UNIT(what_two_make_at_once_is_made_once),
        UNIT(nodes_share_secrets_and_no_key_that_signs),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
