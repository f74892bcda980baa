/* The processes of the platform: which there are, which channels join them, and the supervisor that
 * starts them and starts them again when they die. */
#ifndef SYS_PROC_H
#define SYS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

enum { PROC_MAX_FDS = 32 };

struct proc;
struct proc_spec {
    const char *name;                         /* "web": shown as "socle: web" */
    int (*main)(struct proc *self, void *arg); /* returns the exit code */
    void *arg;
};

/* Made by the supervisor before any start. A channel joins a client process to a serving one. */
struct proc_plan;
struct proc_plan *proc_plan_new(void);
size_t proc_plan_add(struct proc_plan *p, const struct proc_spec *spec);
void proc_plan_channel(struct proc_plan *p, size_t client, size_t server, const char *label);
/* A listening socket (already bound) that `owner` inherits under a label. */
void proc_plan_socket(struct proc_plan *p, size_t owner, int fd, const char *label);

/* Runs until SIGINT/SIGTERM, then ends every child (SIGTERM, 10 s, SIGKILL). A child that dies is
 * started again at once; one that dies 5 times within 5 s waits 1 s before each new try. `ready` is
 * called once, when every child has called proc_ready. Returns the exit code. */
int proc_supervise(struct proc_plan *p, void (*ready)(void *arg), void *arg);

/* --- in a child ------------------------------------------------------------------------------- */
/* The descriptor of a channel or socket of this process by label; -1 when it has none. Several
 * clients of one label: proc_fds fills up to n and returns how many. */
int proc_fd(const struct proc *self, const char *label);
size_t proc_fds(const struct proc *self, const char *label, int *out, size_t n);
void proc_ready(struct proc *self);
/* Becomes non-zero when the process is asked to stop (SIGTERM); also readable as a descriptor. */
extern volatile int proc_stopping;
int proc_stop_fd(void);

#endif
