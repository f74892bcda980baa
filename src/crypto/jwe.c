#include "crypto/jwe.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/jwe_key.h"
#include "data/json.h"

enum { IV_LEN = 12, TAG_LEN = 16, PART_MAX = 1024, RSA_MAX = 1024, KEYS_MAX = 32 };
static const char ENC[] = "A256GCM";

static const char *const names[] = {
    [JWE_NONE] = "none", [JWE_ECDH_ES] = "ECDH-ES", [JWE_RSA_OAEP_256] = "RSA-OAEP-256"};

const char *jwe_alg_name(enum jwe_alg alg)
{
    return names[alg];
}

enum err jwe_alg_from_name(struct str name, enum jwe_alg *out)
{
    for (int i = JWE_ECDH_ES; i <= JWE_RSA_OAEP_256; i++)
        if (str_eq_z(name, names[i])) {
            *out = (enum jwe_alg)i;
            return ERR_OK;
        }
    return ERR_INVALID;
}

/* ---- keys agreed and wrapped -------------------------------------------------------------------
 */
static void add_u32(struct buf *b, size_t n)
{
    uint8_t be[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    buf_add(b, be, sizeof be);
}

static void add_sized(struct buf *b, struct str s)
{
    add_u32(b, s.n);
    buf_add_str(b, s);
}

struct str jwe_party_info(struct arena *a, const char *enc, struct str apu, struct str apv,
                          unsigned bits)
{
    struct buf b;
    buf_init(&b, 4096);
    add_sized(&b, str_from(enc));
    add_sized(&b, apu);
    add_sized(&b, apv);
    add_u32(&b, bits);
    struct str s = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return s;
}

void jwe_concat_kdf(struct str shared, struct str party_info, uint8_t out[32])
{
    static const uint8_t one[4] = {0, 0, 0, 1};
    struct str parts[] = {str_of(one, sizeof one), shared, party_info};
    sha256_many(parts, COUNT_OF(parts), out);
}

enum err jwe_agree(EVP_PKEY *mine, EVP_PKEY *theirs, struct str party_info,
                   uint8_t cek[JWE_CEK_LEN])
{
    uint8_t z[32];
    size_t n = sizeof z;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
    bool good = c && EVP_PKEY_derive_init(c) > 0 && EVP_PKEY_derive_set_peer(c, theirs) > 0 &&
                EVP_PKEY_derive(c, z, &n) > 0 && n == sizeof z;
    EVP_PKEY_CTX_free(c);
    if (good)
        jwe_concat_kdf(str_of(z, sizeof z), party_info, cek);
    mem_wipe(z, sizeof z);
    ERR_clear_error();
    return good ? ERR_OK : ERR_INVALID;
}

static EVP_PKEY_CTX *oaep(EVP_PKEY *pkey, bool encrypts)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    evp_must(c && (encrypts ? EVP_PKEY_encrypt_init(c) : EVP_PKEY_decrypt_init(c)), "oaep");
    evp_must(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING), "oaep");
    evp_must(EVP_PKEY_CTX_set_rsa_oaep_md(c, evp()->sha256), "oaep");
    evp_must(EVP_PKEY_CTX_set_rsa_mgf1_md(c, evp()->sha256), "oaep");
    return c;
}

/* Whatever is wrong with the wrapped key, the answer is a key: a drawn one opens nothing, and the
 * sender learns no more than that (RFC 7516 11.5). */
void jwe_unwrap_rsa(EVP_PKEY *pkey, struct str wrapped, uint8_t cek[JWE_CEK_LEN])
{
    uint8_t out[RSA_MAX];
    size_t n = sizeof out;
    rand_bytes(cek, JWE_CEK_LEN);
    EVP_PKEY_CTX *c = oaep(pkey, false);
    if (EVP_PKEY_decrypt(c, out, &n, (const uint8_t *)wrapped.p, wrapped.n) > 0 && n == JWE_CEK_LEN)
        memcpy(cek, out, JWE_CEK_LEN);
    EVP_PKEY_CTX_free(c);
    ERR_clear_error();
    mem_wipe(out, sizeof out);
}

/* ---- the reader's key --------------------------------------------------------------------------
 */
static bool is_for(const json_t *o, enum jwe_alg alg)
{
    struct str use = jose_member(o, "use"), named = jose_member(o, "alg");
    if (use.p && !str_eq_z(use, "enc"))
        return false;
    if (named.p && !str_eq_z(named, names[alg]))
        return false;
    return str_eq_z(jose_member(o, "kty"), alg == JWE_ECDH_ES ? "EC" : "RSA");
}

/* jwk_read takes keys for signatures; the same points and numbers serve here. */
static struct jwk *key_read(const json_t *o)
{
    static const char *const limits[] = {"use", "alg", "key_ops"};
    struct jwk *k = NULL;
    json_t *bare = json_copy((json_t *)(uintptr_t)o);
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        json_object_del(bare, limits[i]);
    if (jwk_read(bare, &k) != ERR_OK)
        k = NULL;
    json_decref(bare);
    return k;
}

