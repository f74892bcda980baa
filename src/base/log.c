#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

static _Atomic int least_level = LOG_INFO;
static const char *process_name = "socle";

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

void log_set_process(const char *static_name)
{
    process_name = static_name;
}

const char *log_num(char out[24], long long v)
{
    snprintf(out, 24, "%lld", v);
    return out;
}

void log_event(enum log_level level, const char *event, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&least_level))
        return;
    struct buf b;
    struct arena a;
    buf_init(&b, 4096);
    arena_init(&a);
    buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"event\":",
               clock_rfc3339(&a, clock_now_ms(), true).p, names[level], process_name);
    buf_add_json(&b, str_from(event));
    va_list ap;
    va_start(ap, event);
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        const char *value = va_arg(ap, const char *);
        buf_add_char(&b, ',');
        buf_add_json(&b, str_from(key));
        buf_add_char(&b, ':');
        buf_add_json(&b, str_is_utf8(str_from(value)) ? str_from(value) : STR("(not text)"));
    }
    va_end(ap);
    b.ceiling += 2;
    b.err = ERR_OK;
    buf_add_z(&b, "}\n");
    ssize_t ignored = write(STDERR_FILENO, b.p, b.n);
    (void)ignored;
    buf_free(&b);
    arena_free(&a);
}
