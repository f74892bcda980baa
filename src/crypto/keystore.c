/* The keys folder. Three rules guide it. A file is whole or absent: each is written beside and
 * renamed. A file that was made once is never made again: the inventory remembers it, because a new
 * pairwise or blind secret in place of a lost one would part every account from its past without a
 * word. And a key is published before it signs: each rotating kind has its next key from the start.
 */
#include "crypto/keystore.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "sys/file.h"

enum { NAME_MAX_LEN = 64, FILE_MAX = 16 * 1024, INVENTORY_MAX = 4096, RSA_BITS = 2048 };

/* A kind that is not made at start is made at its first use: RSA takes some 100 ms. */
static const struct kind {
    const char *purpose;
    enum jose_alg alg;
    const char *file;
    bool at_start, rotates;
} kinds[] = {
    {"issuer", JOSE_ES256, "issuer.es256", true, true},
    {"issuer", JOSE_RS256, "issuer.rs256", false, true},
    {"issuer", JOSE_PS256, "issuer.ps256", false, true},
    {"journal", JOSE_EDDSA, "journal.ed25519", true, false},
    {"witness", JOSE_EDDSA, "witness.ed25519", false, false},
    {"client", JOSE_ES256, "client.es256", true, true},
    /* What others encrypt for us: ECDH-ES and RSA-OAEP-256, by the type of key. */
    {"decrypt", JOSE_ES256, "decrypt.p256", false, true},
    {"decrypt", JOSE_RS256, "decrypt.rsa", false, true},
    {"message", JOSE_ES256, "message.es256", true, true},
};
static const char *const slot_suffix[SLOT_COUNT] = {".pem", ".next.pem", ".old.pem"};

static const struct {
    const char *name;
    enum keystore_use use;
} secrets[] = {
    {"pairwise", USE_MAC}, {"blind", USE_MAC},         {"client_secret", USE_MAC},
    {"subject", USE_WRAP}, {"token-seal", USE_SHARED}, {"cookie", USE_SHARED},
};

struct stamp {
    ino_t inode;
    struct timespec at;
};

struct keystore {
    char *folder;
    struct keystore_key keys[COUNT_OF(kinds)][SLOT_COUNT];
    uint8_t secrets[COUNT_OF(secrets)][KEYSTORE_SECRET_LEN];
    char inventory[INVENTORY_MAX]; /* a name a line */
    bool inventory_changed;
    struct stamp stamp; /* of the inventory's file, as it was read or written last */
};

/* --- files ------------------------------------------------------------------------------------ */

static const char *path_of(const struct keystore *s, struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", s->folder, name).p;
}

static enum err refuse(const char *name, enum err e)
{
    log_error("key_file_refused", "file", name, "error", err_name(e));
    return e;
}

/* Ours, and nobody else's to read. */
static enum err closed_to_others(const char *path, const char *name)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? ERR_NOT_FOUND : refuse(name, ERR_IO);
    if ((st.st_mode & 077) != 0 || st.st_uid != geteuid())
        return refuse(name, ERR_DENIED);
    return ERR_OK;
}

static enum err private_read(const struct keystore *s, struct arena *a, const char *name,
                             struct str *out)
{
    const char *path = path_of(s, a, name);
    enum err e = closed_to_others(path, name);
    return e ? e : file_read(a, path, FILE_MAX, out);
}

static bool inventory_has(const struct keystore *s, const char *name)
{
    struct str rest = str_from(s->inventory), line;
    while (rest.n && str_split(&rest, '\n', &line))
        if (str_eq_z(line, name))
            return true;
    return false;
}

static void inventory_add(struct keystore *s, const char *name)
{
    size_t n = strlen(s->inventory);
    if (inventory_has(s, name))
        return;
    assert(n + strlen(name) + 2 < sizeof s->inventory);
    snprintf(s->inventory + n, sizeof s->inventory - n, "%s\n", name);
    s->inventory_changed = true;
}

static struct stamp stamp_now(const struct keystore *s, struct arena *a)
{
    struct stat st;
    return stat(path_of(s, a, "inventory"), &st) == 0 ? (struct stamp){st.st_ino, st.st_mtim}
                                                      : (struct stamp){0};
}

