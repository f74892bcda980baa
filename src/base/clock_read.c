#include <time.h>
#include "base/clock.h"

static bool digits(struct str *s, size_t n, int *out)
{
    uint64_t v;
    if (s->n < n || !str_to_u64(str_sub(*s, 0, n), &v))
        return false;
    *s = str_after(*s, n);
    *out = (int)v;
    return true;
}

static bool take(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_after(*s, 1);
    return true;
}

/* "Z" or "+01:00" in minutes. */
static bool zone_read(struct str s, int *minutes)
{
    int h, m, sign = s.n && s.p[0] == '-' ? -1 : 1;
    *minutes = 0;
    if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z'))
        return true;
    if (!take(&s, '+') && !take(&s, '-'))
        return false;
    if (!digits(&s, 2, &h) || !take(&s, ':') || !digits(&s, 2, &m) || s.n || h > 23 || m > 59)
        return false;
    *minutes = sign * (h * 60 + m);
    return true;
}

/* RFC 3339 5.6. */
bool clock_rfc3339_read(struct str s, int64_t *out_ms)
{
    struct tm tm = {0};
    int year, month, ms = 0, zone;
    if (!digits(&s, 4, &year) || !take(&s, '-') || !digits(&s, 2, &month) || !take(&s, '-') ||
        !digits(&s, 2, &tm.tm_mday) || !(take(&s, 'T') || take(&s, 't') || take(&s, ' ')) ||
        !digits(&s, 2, &tm.tm_hour) || !take(&s, ':') || !digits(&s, 2, &tm.tm_min) ||
        !take(&s, ':') || !digits(&s, 2, &tm.tm_sec))
        return false;
    if (year < 1970 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    if (take(&s, '.'))
        for (int unit = 100; s.n && s.p[0] >= '0' && s.p[0] <= '9'; unit /= 10) {
            ms += (s.p[0] - '0') * unit;
            s = str_after(s, 1);
        }
    if (!zone_read(s, &zone))
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *out_ms = ((int64_t)timegm(&tm) - zone * 60) * 1000 + ms;
    return true;
}