static struct jwk *key_find(struct str jwks_json, enum jwe_alg alg)
{
    json_t *doc;
    struct jwk *k = NULL;
    if (json_read(jwks_json, &doc, NULL) != ERR_OK)
        return NULL;
    const json_t *list = json_get(doc, "keys");
    /* One that says it is for encryption comes before one that says nothing. */
    for (int turn = 0; turn < 2 && !k; turn++)
        for (size_t i = 0; i < json_array_size(list) && i < KEYS_MAX && !k; i++) {
            const json_t *o = json_array_get(list, i);
            if (is_for(o, alg) && (turn > 0 || jose_member(o, "use").p))
                k = key_read(o);
        }
    json_decref(doc);
    return k;
}

bool jwe_key_is_in(struct str jwks_json, enum jwe_alg alg)
{
    struct jwk *k = key_find(jwks_json, alg);
    jwk_free(k);
    return k != NULL;
}

/* ---- encrypting --------------------------------------------------------------------------------
 */
struct making {
    uint8_t cek[JWE_CEK_LEN];
    struct str wrapped, epk; /* epk: its JWK */
};

static enum err make_ecdh(struct arena *a, const struct jwk *k, struct making *m)
{
    EVP_PKEY *mine = EVP_EC_gen("P-256");
    evp_must(mine != NULL, "key generation");
    enum err e = jwe_agree(mine, k->pkey, jwe_party_info(a, ENC, STR(""), STR(""), 256), m->cek);
    m->epk = jwk_of_pkey(a, mine);
    m->wrapped = STR("");
    EVP_PKEY_free(mine);
    return e;
}

static enum err make_rsa(struct arena *a, const struct jwk *k, struct making *m)
{
    uint8_t out[RSA_MAX];
    size_t n = sizeof out;
    rand_bytes(m->cek, sizeof m->cek);
    EVP_PKEY_CTX *c = oaep(k->pkey, true);
    bool good = EVP_PKEY_encrypt(c, out, &n, m->cek, sizeof m->cek) > 0;
    EVP_PKEY_CTX_free(c);
    ERR_clear_error();
    if (good)
        m->wrapped = arena_dup(a, str_of(out, n));
    return good ? ERR_OK : ERR_INVALID;
}

static struct str header_make(struct arena *a, const struct jwk *k, enum jwe_alg alg,
                              const char *cty, const struct making *m)
{
    struct buf b;
    buf_init(&b, 8192);
    buf_printf(&b, "{\"alg\":\"%s\",\"enc\":\"%s\"", names[alg], ENC);
    if (jwk_kid(k).n) {
        buf_add_z(&b, ",\"kid\":");
        buf_add_json(&b, jwk_kid(k));
    }
    if (cty)
        buf_printf(&b, ",\"cty\":\"%s\"", cty);
    if (m->epk.n)
        buf_printf(&b, ",\"epk\":" STR_FMT, STR_ARG(m->epk));
    buf_add_char(&b, '}');
    struct str s = codec_to_base64url(a, b.p, b.n);
    buf_free(&b);
    return s;
}

static struct str encrypt(struct arena *a, const uint8_t cek[JWE_CEK_LEN], struct str aad,
                          struct str plain, uint8_t iv[IV_LEN], uint8_t tag[TAG_LEN])
{
    EVP_CIPHER_CTX *c = evp_thread()->cipher;
    uint8_t *text = arena_alloc(a, plain.n + 1);
    int n = 0;
    rand_bytes(iv, IV_LEN);
    evp_must(EVP_EncryptInit_ex2(c, evp()->aes_256_gcm, cek, iv, NULL), "jwe");
    evp_must(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)aad.p, (int)aad.n), "jwe");
    if (plain.n)
        evp_must(EVP_EncryptUpdate(c, text, &n, (const uint8_t *)plain.p, (int)plain.n), "jwe");
    evp_must(EVP_EncryptFinal_ex(c, tag, &n), "jwe");
    evp_must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag), "jwe");
    return str_of(text, plain.n);
}

enum err jwe_encrypt(struct arena *a, struct str jwks_json, enum jwe_alg alg, const char *cty,
                     struct str plain, struct str *compact)
{
    struct making m = {0};
    uint8_t iv[IV_LEN], tag[TAG_LEN];
    if (plain.n > JWE_MAX / 2)
        return ERR_LIMIT;
    struct jwk *k = key_find(jwks_json, alg);
    if (!k)
        return ERR_NOT_FOUND;
    enum err e = alg == JWE_ECDH_ES ? make_ecdh(a, k, &m) : make_rsa(a, k, &m);
    if (e == ERR_OK) {
        struct str head = header_make(a, k, alg, cty, &m);
        struct str text = encrypt(a, m.cek, head, plain, iv, tag);
        *compact = arena_printf(
            a, "%s.%s.%s.%s.%s", head.p, codec_to_base64url(a, m.wrapped.p, m.wrapped.n).p,
            codec_to_base64url(a, iv, IV_LEN).p, codec_to_base64url(a, text.p, text.n).p,
            codec_to_base64url(a, tag, TAG_LEN).p);
    }
    jwk_free(k);
    mem_wipe(&m, sizeof m);
    return e;
}