static enum err inventory_read(struct keystore *s, struct arena *a)
{
    struct str text;
    s->stamp = stamp_now(s, a);
    enum err e = private_read(s, a, "inventory", &text);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e || text.n >= sizeof s->inventory || memchr(text.p, '\0', text.n))
        return refuse("inventory", e ? e : ERR_CORRUPT);
    memcpy(s->inventory, text.p, text.n);
    s->inventory[text.n] = '\0';
    return ERR_OK;
}

/* One process at a time makes keys: the running one, and an operator's commands beside it. -1: the
 * folder cannot be locked. Closing gives it back. */
static int lock_take(const struct keystore *s, struct arena *a)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path_of(s, a, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    while (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &whole) != 0)
        if (errno != EINTR) {
            close(fd);
            fd = -1;
        }
    if (fd < 0)
        (void)refuse("lock", ERR_IO);
    return fd;
}

static enum err inventory_write(struct keystore *s, struct arena *a)
{
    enum err e = ERR_OK;
    if (s->inventory_changed)
        e = file_write_atomic(path_of(s, a, "inventory"), str_from(s->inventory), 0600);
    if (e == ERR_OK && s->inventory_changed)
        s->stamp = stamp_now(s, a);
    s->inventory_changed = e != ERR_OK;
    return e;
}

/* --- keys ------------------------------------------------------------------------------------- */

static const char *file_of(struct arena *a, size_t kind, enum keystore_slot slot)
{
    return arena_printf(a, "%s%s", kinds[kind].file, slot_suffix[slot]).p;
}

static EVP_PKEY *pkey_make(enum jose_alg alg)
{
    EVP_PKEY *k = alg == JOSE_ES256   ? EVP_EC_gen("P-256")
                  : alg == JOSE_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                      : EVP_RSA_gen(RSA_BITS);
    evp_must(k != NULL, "key generation");
    return k;
}

static bool pkey_fits(EVP_PKEY *k, enum jose_alg alg)
{
    char group[32];
    size_t n;
    if (alg == JOSE_ES256)
        return EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, &n) &&
               str_eq_z(str_of(group, n), "prime256v1");
    if (alg == JOSE_EDDSA)
        return EVP_PKEY_is_a(k, "ED25519");
    return EVP_PKEY_is_a(k, "RSA") && EVP_PKEY_get_bits(k) >= RSA_BITS;
}

/* A key file under a passphrase is refused: there is nobody to ask. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static void key_set(struct arena *a, struct keystore_key *k, EVP_PKEY *pkey)
{
    struct str kid = jwk_kid_of_pkey(a, pkey);
    assert(kid.n == KID_LEN);
    EVP_PKEY_free(k->pkey);
    k->pkey = pkey;
    memcpy(k->kid, kid.p, KID_LEN + 1);
}

static enum err key_read(struct keystore *s, struct arena *a, size_t kind, enum keystore_slot slot)
{
    struct str pem;
    const char *name = file_of(a, kind, slot);
    enum err e = private_read(s, a, name, &pem);
    if (e)
        return e;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    evp_must(bio != NULL, "memory");
    EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (!k || !pkey_fits(k, kinds[kind].alg)) {
        EVP_PKEY_free(k);
        ERR_clear_error();
        return refuse(name, ERR_CORRUPT);
    }
    key_set(a, &s->keys[kind][slot], k);
    return ERR_OK;
}

static enum err key_make(struct keystore *s, struct arena *a, size_t kind, enum keystore_slot slot)
{
    EVP_PKEY *k = pkey_make(kinds[kind].alg);
    BIO *bio = BIO_new(BIO_s_secmem());
    char *pem;
    const char *name = file_of(a, kind, slot);
    evp_must(bio && PEM_write_bio_PKCS8PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL), "PEM");
    long n = BIO_get_mem_data(bio, &pem);
    enum err e = file_write_atomic(path_of(s, a, name), str_of(pem, (size_t)n), 0600);
    BIO_free(bio);
    if (e) {
        EVP_PKEY_free(k);
        return refuse(name, e);
    }
    key_set(a, &s->keys[kind][slot], k);
    log_info("key_made", "file", name, "kid", s->keys[kind][slot].kid);
    return ERR_OK;
}

/* A rotation that was cut short left a next key and no current one: it goes on. */
static enum err kind_resume(struct keystore *s, struct arena *a, size_t kind)
{
    const char *from = path_of(s, a, file_of(a, kind, SLOT_NEXT));
    const char *to = path_of(s, a, file_of(a, kind, SLOT_CURRENT));
    if (access(to, F_OK) == 0 || access(from, F_OK) != 0 ||
        !inventory_has(s, file_of(a, kind, SLOT_CURRENT)))
        return ERR_OK;
    return rename(from, to) == 0 ? ERR_OK : file_err_from_errno(errno);
}

