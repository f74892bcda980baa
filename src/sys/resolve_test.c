/* Names to addresses, asked of a small name server of our own; and which addresses are inside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/resolve.h"
#include "sys/sandbox.h"

/* --- a name server: answers A and AAAA by a table --------------------------------------------- */

enum { TYPE_A = 1, TYPE_AAAA = 28, MANY = 20 };

static const struct record {
    const char *name; /* as text */
    unsigned type;
    const char *address;
} records[] = {
    {"one.test", TYPE_A, "93.184.216.34"},
    {"both.test", TYPE_A, "93.184.216.34"},
    {"both.test", TYPE_AAAA, "2606:2800:220:1:248:1893:25c8:1946"},
    {"inside.test", TYPE_A, "10.1.2.3"},
    {"inside.test", TYPE_AAAA, "::1"},
    {"mixed.test", TYPE_A, "192.168.1.1"},
    {"mixed.test", TYPE_A, "93.184.216.34"},
    {"mixed.test", TYPE_A, "127.0.0.1"},
};
static int server;
static char server_csv[32];

static size_t name_read(const uint8_t *q, size_t n, char out[256])
{
    size_t at = 12, len = 0;
    while (at < n && q[at] && len + q[at] + 1 < 256) {
        memcpy(out + len, q + at + 1, q[at]);
        len += q[at];
        out[len++] = '.';
        at += q[at] + 1u;
    }
    out[len ? len - 1 : 0] = '\0';
    return at + 1;
}

static size_t answer_add(uint8_t *at, unsigned type, const char *address)
{
    const uint8_t head[] = {0xc0, 12, 0, (uint8_t)type,          0, 1, 0, 0,
                            0,    60, 0, type == TYPE_A ? 4 : 16};
    memcpy(at, head, sizeof head);
    inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, at + sizeof head);
    return sizeof head + (type == TYPE_A ? 4u : 16u);
}

static size_t answer_make(const uint8_t *q, size_t n, uint8_t *out)
{
    char name[256];
    size_t end = name_read(q, n, name) + 4, len = end;
    unsigned type = q[end - 3], count = 0;
    bool known = false;
    if (strcmp(name, "silent.test") == 0)
        return 0;
    memcpy(out, q, end);
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        if (strcasecmp(records[i].name, name) != 0)
            continue;
        known = true;
        if (records[i].type == type && ++count)
            len += answer_add(out + len, type, records[i].address);
    }
    for (int i = 0; strcmp(name, "many.test") == 0 && i < MANY && type == TYPE_A; i++, count++) {
        char address[32];
        snprintf(address, sizeof address, "93.184.0.%d", i);
        len += answer_add(out + len, type, address);
        known = true;
    }
    bool broken = strcmp(name, "broken.test") == 0;
    out[2] = 0x84; /* an answer, authoritative */
    out[3] = broken ? 2 : known || strcmp(name, "many.test") == 0 ? 0 : 3;
    memset(out + 6, 0, 6);
    out[7] = (uint8_t)count;
    return strcmp(name, "garbage.test") == 0 ? 15 : len;
}

static void *serve(void *arg)
{
    uint8_t q[512], out[4096];
    struct sockaddr_in from;
    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(server, q, sizeof q, 0, (struct sockaddr *)&from, &len);
        if (n < 17)
            return arg;
        size_t m = answer_make(q, (size_t)n, out);
        if (m)
            sendto(server, out, m, 0, (struct sockaddr *)&from, len);
    }
}

static pthread_t server_thread;

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    server = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(server, (struct sockaddr *)&a, n) != 0 ||
        getsockname(server, (struct sockaddr *)&a, &n) != 0)
        return 1;
    snprintf(server_csv, sizeof server_csv, "127.0.0.1:%d", ntohs(a.sin_port));
    resolve_set_servers(server_csv);
    return pthread_create(&server_thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
    (void)state;
    shutdown(server, SHUT_RDWR); /* wakes recvfrom */
    pthread_join(server_thread, NULL);
    return close(server);
}

/* --- the questions ---------------------------------------------------------------------------- */

static struct resolved got[MANY];
static size_t found;
static char text[64];

static enum err ask(const char *host, bool allow_inside)
{
    return resolve_host(str_from(host), 8443, allow_inside, got, COUNT_OF(got), &found);
}

static const char *address(size_t i)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&got[i].addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&got[i].addr;
    char ip[INET6_ADDRSTRLEN];
    bool is4 = got[i].addr.ss_family == AF_INET;
    assert_int_equal(got[i].len, is4 ? sizeof *v4 : sizeof *v6);
    inet_ntop(got[i].addr.ss_family, is4 ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr, ip,
              sizeof ip);
    snprintf(text, sizeof text, "%s %d", ip, ntohs(is4 ? v4->sin_port : v6->sin6_port));
    return text;
}

static void names_are_found(void **state)
{
    (void)state;
    assert_int_equal(ask("one.test", false), ERR_OK);
    assert_int_equal(found, 1);
    assert_string_equal(address(0), "93.184.216.34 8443");
    assert_int_equal(ask("ONE.test.", false), ERR_OK);
    assert_int_equal(ask("both.test", false), ERR_OK);
    assert_int_equal(found, 2);
    assert_int_equal(ask("none.test", false), ERR_NOT_FOUND);
    assert_int_equal(found, 0);
}

static void no_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct resolved two[2];
    assert_int_equal(resolve_host(STR("many.test"), 1, false, two, 2, &found), ERR_OK);
    assert_int_equal(found, 2);
}

