/* From settings to running processes. The supervisor opens the listening socket and lays the
 * channels, then starts keys, journal, web and jobs, in that order: each finds the ones it asks. */
#include "platform/boot.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/act.h"
#include "platform/change.h"
#include "platform/ctx.h"
#include "platform/metrics.h"
#include "platform/node.h"
#include "platform/retention.h"
#include "platform/session.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "web/client.h"
#include "web/pages.h"

enum {
    LOOPS_MAX = 16,
    LISTEN_MAX = 4,
    SOCKETS_MAX = LISTEN_MAX * TLS_KINDS,
    GRACE_MS = 5000,
    CERTIFICATES_EVERY_MS = 1000,
};
static const char *const socket_labels[TLS_KINDS] = {"http", "https", "https.clients"};

static unsigned n_loops_of(const struct settings *s)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = s->loops > 0 ? s->loops : cores;
    return n < 1 ? 1 : n > LOOPS_MAX ? LOOPS_MAX : (unsigned)n;
}

enum err platform_migrate(struct platform *pf)
{
    const struct service *s;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && (s = boot_service(i)) != NULL; i++)
        if (s->n_migrations)
            e = db_migrate(pf->db, s->migrations, s->n_migrations, NULL);
    return e;
}

/* ---- opening -----------------------------------------------------------------------------------
 */
static enum err open_secrets(struct platform *pf)
{
    enum err e = keys_shared_secret(pf->keys, "token-seal", pf->token_seal);
    return e == ERR_OK ? keys_shared_secret(pf->keys, "cookie", pf->cookie_secret) : e;
}

enum err boot_open_local(const struct settings *s, struct platform *pf)
{
    *pf = (struct platform){.settings = s};
    arena_init(&pf->arena);
    const char *folder = arena_printf(&pf->arena, "%s/keys", s->data).p;
    enum err e = file_make_dirs(arena_printf(&pf->arena, "%s/db", s->data).p, 0700);
    if (e == ERR_OK)
        e = db_open(s->database, &pf->db);
    if (e == ERR_OK)
        e = keys_open_local(folder, &pf->keys);
    if (e == ERR_OK)
        e = open_secrets(pf);
    return e;
}

void boot_close(struct platform *pf)
{
    if (pf->keys)
        keys_close(pf->keys);
    if (pf->db)
        db_close(pf->db);
    arena_free(&pf->arena);
    mem_wipe(pf->token_seal, sizeof pf->token_seal);
    mem_wipe(pf->cookie_secret, sizeof pf->cookie_secret);
}

/* What web and jobs have in common. */
static enum err open_in_process(struct proc *self, const struct settings *s, struct platform *pf)
{
    enum err e = db_open(s->database, &pf->db);
    if (e != ERR_OK)
        return e;
    pf->keys = keys_connect(proc_fd(self, "keys"));
    int fds[LOOPS_MAX + 1];
    size_t n = proc_fds(self, "journal", fds, COUNT_OF(fds));
    pf->journal = journal_connect(fds[0]);
    int *loop_fds = arena_array(&pf->arena, int, n);
    for (size_t i = 1; i < n; i++)
        loop_fds[i - 1] = fds[i];
    pf->loop_journal_fds = loop_fds;
    pf->n_loop_journal_fds = n - 1;
    return open_secrets(pf);
}

/* The folder of SQLite's file; "" for PostgreSQL. */
static const char *db_folder(struct arena *a, const struct settings *s)
{
    if (strncmp(s->database, "sqlite:", 7) != 0)
        return "";
    char *path = arena_dupz(a, str_from(s->database + 7));
    char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    *slash = '\0';
    return *path ? path : "/";
}

/* web and jobs: the database, the spool and the journal's files to read; not the keys. */
static enum err confine(struct arena *a, const struct settings *s)
{
    const char *const read_paths[] = {"/etc/ssl",
                                      "/etc/resolv.conf",
                                      "/etc/hosts",
                                      "/etc/localtime",
                                      "/usr/share/zoneinfo",
                                      "/usr/share/ca-certificates",
                                      "/usr/lib/ssl",
                                      "/dev/urandom",
                                      "/proc/self",
                                      arena_printf(a, "%s/journal", s->data).p,
                                      s->tls_certificates,
                                      NULL};
    const char *const write_paths[] = {arena_printf(a, "%s/spool", s->data).p, "/dev/null",
                                       "/run/postgresql", db_folder(a, s), NULL};
    struct sandbox box = {.flags = SANDBOX_NET | SANDBOX_FILES | SANDBOX_THREADS,
                          .read_paths = read_paths,
                          .write_paths = write_paths};
    return sandbox_enter(&box);
}

/* ---- web ---------------------------------------------------------------------------------------
 */
