#include "crypto/tlsstore.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/rand.h"
#include "crypto/tlskey.h"
#include "sys/file.h"

enum { KEYS_MAX = 64, PEM_MAX = 16 * 1024, NAME_LEN_MAX = 64, RSA_BITS = 2048 };

struct entry {
    char file[NAME_LEN_MAX + 16];
    struct timespec mtime;
    EVP_PKEY *pkey;
    uint8_t id[KEYS_TLS_ID_LEN];
};
struct tlsstore {
    char *folder;
    struct entry list[KEYS_MAX];
    size_t n;
};

struct tlsstore *tlsstore_new(const char *folder)
{
    struct tlsstore *s = calloc(1, sizeof *s);
    evp_must(s && (s->folder = strdup(folder)) != NULL, "memory");
    return s;
}

void tlsstore_free(struct tlsstore *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        EVP_PKEY_free(s->list[i].pkey);
    free(s->folder);
    free(s);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool name_is_good(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return name.n > 0 && name.n <= NAME_LEN_MAX && name.p[0] != '.';
}

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static bool pkey_is_good(EVP_PKEY *k)
{
    return k && ((EVP_PKEY_is_a(k, "RSA") && EVP_PKEY_get_bits(k) >= RSA_BITS) ||
                 (EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_bits(k) >= 256));
}

static EVP_PKEY *pkey_read(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    evp_must(bio != NULL, "memory");
    EVP_PKEY *k = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (pkey_is_good(k))
        return k;
    EVP_PKEY_free(k);
    ERR_clear_error();
    return NULL;
}

static struct entry *entry_of(struct tlsstore *s, const char *file)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->list[i].file, file) == 0)
            return &s->list[i];
    return s->n < KEYS_MAX ? &s->list[s->n] : NULL;
}

/* A key that was replaced goes on signing for the certificates that are still shown. */
static void retire(struct tlsstore *s, struct entry *e)
{
    if (e->pkey && s->n < KEYS_MAX) {
        s->list[s->n] = *e;
        s->list[s->n++].file[0] = '\0';
    } else {
        EVP_PKEY_free(e->pkey);
    }
}

static void file_take(struct tlsstore *s, struct arena *a, const char *file)
{
    struct stat st;
    struct str pem;
    uint8_t id[KEYS_TLS_ID_LEN];
    const char *path = arena_printf(a, "%s/%s", s->folder, file).p;
    struct entry *e = entry_of(s, file);
    if (!e || strlen(file) >= sizeof e->file || stat(path, &st) != 0)
        return;
    bool same =
        e->pkey && e->mtime.tv_sec == st.st_mtim.tv_sec && e->mtime.tv_nsec == st.st_mtim.tv_nsec;
    if (same)
        return;
    bool closed = (st.st_mode & 077) == 0 && st.st_uid == geteuid();
    EVP_PKEY *k = closed && file_read(a, path, PEM_MAX, &pem) == ERR_OK ? pkey_read(pem) : NULL;
    if (!k || !tlskey_id(k, id)) {
        log_error("key_file_refused", "file", file, "error", closed ? "corrupt" : "denied");
        EVP_PKEY_free(k);
        return;
    }
    retire(s, e);
    e->pkey = k;
    memcpy(e->id, id, sizeof id);
    e->mtime = st.st_mtim;
    memcpy(e->file, file, strlen(file) + 1);
    if (e == &s->list[s->n])
        s->n++;
}

static void folder_read(struct tlsstore *s)
{
    struct arena a;
    DIR *d = opendir(s->folder);
    if (!d)
        return;
    arena_init_secret(&a);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (str_starts(str_from(e->d_name), STR("tls-")) &&
            str_ends(str_from(e->d_name), STR(".pem")))
            file_take(s, &a, e->d_name);
    closedir(d);
    arena_free(&a);
}

static struct entry *known(struct tlsstore *s, struct str id)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(id, str_of(s->list[i].id, KEYS_TLS_ID_LEN)))
            return &s->list[i];
    return NULL;
}

