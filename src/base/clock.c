#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static _Atomic int64_t offset_ms_now;

void clock_set_offset_ms(int64_t offset_ms)
{
    atomic_store(&offset_ms_now, offset_ms);
}

static int64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000 +
           atomic_load_explicit(&offset_ms_now, memory_order_relaxed);
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

/* Whole seconds and the milliseconds behind them, before 1970 too. */
static time_t seconds_of(int64_t at_ms, int *ms)
{
    *ms = (int)(at_ms % 1000);
    if (*ms < 0)
        *ms += 1000;
    return (time_t)((at_ms - *ms) / 1000);
}

struct str clock_rfc3339(struct arena *a, int64_t at_ms, bool ms)
{
    int rest;
    time_t t = seconds_of(at_ms, &rest);
    struct tm tm;
    char text[40];
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (ms)
        return arena_printf(a, "%s.%03dZ", text, rest);
    return arena_printf(a, "%sZ", text);
}

/* Neither strftime nor strptime: their names follow the locale. */
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

int64_t clock_http_date_read(struct str s)
{
    struct tm tm = {0};
    char z[30], month[4], again[30];
    if (s.n != 29)
        return 0;
    memcpy(z, s.p, 29);
    z[29] = '\0';
    if (sscanf(z + 3, ", %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
               &tm.tm_min, &tm.tm_sec) != 6)
        return 0;
    while (tm.tm_mon < 12 && strcmp(months[tm.tm_mon], month) != 0)
        tm.tm_mon++;
    tm.tm_year -= 1900;
    int64_t at_ms = tm.tm_mon < 12 ? (int64_t)timegm(&tm) * 1000 : 0;
    /* What is not written as we would write it is none: a 30 February, a wrong day of the week. */
    clock_http_date(at_ms, again);
    return strcmp(z, again) == 0 ? at_ms : 0;
}

void clock_http_date(int64_t at_ms, char out[30])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    int rest;
    time_t t = seconds_of(at_ms, &rest);
    struct tm tm;
    char text[64];
    gmtime_r(&t, &tm);
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, 29);
    out[29] = '\0';
}

struct str clock_in_words(struct arena *a, int64_t at_ms, const char *lang, bool with_time)
{
    static const char *const fr[12] = {"janvier",   "février", "mars",     "avril",
                                       "mai",       "juin",    "juillet",  "août",
                                       "septembre", "octobre", "novembre", "décembre"};
    static const char *const en[12] = {"January",   "February", "March",    "April",
                                       "May",       "June",     "July",     "August",
                                       "September", "October",  "November", "December"};
    bool is_en = lang && strcmp(lang, "en") == 0;
    int rest;
    time_t t = seconds_of(at_ms, &rest);
    struct tm tm;
    localtime_r(&t, &tm);
    const char *month = (is_en ? en : fr)[tm.tm_mon];
    const char *ord = !is_en && tm.tm_mday == 1 ? "er" : "";
    if (!with_time)
        return arena_printf(a, "%d%s %s %d", tm.tm_mday, ord, month, tm.tm_year + 1900);
    return arena_printf(a, "%d%s %s %d %s %02d:%02d", tm.tm_mday, ord, month, tm.tm_year + 1900,
                        is_en ? "at" : "à", tm.tm_hour, tm.tm_min);
}
