#include "platform/session.h"

#include "base/clock.h"
#include "platform/fixture.h"

static bool postgres;

static int open_platform(void **state)
{
    *state = fixture_open_on(postgres);
    return *state ? 0 : -1;
}

static int close_platform(void **state)
{
    fixture_close(*state);
    clock_set_offset_ms(0);
    return 0;
}

static const char PLAIN[] = "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";

static const char *with_cookie(struct fixture *t, struct str cookie)
{
    return arena_printf(&t->arena,
                        "GET / HTTP/1.1\r\nHost: localhost:8080\r\nCookie: " STR_FMT "\r\n\r\n",
                        STR_ARG(cookie))
        .p;
}

/* Signs in and gives the cookie. */
static struct str sign_in(struct fixture *t, const char *head)
{
    struct fixture_request x;
    fixture_request(t, &x, head);
    assert_int_equal(session_load(x.c), ERR_OK);
    assert_int_equal(session_start(x.c, STR("person-1"), ROLE_USER,
                                   json_pack("{s:s}", "name", "Camille CANARI")),
                     ERR_OK);
    struct str cookie = fixture_cookie(&x);
    assert_non_null(cookie.p);
    fixture_request_end(&x);
    return cookie;
}

/* Whose session a cookie opens; "" none. */
static struct str who(struct fixture *t, struct str cookie)
{
    struct fixture_request x;
    fixture_request(t, &x, with_cookie(t, cookie));
    assert_int_equal(session_load(x.c), ERR_OK);
    struct str subject = x.c->session ? arena_dup(&t->arena, x.c->session->subject) : STR("");
    if (x.c->session)
        assert_string_equal(json_get_z(x.c->session->data, "name", ""), "Camille CANARI");
    fixture_request_end(&x);
    return subject;
}

static void cookie_opens_its_session(void **state)
{
    struct str cookie = sign_in(*state, PLAIN);
    assert_true(str_eq_z(who(*state, cookie), "person-1"));
}

static void altered_cookie_opens_nothing(void **state)
{
    struct fixture *t = *state;
    struct str cookie = sign_in(t, PLAIN);
    char *other = arena_dupz(&t->arena, cookie);
    other[cookie.n - 1] = other[cookie.n - 1] == 'A' ? 'B' : 'A';
    assert_int_equal(who(t, str_from(other)).n, 0);
}

/* What is in the table opens no session, and says nothing of the person. */
static void table_tells_nothing(void **state)
{
    struct fixture *t = *state;
    struct str cookie = sign_in(t, PLAIN);
    struct str secret = str_after(cookie, (size_t)str_find_char(cookie, '=') + 1);
    struct str id = fixture_value(t, "SELECT id FROM session");
    struct str data = fixture_value(t, "SELECT data FROM session");
    assert_true(id.n > 0 && str_find(secret, id) < 0 && str_find(id, secret) < 0);
    assert_true(data.n > 0 && str_find(data, STR("CANARI")) < 0);
    assert_int_equal(who(t, arena_printf(&t->arena, "socle=" STR_FMT, STR_ARG(id))).n, 0);
}

/* Signing in again ends the session there was: an id planted before is worth nothing after. */
static void sign_in_replaces(void **state)
{
    struct fixture *t = *state;
    struct str first = sign_in(t, PLAIN);
    struct str second = sign_in(t, with_cookie(t, first));
    assert_false(str_eq(first, second));
    assert_int_equal(who(t, first).n, 0);
    assert_true(str_eq_z(who(t, second), "person-1"));
}

static void idle_session_ends(void **state)
{
    struct fixture *t = *state;
    struct str cookie = sign_in(t, PLAIN);
    clock_set_offset_ms((t->settings.session_idle_s - 5) * 1000);
    assert_true(str_eq_z(who(t, cookie), "person-1")); /* and this request keeps it alive */
    clock_set_offset_ms((2 * t->settings.session_idle_s - 10) * 1000);
    assert_true(str_eq_z(who(t, cookie), "person-1"));
    clock_set_offset_ms((3 * t->settings.session_idle_s + 5) * 1000);
    assert_int_equal(who(t, cookie).n, 0);
}

static void old_session_ends_however_used(void **state)
{
    struct fixture *t = *state;
    struct str cookie = sign_in(t, PLAIN);
    int64_t step_ms = (t->settings.session_idle_s - 5) * 1000, at_ms = 0;
    for (; at_ms < t->settings.session_max_s * 1000; at_ms += step_ms) {
        clock_set_offset_ms(at_ms);
        assert_true(str_eq_z(who(t, cookie), "person-1"));
    }
    clock_set_offset_ms(t->settings.session_max_s * 1000 + 1000);
    assert_int_equal(who(t, cookie).n, 0);
    clock_set_offset_ms((t->settings.session_max_s + t->settings.session_idle_s + 86400) * 1000);
    assert_int_equal(session_sweep(&t->pf), ERR_OK);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM session"), 0);
}

/* Revoked by the server: the cookie is still in the browser, and opens nothing. */
static void all_sessions_of_a_person_end(void **state)
{
    struct fixture *t = *state;
    struct fixture_request x;
    struct str one = sign_in(t, PLAIN), two = sign_in(t, PLAIN);
    fixture_request(t, &x, PLAIN);
    assert_int_equal(session_end_all(x.c, x.c->site->host, STR("person-1")), ERR_OK);
    fixture_request_end(&x);
    assert_int_equal(who(t, one).n, 0);
    assert_int_equal(who(t, two).n, 0);
}

static int run(const char *name, bool pg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cookie_opens_its_session, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(altered_cookie_opens_nothing, open_platform,
                                        close_platform),
        cmocka_unit_test_setup_teardown(table_tells_nothing, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(sign_in_replaces, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(idle_session_ends, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(old_session_ends_however_used, open_platform,
                                        close_platform),
        cmocka_unit_test_setup_teardown(all_sessions_of_a_person_end, open_platform,
                                        close_platform),
    };
    postgres = pg;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    int failed = run("session, sqlite", false);
    return failed + (fixture_has_pg() ? run("session, postgres", true) : 0);
}
