/* The keys process as it runs: under the supervisor, in its sandbox, asked over channels by two
 * clients, and killed while they ask. The clients are processes of their own: they write down what
 * they saw in shared memory and the test reads it after all of them ended. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "crypto/keys.h"

enum { KILLS = 7, THREADS = 4, KILL_EVERY_MS = 150 };

static struct shared {
    char fault[200]; /* the first thing that was not as it must be */
    _Atomic int keys_pid, starts, signatures;
    _Atomic int journal_done;
    uint8_t mac[32], public_key[32], cookie[32];
    char jwks[8192], rs256[4096], wrapped[512];
    size_t wrapped_n;
} * seen;
static char folder[64];
static struct arena arena;
static _Atomic bool stop_signing;

static void fault(const char *file, int line, const char *what)
{
    if (!seen->fault[0])
        snprintf(seen->fault, sizeof seen->fault, "%s:%d: %s", file, line, what);
}
#define CHECK(cond) ((cond) ? (void)0 : fault(__FILE__, __LINE__, #cond))

/* --- the processes ---------------------------------------------------------------------------- */

static int keys_process(struct proc *self, void *conf)
{
    seen->keys_pid = getpid();
    seen->starts++;
    return keys_main(self, conf);
}

static void *sign_on(void *arg)
{
    struct keys *k = arg;
    struct arena a;
    struct str json, t;
    struct jwks *ks;
    struct jws j;
    arena_init(&a);
    CHECK(keys_jwks(k, "issuer", &a, &json) == ERR_OK && jwks_read(json, &ks) == ERR_OK);
    while (!stop_signing && !seen->fault[0]) {
        enum err e = keys_sign_jws(k, "issuer", JOSE_ES256, "JWT", STR("{}"), &a, &t);
        if (e)
            fault(__FILE__, __LINE__, err_name(e));
        CHECK(!seen->fault[0] && jws_split(&a, t, &j) == ERR_OK);
        if (seen->fault[0])
            break;
        CHECK(jws_verify(&j, ks, 1u << JOSE_ES256) == ERR_OK);
        jws_free(&j);
        seen->signatures++;
        arena_reset(&a);
    }
    jwks_free(ks);
    arena_free(&a);
    return NULL;
}

static void kill_under_load(struct keys *k)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, sign_on, k) == 0);
    for (int i = 0; i < KILLS; i++) {
        int starts = seen->starts;
        usleep(KILL_EVERY_MS * 1000);
        CHECK(kill(seen->keys_pid, SIGKILL) == 0);
        for (int n = 0; n < 3000 && seen->starts == starts; n++)
            usleep(1000);
        CHECK(seen->starts > starts);
    }
    int before = seen->signatures;
    usleep(200 * 1000);
    CHECK(seen->signatures > before);
    stop_signing = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

static void write_down(struct keys *k)
{
    struct str s;
    CHECK(keys_mac(k, "pairwise", STR("x"), seen->mac) == ERR_OK);
    CHECK(keys_public_raw(k, "journal", seen->public_key) == ERR_OK);
    CHECK(keys_shared_secret(k, "cookie", seen->cookie) == ERR_OK);
    /* Made now, in the sandbox: RSA is written to the folder at first use. */
    CHECK(keys_sign_jws(k, "issuer", JOSE_RS256, "JWT", STR("{}"), &arena, &s) == ERR_OK);
    snprintf(seen->rs256, sizeof seen->rs256, STR_FMT, STR_ARG(s));
    CHECK(keys_jwks(k, "issuer", &arena, &s) == ERR_OK);
    snprintf(seen->jwks, sizeof seen->jwks, STR_FMT, STR_ARG(s));
    CHECK(keys_wrap(k, "subject", STR("c"), STR("plain"), &arena, &s) == ERR_OK);
    memcpy(seen->wrapped, s.p, s.n);
    seen->wrapped_n = s.n;
}

static void refusals(struct keys *k)
{
    static char big[KEYS_DATA_MAX + 1];
    uint8_t out[32];
    struct str s;
    CHECK(keys_sign(k, "journal", JOSE_EDDSA, STR("x"), &arena, &s, NULL) == ERR_DENIED);
    CHECK(keys_rotate(k, "issuer") == ERR_DENIED);
    CHECK(keys_shared_secret(k, "pairwise", out) == ERR_DENIED);
    CHECK(keys_unwrap(k, "subject", STR("c"), STR("junk"), &arena, &s) == ERR_CORRUPT);
    CHECK(keys_sign(k, "nobody", JOSE_ES256, STR("x"), &arena, &s, NULL) == ERR_NOT_FOUND);
    CHECK(keys_mac(k, "blind", str_of(big, sizeof big), out) == ERR_LIMIT);
    CHECK(keys_mac(k, "blind", str_of(big, sizeof big - 1), out) == ERR_OK);
    CHECK(keys_sign_jws(k, "issuer", JOSE_ES256, "JWT", str_of(big, sizeof big - 1), &arena, &s) ==
          ERR_OK);
}