enum err tlsstore_find(struct tlsstore *s, struct str id, EVP_PKEY **out)
{
    struct entry *e = known(s, id);
    if (!e) {
        folder_read(s);
        e = known(s, id);
    }
    if (!e)
        return ERR_NOT_FOUND;
    EVP_PKEY_up_ref(e->pkey);
    *out = e->pkey;
    return ERR_OK;
}

/* --- signing ---------------------------------------------------------------------------------- */

enum err tlsstore_sign(EVP_PKEY *pkey, struct str digest, bool pss, struct str data,
                       struct arena *a, struct str *sig)
{
    static const char *const digests[] = {"SHA256",   "SHA384",   "SHA512",
                                          "SHA2-256", "SHA2-384", "SHA2-512"};
    const char *name = NULL;
    EVP_PKEY_CTX *pc = NULL;
    bool rsa = EVP_PKEY_is_a(pkey, "RSA");
    for (size_t i = 0; i < COUNT_OF(digests); i++)
        if (str_eq_z(digest, digests[i]))
            name = digests[i];
    if (!name || (pss && !rsa))
        return ERR_INVALID;
    size_t n = (size_t)EVP_PKEY_get_size(pkey);
    uint8_t *out = arena_alloc(a, n);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c && EVP_DigestSignInit_ex(c, &pc, name, NULL, NULL, pkey, NULL) > 0;
    if (good && pss)
        good = EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) > 0;
    good = good && EVP_DigestSign(c, out, &n, (const uint8_t *)data.p, data.n) > 0;
    EVP_MD_CTX_free(c);
    if (!good)
        ERR_clear_error();
    *sig = str_of(out, n);
    return good ? ERR_OK : ERR_INTERNAL;
}

/* --- making ----------------------------------------------------------------------------------- */

static enum err key_write(struct tlsstore *s, struct arena *a, const char *file, EVP_PKEY *k)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *pem;
    evp_must(bio && PEM_write_bio_PKCS8PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL), "PEM");
    long n = BIO_get_mem_data(bio, &pem);
    enum err e = file_write_atomic(arena_printf(a, "%s/%s", s->folder, file).p,
                                   str_of(pem, (size_t)n), 0600);
    BIO_free(bio);
    return e;
}

static enum err key_get(struct tlsstore *s, struct arena *a, struct str name, struct str alg,
                        EVP_PKEY **out)
{
    const char *file = arena_printf(a, "tls-" STR_FMT ".pem", STR_ARG(name)).p;
    if (!name_is_good(name))
        return ERR_INVALID;
    folder_read(s);
    struct entry *e = entry_of(s, file);
    if (e && e->pkey) {
        EVP_PKEY_up_ref(e->pkey);
        *out = e->pkey;
        return ERR_OK;
    }
    if (!e)
        return ERR_LIMIT;
    bool rsa = str_eq_z(alg, "rsa");
    if (!rsa && !str_eq_z(alg, "ec"))
        return ERR_INVALID;
    *out = rsa ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
    evp_must(*out != NULL, "key generation");
    enum err err = key_write(s, a, file, *out);
    if (err)
        EVP_PKEY_free(*out);
    else
        log_info("key_made", "file", file);
    return err;
}

enum err tlsstore_import(struct tlsstore *s, struct str name, struct str pem, struct arena *a)
{
    if (!name_is_good(name))
        return ERR_INVALID;
    EVP_PKEY *k = pkey_read(pem);
    if (!k)
        return ERR_INVALID;
    enum err e = key_write(s, a, arena_printf(a, "tls-" STR_FMT ".pem", STR_ARG(name)).p, k);
    EVP_PKEY_free(k);
    return e;
}

