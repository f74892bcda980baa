/* RFC 3161 as a client: a request for a timestamp of some bytes, and its answer. */
#ifndef CRYPTO_TSP_H
#define CRYPTO_TSP_H

#include "base/arena.h"
#include "base/err.h"

enum { TSP_NONCE = 8, TSP_ANSWER_MAX = 64 * 1024 };

/* DER of a TimeStampReq over SHA-256 of data. */
enum err tsp_request(struct arena *a, struct str data, const uint8_t nonce[TSP_NONCE],
                     struct str *der) MUST_CHECK;
/* Is it granted, over these bytes, with this nonce (NULL: whatever it is)? No signature is checked.
 * ERR_INVALID: it is no response; ERR_DENIED: refused, or of other bytes. */
enum err tsp_response_read(struct str der, struct str data, const uint8_t *nonce,
                           int64_t *at_ms) MUST_CHECK;
/* The same, signed by an authority of the PEM file. */
enum err tsp_response_verify(struct str der, struct str data, const char *ca_file,
                             int64_t *at_ms) MUST_CHECK;

#endif
