/* Decoders of text encodings. All strict: a wrong character, length or padding is ERR_INVALID. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/arena.h"
#include "base/err.h"

enum err codec_hex(struct arena *a, struct str text, struct str *out) MUST_CHECK;
enum err codec_base64(struct arena *a, struct str text, struct str *out) MUST_CHECK;
enum err codec_base64url(struct arena *a, struct str text, struct str *out) MUST_CHECK;

/* RFC 3986 percent-decoding; with `form`, '+' is a space (application/x-www-form-urlencoded). */
enum err codec_url(struct arena *a, struct str text, bool form, struct str *out) MUST_CHECK;

/* Encoders into an arena, NUL-terminated. */
struct str codec_to_hex(struct arena *a, const void *p, size_t n);
struct str codec_to_base64(struct arena *a, const void *p, size_t n);
struct str codec_to_base64url(struct arena *a, const void *p, size_t n);
struct str codec_to_url(struct arena *a, struct str s);

#endif
