/* People who sign in, as fast as they are let: one thread, one epoll, a connection kept alive each.
 *
 *   login -a '/authorize?...' -R REDIRECT_URI -b BASIC [-T PATH] [-I PATH] [-C COOKIES] [-U PREFIX]
 *         [-k] [-H HOST] [-c PEOPLE] [-d SECONDS] [-w WARM_UP] [-r RATE] http://127.0.0.1:8080
 *   login -M 'grant_type=client_credentials&scope=x' -b BASIC ...       the token endpoint alone
 *
 * A login is authorize, whatever redirections follow (with cookies, as a browser), the code, the
 * token and userinfo, on one connection. state and nonce are added to -a, new each time. -C: a file
 * with a Cookie header a line, taken in turns; else the jar starts empty, or (-k) is kept from one
 * login to the next. A redirection to -U, the provider upstream, is answered here: its person is
 * signed in already and its server is measured by nobody. -r as in load.c: logins begin at fixed
 * times, and latency counts from when one was due. One line of JSON on standard output. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PEOPLE_MAX = 1024,
    IN_MAX = 64 * 1024,
    OUT_MAX = 16 * 1024,
    JAR = 8,
    COOKIE_MAX = 600,
    TARGET_MAX = 4096,
    HOPS_MAX = 12,
    HIST_MAX = 400000, /* by 10 us */
};
enum step { FREE, AUTHORIZE, TOKEN, USERINFO };

struct person {
    int fd, hops;
    enum step step;
    int64_t due_ns;
    size_t in_n;
    char in[IN_MAX + 1];
    char jar[JAR][COOKIE_MAX];
    char target[TARGET_MAX];
};

static struct {
    int people, port;
    double seconds, warm_seconds, rate;
    const char *authorize, *redirect, *basic, *token, *userinfo, *cookies, *upstream, *mint, *host;
    bool keep;
} opt = {.people = 64,
         .seconds = 4,
         .warm_seconds = 1,
         .token = "/api/v2/token",
         .userinfo = "/api/v2/userinfo"};

static struct person *people, *idle[PEOPLE_MAX];
static int n_idle, epoll_fd;
static char address[64], **cookies, redirect_encoded[1024];
static size_t n_cookies, cookie_at;
static uint64_t hist[HIST_MAX], n_good, n_failed, serial;
static int64_t max_ns;
static bool counting;

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "login: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- cookies -------------------------------------------------------------------------------- */
static void jar_put(struct person *p, const char *line, size_t n)
{
    const char *semi = memchr(line, ';', n);
    size_t pair = semi ? (size_t)(semi - line) : n;
    const char *eq = memchr(line, '=', pair);
    if (!eq || pair >= COOKIE_MAX)
        return;
    size_t name = (size_t)(eq - line) + 1;
    bool gone = name == pair || memmem(line, n, "Max-Age=0", 9) || memmem(line, n, "1970", 4);
    char(*free_slot)[COOKIE_MAX] = NULL;
    for (int i = 0; i < JAR; i++) {
        if (p->jar[i][0] && strncmp(p->jar[i], line, name) == 0)
            p->jar[i][0] = '\0';
        if (!p->jar[i][0] && !free_slot)
            free_slot = &p->jar[i];
    }
    if (gone || !free_slot)
        return;
    memcpy(*free_slot, line, pair);
    (*free_slot)[pair] = '\0';
}

static void jar_begin(struct person *p)
{
    if (n_cookies == 0 && opt.keep)
        return;
    memset(p->jar, 0, sizeof p->jar);
    if (n_cookies)
        snprintf(p->jar[0], COOKIE_MAX, "%s", cookies[cookie_at++ % n_cookies]);
}

/* ---- requests ------------------------------------------------------------------------------- */
static void person_again(struct person *p);

static void send_all(struct person *p, const char *out, size_t n)
{
    if (send(p->fd, out, n, MSG_NOSIGNAL) != (ssize_t)n) /* it fits a socket's buffer */
        person_again(p);
}

