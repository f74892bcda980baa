/* The command line: one table of the program's own commands, and those that services declare. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "demo/demo.h"
#include "core/trust/trust.h"
#include "journal/journal.h"
#include "platform/backup.h"
#include "platform/boot.h"
#include "platform/node.h"
#include "platform/node_cli.h"

enum { USAGE = 2 };

struct builtin {
    const char *name, *help;
    /* argv[0] is the command's name; settings were taken out of it already. */
    int (*fn)(const struct settings *s, int argc, char **argv);
    const char *usage; /* NULL: the command prints its own */
};

static bool asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int too_many(char **argv)
{
    fprintf(stderr, "socle %s: \"%s\" is not expected (see `socle %s --help`)\n", argv[0], argv[1],
            argv[0]);
    return USAGE;
}

/* ---- serve -------------------------------------------------------------------------------------
 */
static enum err serve_prepare(struct platform *pf, void *arg)
{
    (void)arg;
    return pf->settings->demo ? demo_load(pf) : ERR_OK;
}

static void serve_ready(void *settings)
{
    const struct settings *s = settings;
    if (s->demo)
        demo_print_story(s);
    printf("socle: ready %s\n", s->base_url);
    fflush(stdout);
}

static int serve(const struct settings *s, int argc, char **argv)
{
    struct proc_spec extra[8];
    struct boot_hooks hooks = {serve_prepare, serve_ready, (void *)s};
    if (argc > 1)
        return too_many(argv);
    size_t n = s->demo ? demo_procs(s, extra, COUNT_OF(extra)) : 0;
    return boot_serve(s, extra, n, &hooks);
}

/* ---- the small ones ----------------------------------------------------------------------------
 */
static int migrate(const struct settings *s, int argc, char **argv)
{
    struct platform pf;
    if (argc > 1)
        return too_many(argv);
    enum err e = boot_open_local(s, &pf);
    if (e == ERR_OK)
        e = platform_migrate(&pf);
    boot_close(&pf);
    if (e != ERR_OK)
        fprintf(stderr, "socle: the database could not be brought up to date (%s)\n", err_name(e));
    else
        printf("socle: the database is up to date\n");
    return e == ERR_OK ? 0 : 1;
}

static int journal(const struct settings *s, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*fn)(const struct settings *s, int argc, char **argv);
    } more[] = {
        {"monitor", trust_cli_monitor},
        {"export", trust_cli_export},
    };
    char folder[PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(more); i++)
        if (argc > 1 && strcmp(argv[1], more[i].name) == 0)
            return more[i].fn(s, argc, argv);
    bool plain = argc == 2 || (argc == 3 && strcmp(argv[2], "--json") == 0);
    if (plain && strcmp(argv[1], "checkpoint") == 0 && s->witnesses_text.n)
        return trust_cli_checkpoint(s, argc, argv);
    snprintf(folder, sizeof folder, "%s/journal", s->data ? s->data : "");
    return journal_cli(folder, argc, argv);
}

static int settings(const struct settings *s, int argc, char **argv)
{
    (void)s;
    if (argc > 1)
        return too_many(argv);
    settings_print();
    return 0;
}

static int version(const struct settings *s, int argc, char **argv)
{
    (void)s;
    if (argc > 1)
        return too_many(argv);
    printf("socle %s\n", SOCLE_VERSION);
    return 0;
}

static const struct builtin builtins[] = {
    {"serve", "run the platform until Ctrl-C", serve, "usage: socle serve [--SETTING=VALUE ...]\n"},
    {"demo", "describe the demonstration world: accounts, clients, APIs", demo_cli, NULL},
    {"journal", "verify the journal, prove an entry", journal, NULL},
    {"verify", "check receipts, proofs, evidence or a journal", trust_cli_verify, NULL},
    {"explain", "print each stage a request passes, with file and line", explain_main, NULL},
    {"migrate", "bring the database up to date", migrate, "usage: socle migrate\n"},
    {"backup", "copy keys, journal and database while the platform runs", backup_main, NULL},
    {"restore", "make a platform from a backup", restore_main, NULL},
    {"node", "machines of one platform: list, invite, join, rotate, remove", node_cli, NULL},
    {"settings", "print every setting with its meaning, as a file to start from", settings,
     "usage: socle settings > <data>/socle.conf\n"},
    {"version", "print the version", version, "usage: socle version\n"},
};

static const struct builtin *builtin_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(builtins); i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

/* Walks the commands of services; NULL at the end. Start with both at 0. */
static const struct command *command_next(size_t *service, size_t *at)
{
    const struct service *s;
    for (; (s = boot_service(*service)) != NULL; ++*service, *at = 0)
        if (*at < s->n_commands)
            return &s->commands[(*at)++];
    return NULL;
}