static void addresses_inside_are_refused_unless_allowed(void **state)
{
    (void)state;
    assert_int_equal(ask("inside.test", false), ERR_DENIED);
    assert_int_equal(found, 0);
    assert_int_equal(ask("inside.test", true), ERR_OK);
    assert_int_equal(found, 2);
    assert_int_equal(ask("mixed.test", false), ERR_OK);
    assert_int_equal(found, 1);
    assert_string_equal(address(0), "93.184.216.34 8443");
}

static void localhost_is_the_loopback_and_nobody_is_asked(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "mairie.localhost", "LOCALHOST.",
                                        "a.b.localhost"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(ask(names[i], true), ERR_OK);
        assert_string_equal(address(0), "127.0.0.1 8443");
        assert_int_equal(ask(names[i], false), ERR_DENIED);
    }
    assert_int_equal(ask("notlocalhost", false), ERR_NOT_FOUND);
}

static void written_addresses_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(ask("93.184.216.34", false), ERR_OK);
    assert_int_equal(ask("127.0.0.1", false), ERR_DENIED);
    assert_int_equal(ask("[::1]", false), ERR_DENIED);
    assert_int_equal(ask("[2606:2800:220:1::1]", false), ERR_OK);
    assert_string_equal(address(0), "2606:2800:220:1::1 8443");
    assert_int_equal(ask("[::ffff:127.0.0.1]", false), ERR_DENIED);
}

/* Spellings that other resolvers read as 127.0.0.1. */
static void odd_spellings_never_reach_inside(void **state)
{
    (void)state;
    static const char *const odd[] = {"127.1",  "2130706433", "0x7f000001", "0177.0.0.1",
                                      "0x7f.1", "127.0.0.1.", "127.0.0.01", "[127.0.0.1]",
                                      "::1",    "[::1"};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        enum err e = ask(odd[i], false);
        if (e != ERR_INVALID && e != ERR_DENIED)
            fail_msg("%s gave %s", odd[i], err_name(e));
    }
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       ".", "a b", "a/b",        "a@b", "fe80::1%eth0",
                                      "é.test", "[", "[]",  "[one.test]", "a:80"};
    char far[300];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        enum err e = ask(bad[i], true);
        if (e != ERR_INVALID && e != ERR_NOT_FOUND)
            fail_msg("%s gave %s", bad[i], err_name(e));
    }
    memset(far, 'a', sizeof far);
    assert_int_equal(resolve_host(str_of(far, sizeof far), 80, true, got, 1, &found), ERR_INVALID);
    assert_int_equal(resolve_host(str_of("a\0b", 3), 80, true, got, 1, &found), ERR_INVALID);
    assert_int_equal(resolve_host(STR("one.test"), 65536, true, got, 1, &found), ERR_INVALID);
}

static void a_server_that_fails_is_told_from_a_name_that_is_not(void **state)
{
    (void)state;
    assert_int_equal(ask("silent.test", false), ERR_TIMEOUT);
    assert_int_not_equal(ask("broken.test", false), ERR_OK);
    assert_int_not_equal(ask("garbage.test", false), ERR_OK);
}

static void it_works_in_the_sandbox(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        static const char *const none[] = {NULL};
        const struct sandbox s = {SANDBOX_NET, none, none};
        bool good = sandbox_enter(&s) == ERR_OK && ask("both.test", false) == ERR_OK && found == 2;
        _exit(good ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void which_addresses_are_inside(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool inside;
    } cases[] = {
        {"0.0.0.0", true},
        {"9.255.255.255", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"100.63.255.255", false},
        {"100.64.0.0", true},
        {"100.127.255.255", true},
        {"100.128.0.0", false},
        {"127.255.255.255", true},
        {"128.0.0.0", false},
        {"169.254.169.254", true},
        {"172.15.255.255", false},
        {"172.16.0.0", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.0.0.8", true},
        {"192.168.255.255", true},
        {"192.169.0.0", false},
        {"198.17.255.255", false},
        {"198.18.0.0", true},
        {"198.19.255.255", true},
        {"223.255.255.255", false},
        {"224.0.0.1", true},
        {"255.255.255.255", true},
        {"8.8.8.8", false},
        {"::", true},
        {"::1", true},
        {"::ffff:10.0.0.1", true},
        {"::ffff:8.8.8.8", false},
        {"::7f00:1", true},
        {"64:ff9b::a00:1", true},
        {"64:ff9b::808:808", false},
        {"64:ff9b:1::1", true},
        {"2002:a00:1::", true},
        {"2002:808:808::", false},
        {"2001::1", true},
        {"2001:db8::1", true},
        {"2001:4860:4860::8888", false},
        {"2a01:e0a::1", false},
        {"3fff::1", true},
        {"fc00::1", true},
        {"fd12::1", true},
        {"fe80::1", true},
        {"fec0::1", true},
        {"ff02::1", true},
        {"100::1", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        bool is4 = inet_pton(AF_INET, cases[i].address, &v4.sin_addr) == 1;
        assert_true(is4 || inet_pton(AF_INET6, cases[i].address, &v6.sin6_addr) == 1);
        if (resolve_is_inside(is4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6) !=
            cases[i].inside)
            fail_msg("%s", cases[i].address);
    }
    assert_true(resolve_is_inside(&(struct sockaddr){.sa_family = AF_UNIX}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(addresses_inside_are_refused_unless_allowed),
        cmocka_unit_test(localhost_is_the_loopback_and_nobody_is_asked),
        cmocka_unit_test(written_addresses_are_taken_as_they_are),
        cmocka_unit_test(odd_spellings_never_reach_inside),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(a_server_that_fails_is_told_from_a_name_that_is_not),
        cmocka_unit_test(it_works_in_the_sandbox),
        cmocka_unit_test(which_addresses_are_inside),
    };
    return cmocka_run_group_tests_name("resolve", tests, setup, teardown);
}
