/* Passwords: the right one passes, others do not, and an unknown account takes as long. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/password.h"

static struct arena arena;

static void only_the_right_password_matches(void **state)
{
    (void)state;
    struct str phc = password_hash(&arena, STR("correct horse"));
    assert_true(str_starts(phc, STR("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_true(password_matches(phc, STR("correct horse")));
    assert_false(password_matches(phc, STR("correct horsf")));
    assert_false(password_matches(phc, STR_NONE));
    assert_false(str_eq(phc, password_hash(&arena, STR("correct horse"))));
}

static void a_broken_hash_matches_nothing(void **state)
{
    struct str phc = password_hash(&arena, STR("p"));
    (void)state;
    assert_false(password_matches(STR("$argon2id$v=19$m=19456,t=2,p=1$x$y"), STR("p")));
    assert_false(password_matches(STR("plain"), STR("plain")));
    assert_true(password_matches(phc, STR("p")));
}

/* CPU time: the wall clock would measure the machine's other work. */
static int64_t cpu_us_of(struct str phc, struct str password)
{
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    assert_false(password_matches(phc, password));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (to.tv_sec - from.tv_sec) * 1000000LL + (to.tv_nsec - from.tv_nsec) / 1000;
}

/* An early return takes microseconds; 19 MiB filled twice take milliseconds on any machine. */
static void every_refusal_pays_for_a_whole_hash(void **state)
{
    static char huge[PASSWORD_BYTES_MAX + 1];
    (void)state;
    struct str phc = password_hash(&arena, STR("x"));
    assert_true(cpu_us_of(phc, STR("y")) > 3000);
    assert_true(cpu_us_of(STR_NONE, STR("y")) > 3000);
    assert_true(cpu_us_of(phc, str_of(huge, sizeof huge)) > 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_right_password_matches),
        cmocka_unit_test(a_broken_hash_matches_nothing),
        cmocka_unit_test(every_refusal_pays_for_a_whole_hash),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
