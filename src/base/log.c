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

enum { LINE_MAX_BYTES = 4096, VALUE_MAX_BYTES = 1024 };
static const char cut_mark[] = ",\"cut\":true", line_end[] = "}\n";

/* At most VALUE_MAX_BYTES of it, whole characters. */
static struct str value_of(const char *z)
{
    struct str s = str_from(z);
    if (!str_is_utf8(s))
        return STR("(not text)");
    if (s.n <= VALUE_MAX_BYTES)
        return s;
    s.n = VALUE_MAX_BYTES;
    while ((s.p[s.n] & 0xC0) == 0x80)
        s.n--;
    return s;
}

/* A line is one JSON object whatever is put in it: pairs that do not fit are left out, and it says
 * so. */
static void pairs_add(struct buf *b, va_list ap)
{
    for (const char *key; (key = va_arg(ap, const char *)) != NULL;) {
        const char *value = va_arg(ap, const char *);
        size_t before = b->n;
        buf_add_char(b, ',');
        buf_add_json(b, str_from(key));
        buf_add_char(b, ':');
        buf_add_json(b, value_of(value));
        if (b->err == ERR_OK)
            continue;
        b->n = before;
        b->err = ERR_OK;
        b->ceiling = LINE_MAX_BYTES;
        buf_add_z(b, cut_mark);
        return;
    }
}

void log_event(enum log_level level, const char *event, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&least_level))
        return;
    struct buf b;
    struct arena a;
    buf_init(&b, LINE_MAX_BYTES - sizeof cut_mark - sizeof line_end);
    arena_init(&a);
    buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"event\":",
               clock_rfc3339(&a, clock_now_ms(), true).p, names[level], process_name);
    buf_add_json(&b, value_of(event));
    va_list ap;
    va_start(ap, event);
    pairs_add(&b, ap);
    va_end(ap);
    b.ceiling = LINE_MAX_BYTES;
    buf_add_z(&b, line_end);
    ssize_t ignored = write(STDERR_FILENO, b.p, b.n);
    (void)ignored;
    buf_free(&b);
    arena_free(&a);
}