static enum err kind_open(struct keystore *s, struct arena *a, size_t kind, bool make)
{
    const char *name = file_of(a, kind, SLOT_CURRENT);
    enum err e = kind_resume(s, a, kind);
    if (!e)
        e = key_read(s, a, kind, SLOT_CURRENT);
    if (e == ERR_NOT_FOUND) {
        if (inventory_has(s, name))
            return refuse(name, ERR_CORRUPT);
        if (!make)
            return ERR_OK;
        e = key_make(s, a, kind, SLOT_CURRENT);
    }
    if (e)
        return e;
    inventory_add(s, name);
    if (!kinds[kind].rotates)
        return ERR_OK;
    e = key_read(s, a, kind, SLOT_NEXT);
    if (e == ERR_NOT_FOUND)
        e = key_make(s, a, kind, SLOT_NEXT);
    if (e)
        return e;
    e = key_read(s, a, kind, SLOT_OLD);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* --- secrets ---------------------------------------------------------------------------------- */

static enum err secret_make(struct keystore *s, struct arena *a, size_t i, const char *name)
{
    rand_bytes(s->secrets[i], KEYSTORE_SECRET_LEN);
    struct str hex = codec_to_hex(a, s->secrets[i], KEYSTORE_SECRET_LEN);
    enum err e = file_write_atomic(path_of(s, a, name), arena_printf(a, "%s\n", hex.p), 0600);
    if (e)
        return refuse(name, e);
    log_info("secret_made", "file", name);
    return ERR_OK;
}

static enum err secret_open(struct keystore *s, struct arena *a, size_t i)
{
    struct str text, raw;
    const char *name = arena_printf(a, "%s.secret", secrets[i].name).p;
    enum err e = private_read(s, a, name, &text);
    if (e == ERR_NOT_FOUND && !inventory_has(s, name)) {
        e = secret_make(s, a, i, name);
        if (!e)
            inventory_add(s, name);
        return e;
    }
    if (e)
        return refuse(name, e == ERR_NOT_FOUND ? ERR_CORRUPT : e);
    if (codec_hex(a, str_trim(text), &raw) || raw.n != KEYSTORE_SECRET_LEN)
        return refuse(name, ERR_CORRUPT);
    memcpy(s->secrets[i], raw.p, KEYSTORE_SECRET_LEN);
    inventory_add(s, name);
    return ERR_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

enum err keystore_open(const char *folder, struct keystore **out)
{
    struct arena a;
    struct keystore *s = calloc(1, sizeof *s);
    *out = NULL;
    evp_must(s && (s->folder = strdup(folder)) != NULL, "memory");
    arena_init_secret(&a);
    enum err e = file_make_dirs(folder, 0700);
    if (!e)
        e = closed_to_others(folder, folder);
    int lock = e ? -1 : lock_take(s, &a);
    if (!e)
        e = lock < 0 ? ERR_IO : inventory_read(s, &a);
    for (size_t i = 0; !e && i < COUNT_OF(kinds); i++)
        e = kind_open(s, &a, i, kinds[i].at_start);
    for (size_t i = 0; !e && i < COUNT_OF(secrets); i++)
        e = secret_open(s, &a, i);
    if (!e)
        e = inventory_write(s, &a);
    if (lock >= 0)
        close(lock);
    arena_free(&a);
    if (e) {
        keystore_close(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void keystore_close(struct keystore *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        for (size_t slot = 0; slot < SLOT_COUNT; slot++)
            EVP_PKEY_free(s->keys[i][slot].pkey);
    free(s->folder);
    mem_wipe(s, sizeof *s);
    free(s);
}

/* Unless another process made it meanwhile: then it is read. */
static enum err kind_make(struct keystore *s, size_t kind)
{
    struct arena a;
    arena_init_secret(&a);
    int lock = lock_take(s, &a);
    bool stale = keystore_changed(s);
    enum err e = lock < 0 ? ERR_IO : inventory_read(s, &a);
    if (!e)
        e = kind_open(s, &a, kind, true);
    if (!e)
        e = inventory_write(s, &a);
    if (stale) /* of the other kinds: it stays to be opened anew */
        s->stamp = (struct stamp){0};
    if (lock >= 0)
        close(lock);
    arena_free(&a);
    return e;
}

enum err keystore_signer(struct keystore *s, struct str purpose, enum jose_alg alg,
                         const struct keystore_key **out)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_eq_z(purpose, kinds[i].purpose) || kinds[i].alg != alg)
            continue;
        enum err e = s->keys[i][SLOT_CURRENT].pkey ? ERR_OK : kind_make(s, i);
        *out = &s->keys[i][SLOT_CURRENT];
        return e;
    }
    return ERR_NOT_FOUND;
}

bool keystore_next(const struct keystore *s, struct str purpose, size_t *at, enum jose_alg *alg,
                   const struct keystore_key **out)
{
    for (; *at < COUNT_OF(kinds) * SLOT_COUNT; ++*at) {
        size_t kind = *at / SLOT_COUNT, slot = *at % SLOT_COUNT;
        if (!s->keys[kind][slot].pkey || !str_eq_z(purpose, kinds[kind].purpose))
            continue;
        *alg = kinds[kind].alg;
        *out = &s->keys[kind][slot];
        ++*at;
        return true;
    }
    return false;
}

enum err keystore_secret(const struct keystore *s, struct str name, enum keystore_use use,
                         const uint8_t **out)
{
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        if (str_eq_z(name, secrets[i].name)) {
            *out = s->secrets[i];
            return secrets[i].use == use ? ERR_OK : ERR_DENIED;
        }
    return ERR_NOT_FOUND;
}

static enum err slot_move(struct keystore *s, struct arena *a, size_t kind, enum keystore_slot from,
                          enum keystore_slot to)
{
    const char *old = path_of(s, a, file_of(a, kind, from));
    const char *new = path_of(s, a, file_of(a, kind, to));
    if (rename(old, new) != 0)
        return file_err_from_errno(errno);
    EVP_PKEY_free(s->keys[kind][to].pkey);
    s->keys[kind][to] = s->keys[kind][from];
    s->keys[kind][from] = (struct keystore_key){0};
    return ERR_OK;
}

enum err keystore_rotate(struct keystore *s, struct str purpose)
{
    struct arena a;
    arena_init_secret(&a);
    int lock = lock_take(s, &a);
    enum err e = lock < 0 ? ERR_IO : ERR_NOT_FOUND;
    for (size_t i = 0; i < COUNT_OF(kinds) && (!e || e == ERR_NOT_FOUND); i++) {
        if (!str_eq_z(purpose, kinds[i].purpose) || !kinds[i].rotates ||
            !s->keys[i][SLOT_CURRENT].pkey)
            continue;
        e = slot_move(s, &a, i, SLOT_CURRENT, SLOT_OLD);
        if (!e)
            e = slot_move(s, &a, i, SLOT_NEXT, SLOT_CURRENT);
        if (!e)
            e = key_make(s, &a, i, SLOT_NEXT);
    }
    if (!e) { /* last of all: whoever has the folder open sees by it that it is whole again */
        s->inventory_changed = true;
        e = inventory_write(s, &a);
    }
    if (lock >= 0)
        close(lock);
    arena_free(&a);
    return e;
}

bool keystore_changed(const struct keystore *s)
{
    struct arena a;
    arena_init(&a);
    struct stamp now = stamp_now(s, &a);
    arena_free(&a);
    return now.inode != s->stamp.inode || now.at.tv_sec != s->stamp.at.tv_sec ||
           now.at.tv_nsec != s->stamp.at.tv_nsec;
}
