/* Time. Wall time is for people and tokens; monotonic time for every wait and timeout. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/arena.h"

int64_t clock_now_ms(void);  /* wall clock, milliseconds since 1970 UTC */
int64_t clock_mono_ms(void); /* never goes back */
int64_t clock_mono_us(void);

/* Tests move the wall clock by this much; the environment's SOCLE_CLOCK_OFFSET_MS is read once by
 * main. Monotonic time is not touched. */
void clock_set_offset_ms(int64_t offset_ms);

/* "2026-11-24T02:00:00Z" (RFC 3339, UTC, whole seconds; with `ms`, three decimals). */
struct str clock_rfc3339(struct arena *a, int64_t at_ms, bool ms);
/* Read, of any zone; false: it is none. */
bool clock_rfc3339_read(struct str s, int64_t *out_ms);

/* "Tue, 24 Nov 2026 02:00:00 GMT" (RFC 9110 5.6.7) into a buffer of 30 bytes, NUL included. */
void clock_http_date(int64_t at_ms, char out[30]);
/* The same read, and no older form of it; 0: it is none. */
int64_t clock_http_date_read(struct str s);

/* In words for people, in Europe/Paris or the zone of TZ: "24 novembre 2026 à 03:00" or
 * "24 November 2026 at 03:00"; with_time false leaves the hour out. lang is "fr" or "en". */
struct str clock_in_words(struct arena *a, int64_t at_ms, const char *lang, bool with_time);

#endif
