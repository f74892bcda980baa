/* Confinement: no new privileges, not dumpable, no capabilities, a seccomp filter, and Landlock
 * rules for files where the kernel has it. Entered once, after the process opened what it needs and
 * before its first untrusted byte. */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include <stddef.h>
#include "base/err.h"

enum {
    SANDBOX_NET = 1,     /* may make and accept IP sockets */
    SANDBOX_FILES = 2,   /* may open files (below the given paths) */
    SANDBOX_THREADS = 4, /* may start threads */
};

struct sandbox {
    unsigned flags;
    const char *const *read_paths;  /* NULL-ended; directories or files */
    const char *const *write_paths; /* NULL-ended */
};

/* ERR_UNAVAILABLE when seccomp is missing (fatal to callers); a kernel without Landlock is logged
 * once and accepted. A forbidden system call kills the process with SIGSYS (logged by the
 * supervisor), except those known to be probed for, which get EPERM. */
enum err sandbox_enter(const struct sandbox *s) MUST_CHECK;

/* How far it went, for `socle serve` and the tests: "seccomp,landlock-7" ... static. */
const char *sandbox_state(void);

#endif