static void get(struct person *p, const char *bearer)
{
    char out[OUT_MAX];
    int n = snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: %s\r\n", p->target, opt.host);
    bool any = false;
    for (int i = 0; i < JAR && !bearer; i++)
        if (p->jar[i][0]) {
            n += snprintf(out + n, sizeof out - (size_t)n, "%s%s",
                          any ? "; " : "Cookie: ", p->jar[i]);
            any = true;
        }
    n += bearer
             ? snprintf(out + n, sizeof out - (size_t)n, "Authorization: Bearer %s\r\n\r\n", bearer)
             : snprintf(out + n, sizeof out - (size_t)n, any ? "\r\n\r\n" : "\r\n");
    if (n >= (int)sizeof out)
        die("a request is too long");
    send_all(p, out, (size_t)n);
}

static void post_token(struct person *p, const char *body)
{
    char out[OUT_MAX];
    int n = snprintf(out, sizeof out,
                     "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\n"
                     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n"
                     "\r\n%s",
                     opt.token, opt.host, opt.basic, strlen(body), body);
    p->step = TOKEN;
    send_all(p, out, (size_t)n);
}

static void login_begin(struct person *p, int64_t due_ns)
{
    p->due_ns = due_ns;
    p->hops = 0;
    if (opt.mint) {
        post_token(p, opt.mint);
        return;
    }
    jar_begin(p);
    p->step = AUTHORIZE;
    snprintf(p->target, sizeof p->target, "%s&state=etat%llu&nonce=%024llx", opt.authorize,
             (unsigned long long)serial, (unsigned long long)serial);
    serial++;
    get(p, NULL);
}

/* ---- answers -------------------------------------------------------------------------------- */
/* The value of a header or of a parameter: from `name` to one of `ends`. */
static size_t value_of(const char *text, const char *name, const char *ends, const char **out)
{
    const char *p = strcasestr(text, name);
    if (!p)
        return 0;
    *out = p + strlen(name);
    return strcspn(*out, ends);
}

/* The provider upstream: its code is our nonce, which its ID token is to hold. */
static bool upstream_answer(char *to, size_t size, const char *location)
{
    const char *state = "", *nonce = "", *back = "";
    size_t state_n = value_of(location, "state=", "&", &state);
    size_t nonce_n = value_of(location, "nonce=", "&", &nonce);
    size_t back_n = value_of(location, "redirect_uri=", "&", &back);
    const char *path = back_n ? strcasestr(back, "%2Fconnexion") : NULL;
    if (!state_n || !nonce_n || !path)
        return false;
    int n = 0;
    for (const char *p = path; p < back + back_n && n < (int)size - 1; p++) {
        bool slash = strncasecmp(p, "%2F", 3) == 0;
        to[n++] = slash ? '/' : *p;
        p += slash ? 2 : 0;
    }
    snprintf(to + n, size - (size_t)n, "?code=%.*s&state=%.*s&iss=%s", (int)nonce_n, nonce,
             (int)state_n, state, opt.upstream);
    return true;
}

static void fail(struct person *p, const char *what)
{
    if (counting && n_failed++ < 3)
        fprintf(stderr, "login: step %d: %s: %.600s\n", p->step, what, p->in);
    person_again(p);
}

static void redirected(struct person *p, const char *head)
{
    const char *to, *code;
    char location[TARGET_MAX], body[OUT_MAX];
    size_t n = value_of(head, "\nlocation: ", "\r", &to);
    if (!n || n >= sizeof location || ++p->hops > HOPS_MAX) {
        fail(p, "no way on");
        return;
    }
    memcpy(location, to, n);
    location[n] = '\0';
    if (strncmp(location, opt.redirect, strlen(opt.redirect)) == 0) {
        size_t code_n = value_of(location, "code=", "&", &code);
        if (!code_n) {
            fail(p, location);
            return;
        }
        snprintf(body, sizeof body, "grant_type=authorization_code&code=%.*s&redirect_uri=%s",
                 (int)code_n, code, redirect_encoded);
        post_token(p, body);
        return;
    }
    if (opt.upstream && strncmp(location, opt.upstream, strlen(opt.upstream)) == 0) {
        if (!upstream_answer(p->target, sizeof p->target, location)) {
            fail(p, location);
            return;
        }
    } else {
        const char *path = strstr(location, "://");
        path = path ? strchr(path + 3, '/') : location;
        snprintf(p->target, sizeof p->target, "%s", path ? path : "/");
    }
    get(p, NULL);
}