static int web_process(struct proc *self, void *arg)
{
    (void)arg;
    struct keys *k = keys_connect(proc_fd(self, "keys"));
    proc_ready(self);
    refusals(k);
    write_down(k);
    kill_under_load(k);
    for (int n = 0; n < 5000 && !seen->journal_done; n++)
        usleep(1000);
    CHECK(seen->journal_done);
    kill(getppid(), SIGTERM);
    while (!proc_stopping)
        usleep(1000);
    keys_close(k);
    arena_free(&arena);
    return 0;
}

static int journal_process(struct proc *self, void *arg)
{
    uint8_t out[32];
    struct str s;
    (void)arg;
    struct keys *k = keys_connect(proc_fd(self, "keys.journal"));
    proc_ready(self);
    CHECK(keys_sign(k, "journal", JOSE_EDDSA, STR("root"), &arena, &s, NULL) == ERR_OK);
    CHECK(keys_public_raw(k, "journal", out) == ERR_OK);
    CHECK(ed25519_verify(out, STR("root"), (const uint8_t *)s.p));
    CHECK(keys_sign(k, "issuer", JOSE_ES256, STR("x"), &arena, &s, NULL) == ERR_DENIED);
    CHECK(keys_mac(k, "blind", STR("x"), out) == ERR_DENIED);
    CHECK(keys_shared_secret(k, "cookie", out) == ERR_DENIED);
    CHECK(keys_unwrap(k, "subject", STR("c"), STR("x"), &arena, &s) == ERR_DENIED);
    seen->journal_done = 1;
    while (!proc_stopping)
        usleep(1000);
    keys_close(k);
    arena_free(&arena);
    return 0;
}

/* --- the test --------------------------------------------------------------------------------- */

static void run_platform(void)
{
    struct keys_conf conf = {folder};
    struct proc_plan *p = proc_plan_new();
    size_t keys = proc_plan_add(p, &(struct proc_spec){"keys", keys_process, &conf});
    size_t web = proc_plan_add(p, &(struct proc_spec){"web", web_process, NULL});
    size_t journal = proc_plan_add(p, &(struct proc_spec){"journal", journal_process, NULL});
    proc_plan_channel(p, web, keys, "keys");
    proc_plan_channel(p, journal, keys, "keys.journal");
    int rc = proc_supervise(p, NULL, NULL);
    free(p);
    CHECK(rc == 0);
}

static void same_answers_here_and_over_a_channel(void)
{
    struct keys *k;
    uint8_t out[32];
    struct str s;
    assert_int_equal(keys_open_local(folder, &k), ERR_OK);
    assert_int_equal(keys_mac(k, "pairwise", STR("x"), out), ERR_OK);
    assert_memory_equal(out, seen->mac, 32);
    assert_int_equal(keys_public_raw(k, "journal", out), ERR_OK);
    assert_memory_equal(out, seen->public_key, 32);
    assert_int_equal(keys_shared_secret(k, "cookie", out), ERR_OK);
    assert_memory_equal(out, seen->cookie, 32);
    assert_int_equal(keys_jwks(k, "issuer", &arena, &s), ERR_OK);
    assert_string_equal(s.p, seen->jwks);
    /* RSASSA-PKCS1-v1_5 has no randomness: the same bytes. */
    assert_int_equal(keys_sign_jws(k, "issuer", JOSE_RS256, "JWT", STR("{}"), &arena, &s), ERR_OK);
    assert_string_equal(s.p, seen->rs256);
    struct str wrapped = str_of(seen->wrapped, seen->wrapped_n);
    assert_int_equal(keys_unwrap(k, "subject", STR("c"), wrapped, &arena, &s), ERR_OK);
    assert_true(str_eq_z(s, "plain"));
    keys_close(k);
}

static void killed_under_load_it_loses_no_request(void **state)
{
    (void)state;
    run_platform();
    print_message("%d signatures, %d starts\n", (int)seen->signatures, (int)seen->starts);
    if (seen->fault[0])
        fail_msg("%s", seen->fault);
    assert_int_equal(seen->starts, KILLS + 1);
    assert_true(seen->signatures > 100);
    same_answers_here_and_over_a_channel();
}

static int start(void **state)
{
    (void)state;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "/tmp/keys-proc-XXXXXX");
    return seen == MAP_FAILED || !mkdtemp(folder) ? -1 : 0;
}

static int end(void **state)
{
    DIR *d = opendir(folder);
    (void)state;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlink(arena_printf(&arena, "%s/%s", folder, e->d_name).p);
    closedir(d);
    rmdir(folder);
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_under_load_it_loses_no_request, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