static const struct service *fast_owner;

static void *loop_start(struct loop *l, unsigned index, void *pf)
{
    return fast_owner ? fast_owner->loop_start(pf, l, index) : NULL;
}

static bool fast(struct fast *x, void *pf)
{
    return fast_owner && fast_owner->fast(pf, x);
}

static enum err services_start(struct platform *pf)
{
    const struct service *s;
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && (s = boot_service(i)) != NULL; i++) {
        if (s->fast)
            fast_owner = s;
        if (s->start)
            e = s->start(pf);
        if (e != ERR_OK)
            log_error("service_start_failed", "service", s->name, "error", err_name(e));
    }
    return e;
}

/* The sockets of each kind, one after another. */
static size_t listeners(struct proc *self, int fds[SOCKETS_MAX], enum tls_kind kinds[SOCKETS_MAX])
{
    size_t n = 0;
    for (int k = TLS_NONE; k < TLS_KINDS; k++) {
        size_t more = proc_fds(self, socket_labels[k], fds + n, SOCKETS_MAX - n);
        for (size_t i = 0; i < more; i++)
            kinds[n + i] = (enum tls_kind)k;
        n += more;
    }
    return n;
}

static struct tls *tls_start(struct platform *pf)
{
    const struct settings *s = pf->settings;
    struct tls_conf conf = {.keys = pf->tls_keys,
                            .folder = s->tls_certificates,
                            .client_authorities = s->mtls_authorities_text};
    if (!s->tls_port && !s->mtls_port)
        return NULL;
    struct tls *tls = tls_open(&conf);
    if (tls_count(tls) == 0)
        log_error("no_certificate", "folder", s->tls_certificates, "see", "socle tls --help");
    return tls;
}

static void serve_until_stopped(struct proc *self, struct platform *pf)
{
    const struct settings *s = pf->settings;
    int listen_fds[SOCKETS_MAX];
    enum tls_kind kinds[SOCKETS_MAX];
    struct tls *tls = tls_start(pf);
    struct web_server_conf conf = {.listen_fds = listen_fds,
                                   .listen_kinds = kinds,
                                   .tls = tls,
                                   .n_loops = n_loops_of(s),
                                   .n_handlers = (unsigned)s->handlers,
                                   .limits = web_limits_default,
                                   .spool_folder = arena_printf(&pf->arena, "%s/spool", s->data).p,
                                   .handler = dispatch,
                                   .arg = pf,
                                   .loop_start = loop_start,
                                   .fast = fast,
                                   .trusted_proxies = str_from(s->trusted_proxies)};
    conf.limits.body_max = (uint64_t)s->body_max;
    conf.n_listen_fds = listeners(self, listen_fds, kinds);
    struct web_server *server = web_server_start(&conf);
    metrics_set_server(server);
    proc_ready(self);
    log_info("web_ready", "sandbox", sandbox_state(), "loops", LOG_NUM(conf.n_loops));
    while (!proc_wait_stop(tls ? CERTIFICATES_EVERY_MS : -1))
        if (tls)
            tls_reload(tls);
    web_server_stop(server, GRACE_MS);
    tls_close(tls);
}

/* Requests take and give back the same few hundred kilobytes all day: given back to the system
 * after each, they would be asked for again by the next. */
static void keep_memory(void)
{
    mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
    mallopt(M_TOP_PAD, 256 * 1024);
}

int boot_web_main(struct proc *self, void *settings)
{
    keep_memory();
    struct platform pf = {.settings = settings, .syslog_fd = -1, .syslog_tls_fd = -1};
    log_set_process("web");
    arena_init(&pf.arena);
    client_global_start(); /* reads the authorities: before the confinement */
    enum err e = confine(&pf.arena, settings);
    if (e == ERR_OK)
        e = pages_load();
    if (e == ERR_OK)
        e = open_in_process(self, settings, &pf);
    if (e == ERR_OK)
        pf.tls_keys = keys_connect(proc_fd(self, "keys.tls"));
    if (e == ERR_OK)
        e = route_table_start(&pf.arena);
    vault_start(&pf);
    pf.syslog_fd = proc_fd(self, "syslog");
    pf.syslog_tls_fd = proc_fd(self, "syslog.tls");
    if (e == ERR_OK)
        e = site_table_start(&pf);
    if (e == ERR_OK)
        e = services_start(&pf);
    if (e == ERR_OK)
        e = act_start(&pf);
    if (e == ERR_OK)
        e = change_start(&pf);
    if (e != ERR_OK) {
        log_error("web_start_failed", "error", err_name(e));
        return 1;
    }
    serve_until_stopped(self, &pf);
    change_stop();
    act_stop();
    return 0;
}

/* ---- jobs --------------------------------------------------------------------------------------
 */