static void login_over(struct person *p)
{
    int64_t took_ns = now_ns() - p->due_ns;
    p->step = FREE;
    idle[n_idle++] = p;
    if (!counting)
        return;
    n_good++;
    int64_t row = took_ns / 10000;
    hist[row < HIST_MAX ? row : HIST_MAX - 1]++;
    max_ns = took_ns > max_ns ? took_ns : max_ns;
}

static void answered(struct person *p, int status, char *head, const char *body)
{
    const char *access;
    for (const char *line = head; (line = strcasestr(line, "\nset-cookie: ")) != NULL;) {
        line += 13;
        jar_put(p, line, strcspn(line, "\r"));
    }
    if (p->step == AUTHORIZE && (status == 302 || status == 303)) {
        redirected(p, head);
    } else if (p->step == TOKEN && status == 200) {
        size_t n = value_of(body, "\"access_token\":\"", "\"", &access);
        if (opt.mint && n) {
            login_over(p);
            return;
        }
        char token[OUT_MAX];
        if (!n || n >= sizeof token || !strstr(body, "\"id_token\":\"")) {
            fail(p, "no tokens");
            return;
        }
        memcpy(token, access, n);
        token[n] = '\0';
        p->step = USERINFO;
        snprintf(p->target, sizeof p->target, "%s", opt.userinfo);
        get(p, token);
    } else if (p->step == USERINFO && status == 200) {
        login_over(p);
    } else {
        fail(p, "status");
    }
}

/* Takes one whole answer out of what came, if there is one. */
static void take(struct person *p)
{
    static char head[IN_MAX + 1], body[IN_MAX + 1];
    const char *length;
    p->in[p->in_n] = '\0';
    char *end = strstr(p->in, "\r\n\r\n");
    if (!end)
        return;
    size_t head_n = (size_t)(end + 4 - p->in), body_n = 0;
    memcpy(head, p->in, head_n);
    head[head_n] = '\0';
    if (value_of(head, "\ncontent-length:", "\r", &length))
        body_n = (size_t)strtoull(length, NULL, 10);
    if (head_n + body_n > IN_MAX || strcasestr(head, "\ntransfer-encoding:")) {
        fail(p, "framing");
        return;
    }
    if (p->in_n < head_n + body_n)
        return;
    memcpy(body, p->in + head_n, body_n);
    body[body_n] = '\0';
    p->in_n -= head_n + body_n;
    answered(p, (int)strtol(head + 9, NULL, 10), head, body);
}

/* ---- connections ---------------------------------------------------------------------------- */
static void person_open(struct person *p)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int one = 1;
    if (inet_pton(AF_INET, address, &addr.sin_addr) != 1)
        die("the address must be numeric");
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        die("connect");
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
    if (fcntl(p->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) != 0)
        die("epoll_ctl");
    p->in_n = 0;
    p->step = FREE;
}

static void person_again(struct person *p)
{
    close(p->fd);
    person_open(p);
    idle[n_idle++] = p;
}

static void person_event(struct person *p)
{
    ssize_t n = recv(p->fd, p->in + p->in_n, IN_MAX - p->in_n, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        p->in_n += (size_t)n;
        take(p);
        return;
    }
    for (int i = 0; p->step == FREE && i < n_idle; i++)
        if (idle[i] == p)
            idle[i] = idle[--n_idle];
    n_failed += counting && p->step != FREE;
    person_again(p);
}

/* ---- the run -------------------------------------------------------------------------------- */
static double percentile(double part)
{
    uint64_t seen = 0;
    for (int i = 0; i < HIST_MAX; i++) {
        seen += hist[i];
        if (n_good && (double)seen >= part * (double)n_good)
            return (double)(i + 1) * 10;
    }
    return 0;
}

