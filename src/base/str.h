/* A string slice: bytes and a length, owned by somebody else (an arena, a buffer, a literal).
 * Not NUL-terminated unless the function that made it says so. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit)      ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE      ((struct str){NULL, 0})
#define STR_FMT       "%.*s"
#define STR_ARG(s)    (int)(s).n, (s).p ? (s).p : ""
#define COUNT_OF(arr) (sizeof(arr) / sizeof((arr)[0]))

static inline struct str str_from(const char *z)
{
    return (struct str){z, z ? strlen(z) : 0};
}

static inline struct str str_of(const void *p, size_t n)
{
    return (struct str){(const char *)p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_z(struct str a, const char *z)
{
    return str_eq(a, str_from(z));
}

/* ASCII case folded; never the locale's. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b);

/* Position of a byte or of a slice; -1 where there is none. */
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);

/* The slice from `from` on, or of at most n bytes from there; clipped to s. */
struct str str_sub(struct str s, size_t from, size_t n);
struct str str_after(struct str s, size_t from);

/* Without leading and trailing spaces, tabs, CR and LF. */
struct str str_trim(struct str s);

/* Takes the part of *rest before `sep` and moves *rest behind it; false when *rest was used up.
 * "a,,b" gives "a", "", "b". Start with a non-empty slice. */
bool str_split(struct str *rest, char sep, struct str *part);

/* The whole slice as a decimal number; false on an empty slice, a sign where none is allowed, any
 * other character, or overflow. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out);

/* Length of the well-formed UTF-8 sequence at p (n bytes are left, at least one), 0 when there is
 * none. */
size_t str_utf8_len(const char *p, size_t n);

/* True when s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

/* Compares without telling by its time where the difference lies. Lengths are not secret. */
bool str_eq_secret(struct str a, struct str b);

/* Overwrites memory in a way the compiler keeps. */
void mem_wipe(void *p, size_t n);

#endif
