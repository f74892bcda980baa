/* Whose turn it is when several threads want one core. Hints to the kernel's scheduler, without any
 * privilege: a kernel that does not know them (slices: Linux 6.12) goes on as it would. */
#ifndef SYS_TURN_H
#define SYS_TURN_H

enum turn {
    TURN_QUICK,  /* runs for moments, and others wait for what it does: soon after it wakes */
    TURN_BEHIND, /* nobody waits for it: in what is left, and in long slices */
};
/* Of the calling thread, and of those it starts from then on. */
void turn_set(enum turn t);
/* Between two pieces of long work: who waits for the core gets it now, not at the next tick. */
void turn_pass(void);

#endif