static void run(void)
{
    struct epoll_event events[256];
    int64_t start_ns = now_ns(), count_ns = start_ns + (int64_t)(opt.warm_seconds * 1e9);
    int64_t end_ns = count_ns + (int64_t)(opt.seconds * 1e9);
    double gap_ns = opt.rate > 0 ? 1e9 / opt.rate : 0, next_ns = (double)start_ns;
    for (int64_t t_ns; (t_ns = now_ns()) < end_ns;) {
        counting = t_ns >= count_ns;
        while (n_idle && (gap_ns == 0 || (int64_t)next_ns <= t_ns)) {
            login_begin(idle[--n_idle], gap_ns == 0 ? now_ns() : (int64_t)next_ns);
            next_ns += gap_ns;
        }
        int64_t wait_ns = gap_ns > 0 && n_idle ? (int64_t)next_ns - now_ns() : 50000000;
        struct timespec wait = {0, wait_ns < 0 ? 0 : wait_ns > 50000000 ? 50000000 : wait_ns};
        int n = epoll_pwait2(epoll_fd, events, 256, &wait, NULL);
        for (int i = 0; i < n; i++)
            person_event(events[i].data.ptr);
    }
    double took_s = (double)(now_ns() - count_ns) / 1e9;
    printf("{\"logins\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"p50_us\":%.0f,"
           "\"p99_us\":%.0f,\"max_us\":%.0f}\n",
           (unsigned long long)n_good, (unsigned long long)n_failed, took_s,
           (double)n_good / took_s, percentile(0.50), percentile(0.99), (double)max_ns / 1000);
}

static void read_cookies(const char *path)
{
    char line[COOKIE_MAX];
    FILE *f = fopen(path, "r");
    if (!f)
        die(path);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        cookies = realloc(cookies, (n_cookies + 1) * sizeof *cookies);
        if (!cookies)
            die("memory");
        cookies[n_cookies++] = strdup(line);
    }
    fclose(f);
}

static void encode(const char *s)
{
    size_t n = 0;
    for (; *s && n < sizeof redirect_encoded - 4; s++)
        n += (size_t)snprintf(redirect_encoded + n, 4,
                              *s == ':' || *s == '/' || *s == '?' || *s == '&' ? "%%%02X" : "%c",
                              (unsigned char)*s);
}

static void read_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "a:R:b:T:I:C:U:M:H:kc:d:w:r:")) != -1) {
        switch (o) {
        case 'a':
            opt.authorize = optarg;
            break;
        case 'R':
            opt.redirect = optarg;
            break;
        case 'b':
            opt.basic = optarg;
            break;
        case 'T':
            opt.token = optarg;
            break;
        case 'I':
            opt.userinfo = optarg;
            break;
        case 'C':
            opt.cookies = optarg;
            break;
        case 'U':
            opt.upstream = optarg;
            break;
        case 'M':
            opt.mint = optarg;
            break;
        case 'H':
            opt.host = optarg;
            break;
        case 'k':
            opt.keep = true;
            break;
        case 'c':
            opt.people = (int)strtol(optarg, NULL, 10);
            break;
        case 'd':
            opt.seconds = strtod(optarg, NULL);
            break;
        case 'w':
            opt.warm_seconds = strtod(optarg, NULL);
            break;
        case 'r':
            opt.rate = strtod(optarg, NULL);
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc - 1 || opt.people < 1 || opt.people > PEOPLE_MAX || !opt.basic ||
        (!opt.mint && (!opt.authorize || !opt.redirect)) ||
        sscanf(argv[optind], "http://%63[0-9.]:%d", address, &opt.port) != 2) {
        fputs("usage: see the top of bench/login.c\n", stderr);
        exit(2);
    }
    if (!opt.host)
        opt.host = strchr(argv[optind], '/') + 2;
    if (opt.redirect)
        encode(opt.redirect);
    if (opt.cookies)
        read_cookies(opt.cookies);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    people = calloc((size_t)opt.people, sizeof *people);
    if (epoll_fd < 0 || !people)
        die("start");
    serial = (uint64_t)now_ns();
    for (int i = 0; i < opt.people; i++) {
        person_open(&people[i]);
        idle[n_idle++] = &people[i];
    }
    run();
    return 0;
}
