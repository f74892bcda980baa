/* How the processes of the platform come up: used by main.c and by one another, not by services. */
#ifndef PLATFORM_BOOT_H
#define PLATFORM_BOOT_H

#include "platform/platform.h"
#include "sys/proc.h"

/* Process bodies for proc_spec.main; arg is the struct settings. */
int boot_web_main(struct proc *self, void *settings);
int boot_jobs_main(struct proc *self, void *settings);

/* Opens the platform outside its processes, for commands: database, keys (directly from the folder,
 * so the command needs the right to read it), no running journal: acts wait in the outbox and are
 * sealed by the running platform within a second (or at its next start). */
enum err boot_open_local(const struct settings *s, struct platform *out) MUST_CHECK;
void boot_close(struct platform *pf);

/* What the command line adds to the start. */
struct boot_hooks {
    /* After the migrations, before any process: in a child of its own, which alone reads keys for
     * it and ends before the supervisor begins. NULL: none. */
    enum err (*prepare)(struct platform *pf, void *arg);
    void (*ready)(void *arg); /* every process is ready */
    void *arg;
};
/* The whole: folder, socket, migrations, plan, supervisor. extra: the demonstration's processes
 * (may be none). One supervisor per folder: a second one is refused. */
int boot_serve(const struct settings *s, const struct proc_spec *extra, size_t n_extra,
               const struct boot_hooks *hooks);

/* Listens for erased subjects: before change_start. */
void vault_start(struct platform *pf);
/* In jobs: deletes from the journal what it keeps beside for erased subjects. */
enum err vault_sweep(struct platform *pf) MUST_CHECK;
/* Starts the poller and waits for its first turn: what was withdrawn is known before the first
 * request. ERR_TIMEOUT. */
enum err change_start(struct platform *pf) MUST_CHECK;
void change_stop(void);

/* Routes: all of them, platform's own first. */
extern const struct service service_platform;
const struct service *boot_service(size_t i); /* NULL at the end */
const struct route *route_find(enum site_kind kind, struct str method, struct str path,
                               struct str values[8], bool *other_method);
enum err route_table_start(struct arena *a) MUST_CHECK;
void dispatch(struct web_request *rq, struct web_response *rs, void *platform);
enum err site_table_start(struct platform *pf) MUST_CHECK;
/* Reads it anew: jobs does, which hears no changes. */
enum err site_table_read(struct platform *pf) MUST_CHECK;
struct site *site_find(struct platform *pf, struct arena *a, struct str host);

/* Outbox: sends what was not confirmed. all: also the young rows (start-up). */
enum err outbox_replay(struct platform *pf, bool all) MUST_CHECK;

/* `socle explain METHOD PATH`. */
int explain_main(const struct settings *s, int argc, char **argv);

#endif