int boot_jobs_main(struct proc *self, void *settings)
{
    struct platform pf = {.settings = settings, .syslog_fd = -1, .syslog_tls_fd = -1};
    const struct service *s;
    log_set_process("jobs");
    arena_init(&pf.arena);
    client_global_start();
    if (confine(&pf.arena, settings) != ERR_OK || pages_load() != ERR_OK ||
        open_in_process(self, settings, &pf) != ERR_OK)
        return 1;
    proc_ready(self);
    for (int64_t turn = 0; !proc_stopping; turn++) {
        int64_t now_ms = clock_now_ms();
        if (turn % 60 == 0 && site_table_read(&pf) != ERR_OK)
            log_warn("sites_read_failed");
        for (size_t i = 0; (s = boot_service(i)) != NULL; i++)
            if (s->tick)
                s->tick(&pf, now_ms);
        enum err e = outbox_replay(&pf, false);
        if (e != ERR_OK)
            log_warn("outbox_replay_failed", "error", err_name(e));
        if (vault_sweep(&pf) != ERR_OK)
            log_warn("vault_sweep_failed");
        if (retention_sweep(&pf, now_ms) != ERR_OK)
            log_warn("retention_sweep_failed");
        if (turn % 60 == 0 && session_sweep(&pf) != ERR_OK)
            log_warn("session_sweep_failed");
        proc_wait_stop(1000);
    }
    return 0;
}

/* ---- supervisor --------------------------------------------------------------------------------
 */
/* An address as text to a socket address; 0: it is none. */
static socklen_t address_read(const char *text, unsigned port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return sizeof *v6;
    }
    return 0;
}

/* -1 with errno. */
static int listen_on(const char *text, unsigned port)
{
    struct sockaddr_storage addr;
    socklen_t len = address_read(text, port, &addr);
    int one = 1;
    if (len == 0) {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* inherited by accepted sockets */
    if (addr.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 4096) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* A machine without IPv6 does without its loopback; everything else must be had. */
static bool may_be_missing(const char *text)
{
    return strcmp(text, "::1") == 0 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT);
}

/* Returns how many sockets; 0: none, or one of them cannot be had (said on stderr). */
static size_t listen_all(struct arena *a, const char *addresses, int64_t port, int fds[LISTEN_MAX])
{
    struct str rest = str_from(addresses), part;
    size_t n = 0;
    while (rest.n && n < LISTEN_MAX && str_split(&rest, ',', &part)) {
        const char *text = arena_dupz(a, str_trim(part));
        int fd = listen_on(text, (unsigned)port);
        if (fd >= 0) {
            fds[n++] = fd;
        } else if (!may_be_missing(text)) {
            fprintf(stderr, "socle: cannot listen on %s port %d: %s\n", text, (int)port,
                    strerror(errno));
            return 0;
        }
    }
    if (n == 0)
        fprintf(stderr, "socle: no address to listen on in \"%s\"\n", addresses);
    return n;
}

/* "ADDRESS:PORT"; -1 with a message; -2: none is wanted. In clear on loopback only. */
static int listen_syslog(struct arena *a, const char *where, bool clear)
{
    uint64_t port;
    struct str text = str_from(where);
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (text.n == 0)
        return -2;
    const char *address = arena_dupz(a, str_sub(text, 0, colon ? colon - 1 : 0));
    bool inside = strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
    int fd = (inside || !clear) && str_to_u64(str_after(text, colon), &port) && port < 65536
                 ? listen_on(address, (unsigned)port)
                 : -1;
    if (fd < 0)
        fprintf(stderr, "socle: cannot listen for syslog on \"%s\" (ADDRESS:PORT%s)\n", where,
                clear ? ", loopback" : "");
    return fd;
}

struct sockets {
    int fds[LISTEN_MAX];
    size_t n;
};

/* false: said on stderr. */
static bool sockets_open(struct arena *a, const struct settings *s, struct sockets out[TLS_KINDS])
{
    const struct {
        const char *addresses;
        int64_t port;
    } wanted[TLS_KINDS] = {
        {s->listen, s->port}, {s->tls_listen, s->tls_port}, {s->tls_listen, s->mtls_port}};
    for (int k = TLS_NONE; k < TLS_KINDS; k++) {
        out[k] = (struct sockets){0};
        if (k != TLS_NONE && !wanted[k].port)
            continue;
        out[k].n = listen_all(a, wanted[k].addresses, wanted[k].port, out[k].fds);
        if (out[k].n == 0)
            return false;
    }
    return true;
}

/* One supervisor per folder: two journals on one log would be a fork of it. The descriptor stays
 * open, and the lock with it, until the process ends. */
static bool folder_lock(const char *data)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", data);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return true;
    fprintf(stderr,
            errno == EAGAIN || errno == EACCES ? "socle: another Socle runs on the folder %s\n"
                                               : "socle: the folder %s cannot be written\n",
            data);
    if (fd >= 0)
        close(fd);
    return false;
}

