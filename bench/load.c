/* A load generator for HTTP/1.1 over loopback: one thread, one epoll, connections kept alive.
 *
 *   load -c 64 -d 4 [-w 1] [-r RATE] [-H 'Name: value']... [-s STATUS] [-C CERT] [-L FILE]
 *        http[s]://127.0.0.1:8080/path
 *
 * https is TLS 1.3 on kept connections; -C shows a client certificate (PEM with its key). -L takes
 * headers that change with each request, a line a request and tabs between headers, in rotation.
 *
 * Without -r each connection sends again as soon as it was answered: that measures throughput. With
 * -r requests leave at fixed times whatever the answers do, and latency counts from the time a
 * request was due, not from when a connection was free: a server that stalls pays for every request
 * that should have been sent meanwhile. One line of JSON on standard output. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
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
    CONNS_MAX = 4096,
    HEADERS_MAX = 16,
    IN_MAX = 64 * 1024,
    SUB_BITS = 6, /* of each power of two: latencies within 1.6 percent */
    HIST_ROWS = 64 << SUB_BITS,
};

struct conn {
    int fd;
    SSL *ssl; /* NULL: plain */
    bool busy;
    int64_t due_ns;
    int status;
    size_t in_n;
    int64_t left; /* of the body: -1 head not read yet, -2 chunked */
    char in[IN_MAX];
};

static struct {
    int conns;
    double seconds, warm_seconds, rate;
    int status;
    const char *headers[HEADERS_MAX];
    int n_headers;
    char host[128];
    int port;
    char path[2048];
    const char *certificate, *lines;
    bool tls;
} opt = {.conns = 64, .seconds = 4, .warm_seconds = 1, .status = 200};

static struct conn *conns;
static struct conn *idle[CONNS_MAX];
static int n_idle, epoll_fd;
static char request[64 * 1024];
static size_t request_n;
static SSL_CTX *tls;
static char **lines;
static size_t n_lines, next_line;
static uint64_t hist[HIST_ROWS], n_good, n_other, n_errors, bytes_in;
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
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- histogram ------------------------------------------------------------------------------ */
static size_t row_of(uint64_t ns)
{
    if (ns < 1u << SUB_BITS)
        return (size_t)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return ((size_t)(shift + 1) << SUB_BITS) + (size_t)((ns >> shift) - (1u << SUB_BITS));
}

static double row_us(size_t row)
{
    size_t power = row >> SUB_BITS, sub = row & ((1u << SUB_BITS) - 1);
    if (power == 0)
        return (double)sub / 1000;
    return (double)((uint64_t)(sub + (1u << SUB_BITS)) << (power - 1)) / 1000;
}

static double percentile(double p)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < HIST_ROWS; i++)
        total += hist[i];
    for (size_t i = 0; i < HIST_ROWS; i++) {
        seen += hist[i];
        if (total && (double)seen >= p * (double)total)
            return row_us(i);
    }
    return 0;
}

static void count(struct conn *c)
{
    int64_t took_ns = now_ns() - c->due_ns;
    if (!counting)
        return;
    if (c->status != opt.status) {
        n_other++;
        return;
    }
    n_good++;
    hist[row_of((uint64_t)(took_ns < 0 ? 0 : took_ns))]++;
    if (took_ns > max_ns)
        max_ns = took_ns;
}

/* ---- connections ---------------------------------------------------------------------------- */
static void conn_open(struct conn *c)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int one = 1;
    if (inet_pton(AF_INET, opt.host, &addr.sin_addr) != 1) {
        errno = EINVAL;
        die("the address must be numeric");
    }
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.tls) {
        c->ssl = SSL_new(tls);
        if (!c->ssl || !SSL_set_fd(c->ssl, c->fd) || SSL_connect(c->ssl) != 1)
            die("tls");
    }
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        die("epoll_ctl");
    c->in_n = 0;
    c->left = -1;
    c->busy = false;
}

static void conn_again(struct conn *c)
{
    if (counting)
        n_errors++;
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    conn_open(c);
    idle[n_idle++] = c;
}

static void conn_send(struct conn *c, int64_t due_ns)
{
    c->busy = true;
    c->due_ns = due_ns;
    size_t size = request_n;
    if (n_lines) {
        const char *line = lines[next_line++ % n_lines];
        size_t more = strlen(line);
        memcpy(request + size, line, more + 1);
        size += more;
    }
    ssize_t n =
        c->ssl ? SSL_write(c->ssl, request, (int)size) : send(c->fd, request, size, MSG_NOSIGNAL);
    if (n != (ssize_t)size) /* a request fits a socket's buffer: anything else is a failure */
        conn_again(c);
}

