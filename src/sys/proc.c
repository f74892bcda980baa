/* The supervisor. It parses nothing and opens nothing after its start: it holds the listening
 * sockets and both ends of every channel, forks, waits and forks again. Because the descriptors
 * outlive every child, a restart is not seen from outside: connections wait in the backlog,
 * requests wait in the channel, and clients send again what the dead process had taken (see
 * chan.h). */
#include "sys/proc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/chan.h"

enum { DEATHS = 5, DEATHS_MS = 5000, PAUSE_MS = 1000, STOP_MS = 10000 };

struct proc_end {
    const char *label;
    int fd;
};

struct proc {
    struct proc_spec spec;
    struct proc_end ends[PROC_MAX_FDS];
    size_t n_ends;
    uint8_t index;
    int ready_fd;

    pid_t pid; /* 0: not running */
    bool ready;
    int64_t start_at_ms;        /* when not running: not before */
    int64_t died_at_ms[DEATHS]; /* the last ones, in turn */
    unsigned deaths;
};

struct proc_plan {
    struct proc procs[PROC_MAX];
    size_t n;
    int channels[PROC_MAX_CHANNELS * 2];
    size_t n_channels;
    int ready_pipe[2], signals;
    sigset_t old_mask;
    bool all_ready;
};

/* --- the name in `ps` ------------------------------------------------------------------------- */

static char *title_room;
static size_t title_bytes;

void proc_title_init(int argc, char **argv)
{
    char *end = argv[0];
    for (int i = 0; i < argc && argv[i] == end;
         i++) /* one behind the other, as the kernel lays them */
        end = argv[i] + strlen(argv[i]) + 1;
    title_room = argv[0];
    title_bytes = (size_t)(end - argv[0]);
    for (int i = 0; i < argc; i++) {
        argv[i] = strdup(argv[i]);
        if (!argv[i])
            abort();
    }
}

static void title_set(const char *name)
{
    char title[64];
    snprintf(title, sizeof title, "socle: %s", name);
    prctl(PR_SET_NAME, title); /* the kernel keeps 15 characters */
    if (!title_room)
        return;
    memset(title_room, 0, title_bytes);
    snprintf(title_room, title_bytes, "%s", title);
}

/* --- the plan --------------------------------------------------------------------------------- */

struct proc_plan *proc_plan_new(void)
{
    struct proc_plan *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    return p;
}

size_t proc_plan_add(struct proc_plan *p, const struct proc_spec *spec)
{
    assert(p->n < PROC_MAX && spec->name && spec->main);
    p->procs[p->n] = (struct proc){.spec = *spec, .index = (uint8_t)p->n};
    return p->n++;
}

static void end_add(struct proc_plan *p, size_t owner, int fd, const char *label)
{
    assert(owner < p->n);
    struct proc *pr = &p->procs[owner];
    assert(pr->n_ends < PROC_MAX_FDS && fd > STDERR_FILENO);
    pr->ends[pr->n_ends++] = (struct proc_end){label, fd};
}

void proc_plan_channel(struct proc_plan *p, size_t client, size_t server, const char *label)
{
    int ends[2];
    assert(client != server && p->n_channels < PROC_MAX_CHANNELS);
    if (chan_pair(ends) != ERR_OK) {
        log_error("proc_channel_failed", "label", label);
        abort(); /* at the start, before anything is served */
    }
    p->n_channels++;
    end_add(p, client, ends[0], label);
    end_add(p, server, ends[1], label);
}

void proc_plan_socket(struct proc_plan *p, size_t owner, int fd, const char *label)
{
    end_add(p, owner, fd, label);
}

/* --- in a child ------------------------------------------------------------------------------- */

volatile int proc_stopping;
static int stop_fd = -1;

int proc_stop_fd(void)
{
    return stop_fd;
}

bool proc_wait_stop(int timeout_ms)
{
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};
    while (!proc_stopping)
        if (poll(&p, 1, timeout_ms) >= 0 || errno != EINTR)
            break;
    return proc_stopping != 0;
}

size_t proc_fds(const struct proc *self, const char *label, int *out, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < self->n_ends && found < n; i++)
        if (strcmp(self->ends[i].label, label) == 0)
            out[found++] = self->ends[i].fd;
    return found;
}

int proc_fd(const struct proc *self, const char *label)
{
    int fd;
    return proc_fds(self, label, &fd, 1) ? fd : -1;
}

const char *proc_name(const struct proc *self)
{
    return self->spec.name;
}

void proc_ready(struct proc *self)
{
    if (self->ready)
        return;
    self->ready = true;
    ssize_t n = write(self->ready_fd, &self->index, 1);
    (void)n; /* a full pipe or a dead supervisor: nothing to do about it here */
}

static void on_stop(int sig)
{
    (void)sig;
    int keep = errno;
    uint64_t one = 1;
    proc_stopping = 1;
    ssize_t n = write(stop_fd, &one, sizeof one);
    (void)n;
    errno = keep;
}

static int by_number(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Closes all but standard input and outputs, the child's own ends and its ready pipe. */
static void close_others(const struct proc *self)
{
    int keep[PROC_MAX_FDS + 1];
    size_t n = 0;
    for (; n < self->n_ends; n++)
        keep[n] = self->ends[n].fd;
    keep[n++] = self->ready_fd;
    qsort(keep, n, sizeof keep[0], by_number);
    int from = STDERR_FILENO + 1;
    for (size_t i = 0; i < n; i++) {
        if (keep[i] > from)
            close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
        from = keep[i] >= from ? keep[i] + 1 : from;
    }
    close_range((unsigned)from, ~0u, 0);
}

static _Noreturn void child_main(struct proc_plan *p, struct proc *self, pid_t supervisor)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) /* it died before the line above */
        _exit(1);
    title_set(self->spec.name);
    log_set_process(self->spec.name);
    self->ready_fd = p->ready_pipe[1];
    self->ready = false;
    close_others(self);
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
    int code = self->spec.main(self, self->spec.arg);
    fflush(NULL);
    _exit(code); /* what the parent registered for its own exit is not the child's to run */
}