static bool folder_make(const struct settings *s)
{
    static const char *const inside[] = {"", "/db", "/spool", "/journal", "/tls"};
    char path[4096];
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        snprintf(path, sizeof path, "%s%s", s->data, inside[i]);
        enum err e = file_make_dirs(path, 0700);
        if (e != ERR_OK) {
            fprintf(stderr, "socle: the folder %s cannot be made (%s)\n", path, err_name(e));
            return false;
        }
    }
    return true;
}

/* Migrations and what the caller prepares, in a process that ends: the supervisor itself never
 * holds a key, a connection or a thread. */
static int prepare_run(const struct settings *s, const struct boot_hooks *hooks)
{
    struct platform pf;
    log_set_process("prepare");
    enum err e = boot_open_local(s, &pf);
    if (e == ERR_OK)
        e = platform_migrate(&pf);
    if (e == ERR_OK)
        e = node_check(&pf);
    if (e == ERR_OK)
        e = node_publish(&pf);
    if (e == ERR_OK && hooks->prepare)
        e = hooks->prepare(&pf, hooks->arg);
    boot_close(&pf);
    if (e != ERR_OK)
        fprintf(stderr, "socle: the platform in %s could not be prepared (%s)\n", s->data,
                err_name(e));
    return e == ERR_OK ? 0 : 1;
}

static bool prepare(const struct settings *s, const struct boot_hooks *hooks)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(prepare_run(s, hooks));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int boot_serve(const struct settings *s, const struct proc_spec *extra, size_t n_extra,
               const struct boot_hooks *hooks)
{
    struct arena a;
    struct sockets sockets[TLS_KINDS];
    if (!folder_make(s) || !folder_lock(s->data))
        return 1;
    arena_init(&a);
    bool open = sockets_open(&a, s, sockets);
    int syslog_fd = open ? listen_syslog(&a, s->syslog_listen, true) : -1;
    int syslog_tls_fd = open ? listen_syslog(&a, s->syslog_tls_listen, false) : -1;
    if (!open || syslog_fd == -1 || syslog_tls_fd == -1 || !prepare(s, hooks) ||
        settings_note_served(&a, s) != ERR_OK) {
        arena_free(&a);
        return 1;
    }
    struct keys_conf keys_conf = {.folder = arena_printf(&a, "%s/keys", s->data).p};
    struct journal_conf journal_conf = {.folder = arena_printf(&a, "%s/journal", s->data).p,
                                        .origin = s->journal_origin};
    struct proc_plan *plan = proc_plan_new();
    struct proc_spec keys_spec = {"keys", keys_main, &keys_conf};
    struct proc_spec journal_spec = {"journal", journal_main, &journal_conf};
    struct proc_spec web_spec = {"web", boot_web_main, (void *)s};
    struct proc_spec jobs_spec = {"jobs", boot_jobs_main, (void *)s};
    for (size_t i = 0; i < n_extra;
         i++) /* first: they serve, and are asked as soon as jobs begins */
        proc_plan_add(plan, &extra[i]);
    size_t keys_at = proc_plan_add(plan, &keys_spec);
    size_t journal_at = proc_plan_add(plan, &journal_spec);
    size_t web_at = proc_plan_add(plan, &web_spec);
    size_t jobs_at = proc_plan_add(plan, &jobs_spec);
    proc_plan_channel(plan, journal_at, keys_at, "keys.journal"); /* signs checkpoints, alone */
    proc_plan_channel(plan, web_at, keys_at, "keys");
    proc_plan_channel(plan, jobs_at, keys_at, "keys");
    for (unsigned i = 0; i < n_loops_of(s) + 1; i++)
        proc_plan_channel(plan, web_at, journal_at, "journal");
    proc_plan_channel(plan, jobs_at, journal_at, "journal");
    proc_plan_channel(plan, web_at, keys_at, "keys.tls");
    for (int k = TLS_NONE; k < TLS_KINDS; k++)
        for (size_t i = 0; i < sockets[k].n; i++)
            proc_plan_socket(plan, web_at, sockets[k].fds[i], socket_labels[k]);
    if (syslog_fd >= 0)
        proc_plan_socket(plan, web_at, syslog_fd, "syslog");
    if (syslog_tls_fd >= 0)
        proc_plan_socket(plan, web_at, syslog_tls_fd, "syslog.tls");
    log_set_process("supervisor");
    int code = proc_supervise(plan, hooks->ready, hooks->arg);
    arena_free(&a);
    return code;
}