static const char *find_header(const char *head, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = head; p + len < head + n; p++)
        if (*p == '\n' && strncasecmp(p + 1, name, len) == 0)
            return p + 1 + len;
    return NULL;
}

/* Takes what has come. 1: the answer is whole, 0: more is needed, -1: not HTTP. */
static int conn_read(struct conn *c)
{
    if (c->left == -1) {
        char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4);
        if (!end)
            return c->in_n == IN_MAX ? -1 : 0;
        size_t head_n = (size_t)(end + 4 - c->in);
        if (c->in_n < 12 || memcmp(c->in, "HTTP/1.1 ", 9) != 0)
            return -1;
        c->status = (c->in[9] - '0') * 100 + (c->in[10] - '0') * 10 + (c->in[11] - '0');
        const char *length = find_header(c->in, head_n, "content-length:");
        c->left = length ? (int64_t)strtoll(length, NULL, 10)
                  : find_header(c->in, head_n, "transfer-encoding:") ? -2
                                                                     : 0;
        memmove(c->in, c->in + head_n, c->in_n - head_n);
        c->in_n -= head_n;
    }
    if (c->left == -2) { /* chunked: over when the last chunk's line ends what has come */
        if (c->in_n >= 5 && memcmp(c->in + c->in_n - 5, "0\r\n\r\n", 5) == 0) {
            c->in_n = 0;
            c->left = -1;
            return 1;
        }
        if (c->in_n > 5) { /* keep the tail only */
            memmove(c->in, c->in + c->in_n - 5, 5);
            c->in_n = 5;
        }
        return 0;
    }
    size_t take = c->in_n < (size_t)c->left ? c->in_n : (size_t)c->left;
    memmove(c->in, c->in + take, c->in_n - take);
    c->in_n -= take;
    c->left -= (int64_t)take;
    if (c->left > 0)
        return 0;
    c->left = -1;
    return 1;
}

static ssize_t conn_recv(struct conn *c)
{
    if (!c->ssl)
        return recv(c->fd, c->in + c->in_n, IN_MAX - c->in_n, 0);
    int n = SSL_read(c->ssl, c->in + c->in_n, (int)(IN_MAX - c->in_n));
    if (n > 0)
        return n;
    errno = EAGAIN;
    return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void conn_event(struct conn *c)
{
    ssize_t n = conn_recv(c);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (!c->busy) /* an idle connection that was closed is no error: it is opened again */
            n_errors -= counting;
        for (int i = 0; !c->busy && i < n_idle; i++)
            if (idle[i] == c)
                idle[i] = idle[--n_idle];
        conn_again(c);
        return;
    }
    if (counting)
        bytes_in += (uint64_t)n;
    c->in_n += (size_t)n;
    int whole = conn_read(c);
    if (whole == 0) {
        if (c->ssl)
            conn_event(c); /* what lies in the session is not seen by epoll */
        return;
    }
    if (whole < 0 || !c->busy) {
        conn_again(c);
        return;
    }
    count(c);
    c->busy = false;
    idle[n_idle++] = c;
}

/* ---- the run -------------------------------------------------------------------------------- */
static void run(void)
{
    struct epoll_event events[512];
    int64_t start_ns = now_ns(), end_ns, next_ns = start_ns, count_ns;
    double gap_ns = opt.rate > 0 ? 1e9 / opt.rate : 0;
    double next = (double)start_ns;
    count_ns = start_ns + (int64_t)(opt.warm_seconds * 1e9);
    end_ns = count_ns + (int64_t)(opt.seconds * 1e9);
    for (;;) {
        int64_t t_ns = now_ns();
        if (t_ns >= end_ns)
            break;
        counting = t_ns >= count_ns;
        if (gap_ns > 0) {
            for (; n_idle && next_ns <= t_ns; next += gap_ns, next_ns = (int64_t)next)
                conn_send(idle[--n_idle], next_ns);
        } else {
            while (n_idle)
                conn_send(idle[--n_idle], now_ns());
        }
        int64_t wait_ns = gap_ns > 0 && n_idle ? next_ns - now_ns() : 100000000;
        struct timespec wait = {0, wait_ns < 0 ? 0 : wait_ns > 100000000 ? 100000000 : wait_ns};
        int n = epoll_pwait2(epoll_fd, events, 512, &wait, NULL);
        for (int i = 0; i < n; i++)
            conn_event(events[i].data.ptr);
    }
    double took_s = (double)(now_ns() - count_ns) / 1e9;
    printf("{\"requests\":%llu,\"other_status\":%llu,\"errors\":%llu,\"seconds\":%.3f,"
           "\"rate\":%.1f,\"bytes\":%llu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f}\n",
           (unsigned long long)n_good, (unsigned long long)n_other, (unsigned long long)n_errors,
           took_s, (double)n_good / took_s, (unsigned long long)bytes_in, percentile(0.50),
           percentile(0.90), percentile(0.99), percentile(0.999), (double)max_ns / 1000);
}