static const struct command *command_find(const char *name)
{
    size_t service = 0, at = 0;
    const struct command *c;
    while ((c = command_next(&service, &at)) != NULL)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

/* ---- help --------------------------------------------------------------------------------------
 */
static void print_line(const char *name, const char *help)
{
    printf("  %-10s %s\n", name, help);
}

static void print_help(FILE *to)
{
    size_t service = 0, at = 0;
    const struct command *c;
    fprintf(to, "usage: socle COMMAND [ARGUMENTS] [--SETTING=VALUE ...]\n\n");
    if (to != stdout)
        return;
    for (size_t i = 0; i < COUNT_OF(builtins); i++)
        print_line(builtins[i].name, builtins[i].help);
    while ((c = command_next(&service, &at)) != NULL)
        print_line(c->name, c->help);
    printf(
        "\n`socle COMMAND --help` says more about one. Settings are read from <data>/socle.conf, "
        "then\nfrom the environment (SOCLE_<NAME>), then from the command line.\n");
}

static int print_command_help(const struct builtin *b, const struct command *c, int argc,
                              char **argv)
{
    struct settings none = {0};
    int code = 0;
    printf("socle %s: %s\n\n", b ? b->name : c->name, b ? b->help : c->help);
    if (b && b->usage)
        fputs(b->usage, stdout);
    else
        code = b ? b->fn(&none, argc, argv) : c->fn(NULL, argc, argv);
    printf("\nSettings:\n");
    settings_print_options();
    return code;
}

/* How many letters two words share from their start: enough for the slips of a hand. */
static size_t likeness(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

static int unknown(const char *name)
{
    const char *best = NULL;
    size_t most = 1, service = 0, at = 0;
    const struct command *c;
    for (size_t i = 0; i < COUNT_OF(builtins); i++)
        if (likeness(name, builtins[i].name) > most) {
            best = builtins[i].name;
            most = likeness(name, best);
        }
    while ((c = command_next(&service, &at)) != NULL)
        if (likeness(name, c->name) > most) {
            best = c->name;
            most = likeness(name, best);
        }
    fprintf(stderr, "socle: there is no command \"%s\".%s%s%s `socle --help` lists them.\n", name,
            best ? " Did you mean `socle " : "", best ? best : "", best ? "`?" : "");
    return USAGE;
}

/* ---- running -----------------------------------------------------------------------------------
 */
/* Said nothing to do, a command says what it can: no folder is made for that. */
static int usage_of(const struct command *c)
{
    char *asked[] = {(char *)c->name, "--help", NULL};
    if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
        (void)c->fn(NULL, 2, asked);
    return USAGE;
}

static int run_service_command(const struct settings *s, const struct command *c, int argc,
                               char **argv)
{
    struct platform pf;
    if (argc == 1)
        return usage_of(c);
    enum err e = boot_open_local(s, &pf);
    if (e == ERR_OK)
        e = platform_migrate(&pf);
    if (e == ERR_OK)
        e = node_check(&pf);
    if (e != ERR_OK)
        fprintf(stderr, "socle %s: %s cannot be opened (%s)\n", c->name, s->data, err_name(e));
    int code = e == ERR_OK ? c->fn(&pf, argc, argv) : 1;
    boot_close(&pf);
    return code;
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], name) == 0)
            log_set_level((enum log_level)i);
}

static void set_clock(void)
{
    int64_t offset_ms;
    const char *text = getenv("SOCLE_CLOCK_OFFSET_MS");
    if (text && str_to_i64(str_from(text), &offset_ms))
        clock_set_offset_ms(offset_ms);
}

static int run(int argc, char **argv)
{
    struct arena a;
    struct settings s;
    const struct builtin *b = builtin_find(argv[0]);
    const struct command *c = b ? NULL : command_find(argv[0]);
    if (!b && !c)
        return unknown(argv[0]);
    if (asks_help(argc, argv))
        return print_command_help(b, c, argc, argv);
    arena_init(&a);
    int code = USAGE;
    if (settings_load(&a, &argc, argv, &s) == ERR_OK) {
        set_log_level(s.log_level);
        code = b ? b->fn(&s, argc, argv) : run_service_command(&s, c, argc, argv);
    }
    arena_free(&a);
    return code;
}

int main(int argc, char **argv)
{
    proc_title_init(argc, argv);
    umask(0077); /* what is kept is for this user alone */
    set_clock();
    if (argc < 2) {
        print_help(stderr);
        fprintf(stderr, "`socle --help` lists the commands.\n");
        return USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    return run(argc - 1, argv + 1);
}
