/* What the asking side (keys.c) and the answering side (keys_serve.c) of the keys process share. */
#ifndef CRYPTO_KEYS_INNER_H
#define CRYPTO_KEYS_INNER_H

#include <pthread.h>
#include "base/buf.h"
#include "crypto/keys.h"
#include "crypto/keystore.h"
#include "crypto/tlsstore.h"

enum { FRAME_MAX = CHAN_MAX - CHAN_HEAD };

/* Who may ask: the callers of a door are the channels with its label. */
enum door_kind { DOOR_LOCAL = 1, DOOR_WEB = 2, DOOR_JOURNAL = 4, DOOR_TLS = 8 };
enum { DOOR_ANY = DOOR_LOCAL | DOOR_WEB | DOOR_JOURNAL };

struct vault {
    struct keystore *store;
    struct tlsstore *tls;
    pthread_mutex_t lock;
    bool journal_apart; /* the journal has a channel of its own */
    const char *folder; /* NULL: not looked at again */
    int64_t look_ms;    /* when it is, monotonic */
};
struct door {
    struct vault *vault;
    enum door_kind kind;
};

enum keys_op {
    OP_SIGN = 16, /* below are the channel's own */
    OP_SIGN_JWS,
    OP_JWKS,
    OP_PUBLIC,
    OP_MAC,
    OP_WRAP,
    OP_UNWRAP,
    OP_SHARED,
    OP_ROTATE,
    OP_PAIRWISE_V1,
    OP_SIGN_TOKENS,
    OP_CEK,
    OP_TLS_HAS,
    OP_TLS_SIGN,
    OP_TLS_CERTIFY,
    OP_TLS_IMPORT
};

/* A payload is fields, {u32 length, bytes} one after another, little-endian. */
void keys_field_add(struct buf *b, struct str s);
/* Exactly n fields and nothing behind them. */
bool keys_fields_read(struct str in, struct str *out, size_t n) MUST_CHECK;

enum err keys_vault_open(const char *folder, struct vault *v) MUST_CHECK;
void keys_vault_close(struct vault *v);
/* One request, whichever way it came: a chan_handler. `door`: a struct door. */
enum err keys_serve(void *door, uint16_t op, struct str payload, struct arena *a,
                    struct buf *answer) MUST_CHECK;

#endif