static void usage(void)
{
    fputs("usage: load [-c CONNECTIONS] [-d SECONDS] [-w WARM_UP] [-r RATE] [-H HEADER]... "
          "[-s STATUS] [-C CERTIFICATE] [-L FILE] http[s]://ADDRESS:PORT/PATH\n",
          stderr);
    exit(2);
}

static void read_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "c:d:w:r:H:s:C:L:")) != -1) {
        switch (o) {
        case 'c':
            opt.conns = (int)strtol(optarg, NULL, 10);
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
        case 's':
            opt.status = (int)strtol(optarg, NULL, 10);
            break;
        case 'C':
            opt.certificate = optarg;
            break;
        case 'L':
            opt.lines = optarg;
            break;
        case 'H':
            if (opt.n_headers == HEADERS_MAX)
                usage();
            opt.headers[opt.n_headers++] = optarg;
            break;
        default:
            usage();
        }
    }
    if (optind != argc - 1 || opt.conns < 1 || opt.conns > CONNS_MAX)
        usage();
    opt.port = 80;
    opt.path[0] = '/';
    const char *url = argv[optind];
    opt.tls = strncmp(url, "https", 5) == 0;
    if (sscanf(url, opt.tls ? "https://%127[0-9.]:%d%2047s" : "http://%127[0-9.]:%d%2047s",
               opt.host, &opt.port, opt.path) < 2)
        usage();
}

static void request_make(void)
{
    bool has_host = false;
    int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n", opt.path);
    for (int i = 0; i < opt.n_headers; i++) {
        has_host |= strncasecmp(opt.headers[i], "host:", 5) == 0;
        n += snprintf(request + n, sizeof request - (size_t)n, "%s\r\n", opt.headers[i]);
        if (n >= (int)sizeof request - 256)
            usage();
    }
    if (!has_host)
        n += snprintf(request + n, sizeof request - (size_t)n, "Host: %s:%d\r\n", opt.host,
                      opt.port);
    if (!n_lines)
        n += snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    request_n = (size_t)n;
}

/* "A: b<tab>C: d" to "A: b\r\nC: d\r\n\r\n". */
static char *line_make(char *line)
{
    size_t n = 0;
    char *out = malloc(2 * strlen(line) + 8);
    for (char *part = strsep(&line, "\t"); out && part; part = strsep(&line, "\t"))
        n += (size_t)snprintf(out + n, strlen(part) + 3, "%s\r\n", part);
    if (!out || n > sizeof request / 2)
        die("a line");
    memcpy(out + n, "\r\n", 3);
    return out;
}

static void lines_read(void)
{
    FILE *f = opt.lines ? fopen(opt.lines, "r") : NULL;
    char *line = NULL;
    size_t room = 0, cap = 0;
    ssize_t n;
    if (!opt.lines)
        return;
    if (!f)
        die(opt.lines);
    while ((n = getline(&line, &room, f)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (n_lines == cap) {
            cap = cap ? 2 * cap : 1024;
            lines = realloc(lines, cap * sizeof *lines);
            if (!lines)
                die("memory");
        }
        lines[n_lines++] = line_make(line);
    }
    free(line);
    fclose(f);
}

static void tls_start(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION))
        die("tls");
    SSL_CTX_set_read_ahead(tls, 1);
    if (opt.certificate &&
        (SSL_CTX_use_certificate_chain_file(tls, opt.certificate) != 1 ||
         SSL_CTX_use_PrivateKey_file(tls, opt.certificate, SSL_FILETYPE_PEM) != 1))
        die(opt.certificate);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    lines_read();
    request_make();
    if (opt.tls)
        tls_start();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.conns, sizeof *conns);
    if (epoll_fd < 0 || !conns)
        die("start");
    for (int i = 0; i < opt.conns; i++) {
        conn_open(&conns[i]);
        idle[n_idle++] = &conns[i];
    }
    run();
    return 0;
}