/* "DNS:a.example,IP:192.0.2.1" and the first name alone. */
static bool hosts_read(struct arena *a, struct str hosts, struct str *first, struct str *alt)
{
    struct buf b;
    struct str part;
    unsigned char raw[16];
    buf_init(&b, 16 * 1024);
    *first = STR_NONE;
    while (hosts.n && str_split(&hosts, ',', &part)) {
        part = str_trim(part);
        const char *z = arena_dupz(a, part);
        bool address = inet_pton(AF_INET, z, raw) == 1 || inet_pton(AF_INET6, z, raw) == 1;
        if (part.n == 0 || part.n > 253 || strpbrk(z, "\r\n;:/\\\"'=+ ") != NULL) {
            if (!address) {
                buf_free(&b);
                return false;
            }
        }
        buf_printf(&b, "%s%s:%s", b.n ? "," : "", address ? "IP" : "DNS", z);
        if (!first->p)
            *first = str_of(z, part.n);
    }
    *alt = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return first->p != NULL;
}

static bool subject_set(X509_NAME *name, struct str first)
{
    struct str cn = str_sub(first, 0, 64); /* the field's own limit */
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn.p,
                                      (int)cn.n, -1, 0) == 1;
}

static X509_EXTENSION *extension(int nid, const char *value)
{
    return X509V3_EXT_nconf_nid(NULL, NULL, nid, value);
}

static const struct {
    int nid;
    const char *value;
} usual[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth,clientAuth"},
};

static BIO *certificate(EVP_PKEY *k, struct str first, const char *alt, unsigned days)
{
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    BIGNUM *serial = BN_new();
    uint8_t raw[16];
    rand_bytes(raw, sizeof raw);
    raw[0] &= 0x7f;
    evp_must(x && bio && serial && BN_bin2bn(raw, sizeof raw, serial), "memory");
    bool good = X509_set_version(x, X509_VERSION_3) &&
                BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) &&
                X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
                X509_gmtime_adj(X509_getm_notAfter(x), (long)days * 86400) &&
                X509_set_pubkey(x, k) && subject_set(X509_get_subject_name(x), first) &&
                X509_set_issuer_name(x, X509_get_subject_name(x));
    for (size_t i = 0; good && i <= COUNT_OF(usual); i++) {
        X509_EXTENSION *e = i < COUNT_OF(usual) ? extension(usual[i].nid, usual[i].value)
                                                : extension(NID_subject_alt_name, alt);
        good = e && X509_add_ext(x, e, -1) == 1;
        X509_EXTENSION_free(e);
    }
    good = good && X509_sign(x, k, evp()->sha256) > 0 && PEM_write_bio_X509(bio, x);
    X509_free(x);
    BN_free(serial);
    if (!good) {
        BIO_free(bio);
        return NULL;
    }
    return bio;
}

static BIO *request(EVP_PKEY *k, struct str first, const char *alt)
{
    X509_REQ *x = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *e = extension(NID_subject_alt_name, alt);
    evp_must(x && bio && list, "memory");
    bool good = e && sk_X509_EXTENSION_push(list, e) > 0;
    if (!good)
        X509_EXTENSION_free(e);
    good = good && X509_REQ_set_version(x, 0) && X509_REQ_set_pubkey(x, k) &&
           subject_set(X509_REQ_get_subject_name(x), first) && X509_REQ_add_extensions(x, list) &&
           X509_REQ_sign(x, k, evp()->sha256) > 0 && PEM_write_bio_X509_REQ(bio, x);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    X509_REQ_free(x);
    if (!good) {
        BIO_free(bio);
        return NULL;
    }
    return bio;
}

enum err tlsstore_certify(struct tlsstore *s, struct str name, struct str alg, struct str hosts,
                          unsigned days, struct arena *a, struct str *pem)
{
    EVP_PKEY *k = NULL;
    struct str first, alt;
    char *text;
    if (!hosts_read(a, hosts, &first, &alt))
        return ERR_INVALID;
    enum err e = key_get(s, a, name, alg, &k);
    if (e)
        return e;
    BIO *bio = days ? certificate(k, first, alt.p, days) : request(k, first, alt.p);
    EVP_PKEY_free(k);
    if (!bio) {
        ERR_clear_error();
        return ERR_INVALID;
    }
    long n = BIO_get_mem_data(bio, &text);
    *pem = arena_dup(a, str_of(text, (size_t)n));
    BIO_free(bio);
    return ERR_OK;
}