/* ---- opening -----------------------------------------------------------------------------------
 */
bool jwe_is(struct str compact)
{
    int dots = 0;
    for (size_t i = 0; i < compact.n; i++)
        dots += compact.p[i] == '.';
    return dots == 4;
}

static enum err member_decoded(struct arena *a, const json_t *o, const char *name, struct str *out)
{
    struct str text = jose_member(o, name);
    *out = STR("");
    if (!json_object_get(o, name))
        return ERR_OK;
    if (!text.p || text.n > PART_MAX)
        return ERR_INVALID;
    return codec_base64url(a, text, out);
}

static enum err ecdh_read(struct arena *a, const json_t *header, struct jwe *j)
{
    struct str x, y, apu, apv;
    const json_t *epk = json_object_get(header, "epk");
    if (!json_is_object(epk) || json_object_get(epk, "d") ||
        !str_eq_z(jose_member(epk, "kty"), "EC") || !str_eq_z(jose_member(epk, "crv"), "P-256") ||
        member_decoded(a, epk, "x", &x) || member_decoded(a, epk, "y", &y) ||
        member_decoded(a, header, "apu", &apu) || member_decoded(a, header, "apv", &apv))
        return ERR_INVALID;
    if (x.n != JWE_POINT_LEN / 2 || y.n != JWE_POINT_LEN / 2 || j->encrypted_key.n != 0)
        return ERR_INVALID;
    char *point = arena_alloc(a, JWE_POINT_LEN);
    memcpy(point, x.p, x.n);
    memcpy(point + x.n, y.p, y.n);
    j->encrypted_key = str_of(point, JWE_POINT_LEN);
    j->party_info = jwe_party_info(a, ENC, apu, apv, 256);
    return ERR_OK;
}

static enum err header_read(struct arena *a, struct str text, struct jwe *j)
{
    static const char *const refused[] = {"crit", "zip"};
    json_t *h;
    if (json_read(text, &h, NULL) != ERR_OK)
        return ERR_INVALID;
    struct str kid = jose_member(h, "kid");
    enum err e = json_is_object(h) && str_eq_z(jose_member(h, "enc"), ENC) && kid.n <= PART_MAX
                     ? jwe_alg_from_name(jose_member(h, "alg"), &j->alg)
                     : ERR_INVALID;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (json_object_get(h, refused[i]))
            e = ERR_INVALID;
    j->kid = arena_dup(a, kid.p ? kid : STR(""));
    if (e == ERR_OK && j->alg == JWE_ECDH_ES)
        e = ecdh_read(a, h, j);
    else if (e == ERR_OK && (j->encrypted_key.n < 256 || j->encrypted_key.n > RSA_MAX))
        e = ERR_INVALID;
    json_decref(h);
    return e;
}

enum err jwe_split(struct arena *a, struct str compact, struct jwe *out)
{
    struct str rest = compact, part[5], head;
    *out = (struct jwe){.party_info = STR("")};
    if (compact.n > JWE_MAX)
        return ERR_LIMIT;
    if (!jwe_is(compact))
        return ERR_INVALID;
    for (size_t i = 0; i < COUNT_OF(part); i++)
        if (!str_split(&rest, '.', &part[i]))
            part[i] = STR("");
    out->aad = part[0];
    if (codec_base64url(a, part[0], &head) || codec_base64url(a, part[1], &out->encrypted_key) ||
        codec_base64url(a, part[2], &out->iv) || codec_base64url(a, part[3], &out->ciphertext) ||
        codec_base64url(a, part[4], &out->tag))
        return ERR_INVALID;
    if (out->iv.n != IV_LEN || out->tag.n != TAG_LEN)
        return ERR_INVALID;
    return header_read(a, head, out);
}

enum err jwe_open(struct arena *a, const struct jwe *j, const uint8_t cek[JWE_CEK_LEN],
                  struct str *plain)
{
    EVP_CIPHER_CTX *c = evp_thread()->cipher;
    uint8_t tag[TAG_LEN], *p = arena_alloc(a, j->ciphertext.n + 1);
    int n = 0;
    memcpy(tag, j->tag.p, TAG_LEN);
    evp_must(EVP_DecryptInit_ex2(c, evp()->aes_256_gcm, cek, (const uint8_t *)j->iv.p, NULL),
             "jwe");
    evp_must(EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)j->aad.p, (int)j->aad.n), "jwe");
    if (j->ciphertext.n)
        evp_must(
            EVP_DecryptUpdate(c, p, &n, (const uint8_t *)j->ciphertext.p, (int)j->ciphertext.n),
            "jwe");
    evp_must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag), "jwe");
    if (EVP_DecryptFinal_ex(c, p + j->ciphertext.n, &n) <= 0) {
        mem_wipe(p, j->ciphertext.n); /* what was decrypted is nobody's word */
        return ERR_CORRUPT;
    }
    *plain = str_of(p, j->ciphertext.n);
    return ERR_OK;
}
