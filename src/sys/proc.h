/* The processes of the platform: which there are, which channels join them, and the supervisor that
 * starts them and starts them again when they die. */
#ifndef SYS_PROC_H
#define SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum { PROC_MAX = 32, PROC_MAX_FDS = 32, PROC_MAX_CHANNELS = 128 };

/* First thing in main, before the arguments are read: lets a process show its own name in `ps`. The
 * arguments are moved to memory that stays, argv points there afterwards. Without it, only the
 * short name (15 characters) is set. */
void proc_title_init(int argc, char **argv);

struct proc;
struct proc_spec {
    const char *name;                          /* "web": shown as "socle: web" */
    int (*main)(struct proc *self, void *arg); /* returns the exit code */
    void *arg;
};

/* Made by the supervisor before any start. A channel joins a client process to a serving one.
 * Processes are started in the order they are added and stopped in the reverse order, one after the
 * other: add those that serve first (keys, journal), those that ask last (jobs, web), so that what
 * is under way in web still gets its answers while web ends. Names and labels are borrowed for
 * good. A demonstration adds processes of its own to the same plan. */
struct proc_plan;
struct proc_plan *proc_plan_new(void);
size_t proc_plan_add(struct proc_plan *p, const struct proc_spec *spec);
void proc_plan_channel(struct proc_plan *p, size_t client, size_t server, const char *label);
/* A listening socket (already bound) that `owner` inherits under a label. */
void proc_plan_socket(struct proc_plan *p, size_t owner, int fd, const char *label);

/* Runs until SIGINT/SIGTERM, then ends every child (SIGTERM, 10 s each, SIGKILL). A child that
 * dies, or returns, is started again at once; one that dies 5 times within 5 s waits 1 s before
 * each new try, or, when the platform was never ready, ends the start: there is a fault to mend
 * first. `ready` (may be NULL) is called once, when every child has called proc_ready. Returns the
 * exit code: 0 after a clean stop, 1 after a failed start or when a child had to be killed.
 *
 * To be called from the main thread of a process without other threads: children are forked. A
 * child keeps descriptors 0 to 2 and its own, all others are closed; it ignores SIGINT, SIGHUP and
 * SIGPIPE (Ctrl-C reaches the whole group, and the supervisor alone decides the order of the stop);
 * it is killed when the supervisor dies. */
int proc_supervise(struct proc_plan *p, void (*ready)(void *arg), void *arg);

/* --- in a child ------------------------------------------------------------------------------- */
/* The descriptor of a channel or socket of this process by label; -1 when it has none. Several
 * clients of one label: proc_fds fills up to n and returns how many. */
int proc_fd(const struct proc *self, const char *label);
size_t proc_fds(const struct proc *self, const char *label, int *out, size_t n);
void proc_ready(struct proc *self);
const char *proc_name(const struct proc *self);
/* Becomes non-zero when the process is asked to stop (SIGTERM); also as a descriptor that becomes
 * readable and stays so (do not read from it); -1 outside of a supervised process. */
extern volatile int proc_stopping;
int proc_stop_fd(void);
/* Waits to be asked to stop, at most timeout_ms (< 0: for ever); true when it was. */
bool proc_wait_stop(int timeout_ms);

#endif