/* --- the supervisor --------------------------------------------------------------------------- */

static void start(struct proc_plan *p, struct proc *pr)
{
    pid_t self = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child_main(p, pr, self);
    if (pid < 0) {
        log_error("process_not_started", "name", pr->spec.name, "errno", LOG_NUM(errno));
        pr->start_at_ms = clock_mono_ms() + PAUSE_MS;
        return;
    }
    pr->pid = pid;
    log_info("process_started", "name", pr->spec.name, "pid", LOG_NUM(pid));
}

static void log_death(const struct proc *pr, int status, bool wanted)
{
    if (WIFEXITED(status)) {
        log_event(wanted && WEXITSTATUS(status) == 0 ? LOG_INFO : LOG_ERROR, "process_ended",
                  "name", pr->spec.name, "pid", LOG_NUM(pr->pid), "code",
                  LOG_NUM(WEXITSTATUS(status)), (char *)NULL);
        return;
    }
    int sig = WTERMSIG(status);
    const char *name = sigabbrev_np(sig);
    log_error("process_killed", "name", pr->spec.name, "pid", LOG_NUM(pr->pid), "signal",
              name ? name : "?", "why", sig == SIGSYS ? "the sandbox refused a system call" : "");
}

/* True when the last DEATHS deaths lie within DEATHS_MS. */
static bool dies_too_often(struct proc *pr, int64_t now_ms)
{
    pr->died_at_ms[pr->deaths++ % DEATHS] = now_ms;
    return pr->deaths >= DEATHS && now_ms - pr->died_at_ms[pr->deaths % DEATHS] < DEATHS_MS;
}

/* Collects the dead. False when the start failed. */
static bool reap(struct proc_plan *p, bool stopping)
{
    bool good = true;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < p->n; i++) {
            struct proc *pr = &p->procs[i];
            if (pr->pid != pid)
                continue;
            log_death(pr, status, stopping);
            int64_t now_ms = clock_mono_ms();
            bool often = dies_too_often(pr, now_ms);
            pr->pid = 0;
            pr->start_at_ms = now_ms + (often ? PAUSE_MS : 0);
            if (often && !p->all_ready && !stopping) {
                log_error("start_failed", "name", pr->spec.name);
                good = false;
            }
        }
    }
    return good;
}

/* Starts those that are due; returns how long to wait for the next one (-1: none waits). */
static int start_due(struct proc_plan *p)
{
    int wait_ms = -1;
    for (size_t i = 0; i < p->n; i++) {
        struct proc *pr = &p->procs[i];
        if (pr->pid == 0 && clock_mono_ms() >= pr->start_at_ms)
            start(p, pr);
        if (pr->pid != 0)
            continue;
        int64_t left_ms = pr->start_at_ms - clock_mono_ms();
        if (wait_ms < 0 || left_ms < wait_ms)
            wait_ms = left_ms > 0 ? (int)left_ms : 0;
    }
    return wait_ms;
}

static void take_ready(struct proc_plan *p, void (*ready)(void *arg), void *arg)
{
    uint8_t index;
    while (read(p->ready_pipe[0], &index, 1) == 1)
        if (index < p->n)
            p->procs[index].ready = true;
    if (p->all_ready)
        return;
    for (size_t i = 0; i < p->n; i++)
        if (!p->procs[i].ready)
            return;
    p->all_ready = true;
    if (ready)
        ready(arg);
}

/* Empties the signal descriptor; true when one of them asks to stop. */
static bool take_signals(const struct proc_plan *p)
{
    struct signalfd_siginfo si;
    bool stop = false;
    while (read(p->signals, &si, sizeof si) == (ssize_t)sizeof si)
        stop |= si.ssi_signo != SIGCHLD;
    return stop;
}

static bool stop_one(struct proc_plan *p, struct proc *pr)
{
    bool killed = false;
    int64_t until_ms = clock_mono_ms() + STOP_MS;
    if (pr->pid)
        kill(pr->pid, SIGTERM);
    while (pr->pid) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0 && !killed) {
            log_error("process_did_not_stop", "name", pr->spec.name);
            killed = true;
            kill(pr->pid, SIGKILL);
        }
        struct pollfd pf = {.fd = p->signals, .events = POLLIN};
        (void)poll(&pf, 1, killed ? -1 : (int)left_ms);
        (void)take_signals(p);
        (void)reap(p, true);
    }
    return !killed;
}

static void prepare(struct proc_plan *p)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &p->old_mask);
    p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (p->signals < 0 || pipe2(p->ready_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        abort();
    title_set("supervisor");
    log_set_process("supervisor");
}

int proc_supervise(struct proc_plan *p, void (*ready)(void *arg), void *arg)
{
    prepare(p);
    bool good = true;
    for (;;) {
        int wait_ms = start_due(p);
        struct pollfd pf[2] = {{.fd = p->signals, .events = POLLIN},
                               {.fd = p->ready_pipe[0], .events = POLLIN}};
        (void)poll(pf, 2, wait_ms);
        take_ready(p, ready, arg);
        if (take_signals(p))
            break;
        good = reap(p, false);
        if (!good)
            break;
    }
    log_info("stopping");
    for (size_t i = p->n; i-- > 0;)
        good = stop_one(p, &p->procs[i]) && good;
    sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
    return good ? 0 : 1;
}
