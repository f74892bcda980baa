/* What commands share: options, output, exit codes. */
#ifndef PLATFORM_CLI_H
#define PLATFORM_CLI_H

#include "platform/ctx.h"

enum { CLI_VALUES_MAX = 16 };
struct cli_option {
    const char *name; /* "--redirect-uri" */
    bool flag;        /* takes no value */
};
struct cli {
    struct arena arena;
    struct ctx *c;
    const char *command; /* "client add", for messages */
    bool json;
    const char *words[4]; /* what is no option */
    size_t n_words;
    const struct cli_option *options;
    size_t n_options;
    struct {
        const char *name, *value;
    } given[64];
    size_t n_given;
};

/* Runs fn with the arguments read against `options` (--json and --help are everyone's). */
int cli_run(struct platform *pf, int argc, char **argv, const char *help,
            const struct cli_option *options, size_t n_options, int (*fn)(struct cli *r));
const char *cli_value(const struct cli *r, const char *name, const char *absent); /* the last */
bool cli_has(const struct cli *r, const char *name);
size_t cli_values(const struct cli *r, const char *name, const char *out[CLI_VALUES_MAX]);
bool cli_is(const struct cli *r, const char *word, size_t n_words);
int cli_failed(const struct cli *r, const char *what, enum err e);
void cli_print(struct cli *r, json_t *v); /* stolen */

#endif
