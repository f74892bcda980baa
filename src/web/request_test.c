/* What a head says: paths, hosts, traces, and whom a request comes from behind proxies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "web/conn.h"

static struct arena arena;

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

/* ---- paths and hosts ------------------------------------------------------------------------- */
static const struct {
    const char *raw, *path; /* NULL: refused */
} paths[] = {
    {"/", "/"},
    {"/a/b/", "/a/b/"},
    {"/a%20b/%C3%A9", "/a b/\xc3\xa9"},
    {"/%41", "/A"},
    {"/...", "/..."},
    {"/.well-known/a", "/.well-known/a"},
    {"/a%252fb", "/a%2fb"}, /* decoded once, and no more */
    {"*", "*"},
    {"", NULL},
    {"a", NULL},
    {"//", NULL},
    {"/a//", NULL},
    {"//a", NULL},
    {"/a//b", NULL},
    {"/..", NULL},
    {"/.", NULL},
    {"/a/..", NULL},
    {"/a/./b", NULL},
    {"/a/.%2e/b", NULL},
    {"/%2E%2E/b", NULL},
    {"/a%2Fb", NULL},
    {"/a%2fb", NULL},
    {"/a%2", NULL},
    {"/a%", NULL},
    {"/%2f", NULL},
    {"/a%g0", NULL},
    {"/a%00", NULL},
    {"/a%0d%0a", NULL},
    {"/a%7f", NULL},
    {"/%c0%ae%c0%ae", NULL},
    {"/%ed%a0%80", NULL},
};

static void paths_are_decoded_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct str got;
        enum err e = request_path(&arena, str_from(paths[i].raw), &got);
        if ((e == ERR_OK) != (paths[i].path != NULL) ||
            (e == ERR_OK && !str_eq_z(got, paths[i].path)))
            fail_msg("%s: %s", paths[i].raw, err_name(e));
    }
    static const char nul[] = "/a\0b";
    struct str got;
    assert_int_equal(request_path(&arena, str_of(nul, 4), &got), ERR_INVALID);
}

static void hosts_lose_case_and_port(void **state)
{
    (void)state;
    static const char *const hosts[][2] = {{"A.Example", "a.example"},
                                           {"a:80", "a"},
                                           {"[::1]:80", "[::1]"},
                                           {"[2001:DB8::1]", "[2001:db8::1]"},
                                           {"", ""},
                                           {"a:", "a"},
                                           {"[::1", "[::1"}};
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        assert_true(str_eq_z(request_host(&arena, str_from(hosts[i][0])), hosts[i][1]));
}

/* ---- traces ---------------------------------------------------------------------------------- */
static void traceparent_is_valid_or_ignored(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool good;
    } rows[] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more", false},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head h = {.n_headers = 1};
        char id[33];
        h.headers[0] = (struct http_header){STR("Traceparent"), str_from(rows[i].value)};
        assert_int_equal(request_trace_id(&h, id), rows[i].good);
        assert_true(!rows[i].good || strcmp(id, "4bf92f3577b34da6a3ce929d0e0e4736") == 0);
    }
}

/* ---- proxies --------------------------------------------------------------------------------- */
static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_read(str_from(text), &ip));
    return ip;
}

static bool has(const struct trusted *t, const char *text)
{
    struct ip ip = ip_of(text);
    return trusted_has(t, &ip);
}

static void networks(void **state)
{
    (void)state;
    static struct trusted t;
    trusted_read(STR("127.0.0.1, 10.0.0.0/8,192.168.4.0/23 ,fd00::/8,2001:db8::5,"), &t);
    assert_int_equal(t.n, 5);
    assert_true(has(&t, "127.0.0.1") && has(&t, "10.255.0.1") && has(&t, "192.168.5.255"));
    assert_true(has(&t, "fdff::1") && has(&t, "2001:db8::5") && has(&t, "::ffff:10.0.0.1"));
    assert_false(has(&t, "127.0.0.2") || has(&t, "11.0.0.1") || has(&t, "192.168.6.0"));
    assert_false(has(&t, "fc00::1") || has(&t, "2001:db8::6") || has(&t, "::1"));
    trusted_read(STR("10.0.0.0/33,localhost,10.0.0/8,1.2.3.4/-1,::/129,10.0.0.1:80"), &t);
    assert_int_equal(t.n, 0); /* what is not understood trusts nobody */
    trusted_read(STR(""), &t);
    assert_int_equal(t.n, 0);
    trusted_read(STR("0.0.0.0/0"), &t);
    assert_true(has(&t, "8.8.8.8"));
    assert_false(has(&t, "2001:db8::1"));
}

static void addresses_have_one_text(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"192.0.2.1", "192.0.2.1"},          {"192.0.2.1:8080", "192.0.2.1"},
        {"[2001:DB8::1]:80", "2001:db8::1"}, {"[2001:db8:0:0::1]", "2001:db8::1"},
        {"2001:db8::1", "2001:db8::1"},      {"::ffff:192.0.2.1", "192.0.2.1"}};
    static const char *const wrong[] = {"",     "unknown", "_hidden",    "192.0.2", "192.0.2.256",
                                        "[::1", "a:b",     "192.0.2.1 ", "::g"};
    char text[ADDRESS_TEXT];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ip ip = ip_of(rows[i][0]);
        assert_int_equal(ip_text(&ip, text), strlen(rows[i][1]));
        assert_string_equal(text, rows[i][1]);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct ip ip;
        assert_false(ip_read(str_from(wrong[i]), &ip));
    }
}

