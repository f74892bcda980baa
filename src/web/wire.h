/* A connection of ours to somebody else, in a loop: bytes over TCP, or over TLS 1.2 or better whose
 * certificate comes from a known authority and bears the name that was asked. Never blocks. */
#ifndef WEB_WIRE_H
#define WEB_WIRE_H

#include <openssl/types.h>
#include "base/str.h"
#include "crypto/keys.h"
#include "sys/loop.h"
#include "sys/resolve.h"

enum { WIRE_READ_ROOM = 16 * 1024 }; /* what a read needs to take a TLS record whole */

/* What we show an origin that asks who we are: a certificate whose key is in the keys process. The
 * signature is waited for in the loop: once a connection, some 0.1 ms. */
struct wire_identity;
/* NAME.pem of a folder; ERR_NOT_FOUND, ERR_INVALID: no certificate in it, or its key is not known.
 */
enum err wire_identity_open(struct keys *k, const char *path,
                            struct wire_identity **out) MUST_CHECK;

enum wire_state { WIRE_CONNECTING, WIRE_GREETING, WIRE_OPEN };
struct wire {
    struct loop_io io; /* its fn is the owner's */
    struct loop *loop;
    SSL *ssl; /* NULL: plain */
    /* The owner's, set before wire_start; NULL none: the last session with this origin, offered
     * again. It bears the certificate that was verified then. */
    struct ssl_session_st **session;
    const struct wire_identity *identity; /* the same; NULL: shows no certificate */
    enum wire_state state;
    bool read_wants_write, write_wants_read; /* TLS may turn round for its own needs */
    bool unwatched;
    const char *why; /* static: what the last failure was */
};

/* Starts a connection; tls_name NULL is plain. ERR_UNAVAILABLE: nothing is left to close. Then the
 * owner calls wire_go_on at each event until the wire is open. */
enum err wire_start(struct wire *w, struct loop *l, const struct resolved *to,
                    const char *tls_name) MUST_CHECK;
/* ERR_OK: open; ERR_AGAIN; ERR_UNAVAILABLE. */
enum err wire_go_on(struct wire *w) MUST_CHECK;
void wire_close(struct wire *w);

/* Room of WIRE_READ_ROOM at least. ERR_OK with *n 0 at the end that the other side said; ERR_AGAIN;
 * ERR_IO broken, or cut without a word on TLS. */
enum err wire_recv(struct wire *w, char *room, size_t size, size_t *n) MUST_CHECK;
/* ERR_OK when some were taken, ERR_AGAIN, ERR_IO: reading may still find an answer, and ends. */
enum err wire_send(struct wire *w, const char *p, size_t n, size_t *taken) MUST_CHECK;

/* Which events the owner wants. Wanting none, it still gets LOOP_HUP when the other side is gone:
 * wire_unwatch then keeps it quiet until something is wanted again. */
void wire_want(struct wire *w, bool read, bool write);
void wire_unwatch(struct wire *w);

/* What came while nothing was expected: nothing; bytes; the end. Costs a system call. */
enum wire_quiet { WIRE_QUIET, WIRE_SPOKE, WIRE_GONE };
enum wire_quiet wire_quiet(const struct wire *w);

#endif