/* Up to three fields "Name: value", the trusted proxies being 10.0.0.0/8. */
static const struct {
    const char *field[3], *client; /* NULL: nobody */
    bool secure;
} hops[] = {
    {{"Forwarded: for=192.0.2.1;proto=https"}, "192.0.2.1", true},
    {{"Forwarded: For=\"[2001:db8::1]:4711\" ; Proto=HTTPS;by=10.0.0.1"}, "2001:db8::1", true},
    {{"Forwarded: for=192.0.2.1;proto=http"}, "192.0.2.1", false},
    {{"Forwarded: for=192.0.2.1"}, "192.0.2.1", false},
    /* Written by the client, before the proxy's own: not believed. */
    {{"Forwarded: for=198.51.100.9;proto=https, for=192.0.2.1;proto=http"}, "192.0.2.1", false},
    {{"Forwarded: for=198.51.100.9;proto=https", "Forwarded: for=192.0.2.1"}, "192.0.2.1", false},
    {{"Forwarded: for=\"a,for=198.51.100.9;proto=https\", for=192.0.2.1"}, "192.0.2.1", false},
    /* Through two proxies: the outer one says how the client came. */
    {{"Forwarded: for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"}, "192.0.2.1", true},
    {{"Forwarded: for=192.0.2.1;proto=https", "Forwarded: for=10.0.0.2"}, "192.0.2.1", true},
    {{"Forwarded: for=unknown;proto=https"}, NULL, true},
    {{"Forwarded: for=192.0.2.1;proto=https, for=unknown"}, NULL, false},
    {{"Forwarded: for=unknown, for=10.0.0.2;proto=https"}, "10.0.0.2", true},
    {{"Forwarded: "}, NULL, false},
    {{"Forwarded: ;;,,=;for"}, NULL, false},
    {{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "192.0.2.1", true},
    {{"X-Forwarded-For: 198.51.100.9, 192.0.2.1"}, "192.0.2.1", false},
    {{"X-Forwarded-For: 198.51.100.9", "X-Forwarded-For: 192.0.2.1, 10.0.0.3"}, "192.0.2.1", false},
    {{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http"}, "192.0.2.1", false},
    {{"X-Forwarded-For: 10.0.0.3"}, "10.0.0.3", false},
    {{"X-Forwarded-Proto: https"}, NULL, true},
    {{"X-Forwarded-For: nonsense", "X-Forwarded-Proto: https"}, NULL, true},
    /* Both kinds: only when they agree. */
    {{"Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.1",
      "X-Forwarded-Proto: https"},
     "192.0.2.1",
     true},
    {{"Forwarded: for=198.51.100.9;proto=https", "X-Forwarded-For: 192.0.2.1"}, NULL, false},
    {{"Forwarded: for=unknown", "X-Forwarded-For: 192.0.2.1"}, NULL, false},
    {{"Forwarded: for=198.51.100.9", "X-Forwarded-Proto: http"}, NULL, false},
    {{"Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.1",
      "X-Forwarded-Proto: http"},
     NULL,
     false},
};

static void head_of(struct http_head *h, const char *const field[3])
{
    h->n_headers = 0;
    for (size_t i = 0; i < 3 && field[i]; i++) {
        struct str f = str_from(field[i]);
        ptrdiff_t colon = str_find_char(f, ':');
        h->headers[h->n_headers++] =
            (struct http_header){str_sub(f, 0, (size_t)colon), str_after(f, (size_t)colon + 2)};
    }
}

static void clients_behind_proxies(void **state)
{
    (void)state;
    static struct trusted t;
    trusted_read(STR("10.0.0.0/8"), &t);
    for (size_t i = 0; i < COUNT_OF(hops); i++) {
        struct http_head h;
        struct ip ip;
        char text[ADDRESS_TEXT] = "";
        bool secure;
        head_of(&h, hops[i].field);
        bool found = proxy_client(&t, &h, &ip, &secure);
        if (found)
            ip_text(&ip, text);
        if (found != (hops[i].client != NULL) || secure != hops[i].secure ||
            (found && strcmp(text, hops[i].client) != 0))
            fail_msg("%s: %s %s", hops[i].field[0], found ? text : "nobody",
                     secure ? "secure" : "plain");
    }
}

static void strangers_lose_their_claims(void **state)
{
    (void)state;
    static const char *const names[] = {"Host",
                                        "forwarded",
                                        "X-Forwarded-For",
                                        "X-FORWARDED-PROTO",
                                        "x-forwarded-host",
                                        "X-Forwarded-Port",
                                        "X-Real-Ip",
                                        "Client-Cert",
                                        "client-cert-chain",
                                        "Cookie",
                                        "X-Other"};
    struct http_head h = {.n_headers = 0};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        h.headers[h.n_headers++] = (struct http_header){str_from(names[i]), STR("v")};
    proxy_strip(&h);
    assert_int_equal(h.n_headers, 3);
    assert_true(str_eq_z(h.headers[0].name, "Host") && str_eq_z(h.headers[1].name, "Cookie") &&
                str_eq_z(h.headers[2].name, "X-Other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded_or_refused),
        cmocka_unit_test(hosts_lose_case_and_port),
        cmocka_unit_test(traceparent_is_valid_or_ignored),
        cmocka_unit_test(networks),
        cmocka_unit_test(addresses_have_one_text),
        cmocka_unit_test(clients_behind_proxies),
        cmocka_unit_test(strangers_lose_their_claims),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, teardown);
}
