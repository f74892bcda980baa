#include "crypto/tsp.h"

#include <openssl/ts.h>
#include <openssl/x509_vfy.h>
#include "crypto/digest.h"

static struct str der_of(struct arena *a, const TS_REQ *rq)
{
    unsigned char *p = NULL;
    int n = i2d_TS_REQ(rq, &p);
    struct str out = n > 0 ? arena_dup(a, str_of((const char *)p, (size_t)n)) : STR_NONE;
    OPENSSL_free(p);
    return out;
}

static bool imprint_set(TS_REQ *rq, struct str data)
{
    uint8_t hash[SHA256_LEN];
    TS_MSG_IMPRINT *m = TS_MSG_IMPRINT_new();
    X509_ALGOR *algorithm = X509_ALGOR_new();
    sha256(data.p, data.n, hash);
    bool good = m && algorithm &&
                X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) == 1 &&
                TS_MSG_IMPRINT_set_algo(m, algorithm) == 1 &&
                TS_MSG_IMPRINT_set_msg(m, hash, sizeof hash) == 1 &&
                TS_REQ_set_msg_imprint(rq, m) == 1;
    X509_ALGOR_free(algorithm);
    TS_MSG_IMPRINT_free(m);
    return good;
}

enum err tsp_request(struct arena *a, struct str data, const uint8_t nonce[TSP_NONCE],
                     struct str *der)
{
    TS_REQ *rq = TS_REQ_new();
    BIGNUM *n = BN_bin2bn(nonce, TSP_NONCE, NULL);
    ASN1_INTEGER *number = n ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
    bool good = rq && number && TS_REQ_set_version(rq, 1) == 1 && imprint_set(rq, data) &&
                TS_REQ_set_nonce(rq, number) == 1 && TS_REQ_set_cert_req(rq, 1) == 1;
    *der = good ? der_of(a, rq) : STR_NONE;
    ASN1_INTEGER_free(number);
    BN_free(n);
    TS_REQ_free(rq);
    return der->n ? ERR_OK : ERR_INTERNAL;
}

/* ---- answers ------------------------------------------------------------------------------------
 */
static bool imprint_fits(TS_TST_INFO *info, struct str data)
{
    uint8_t hash[SHA256_LEN];
    TS_MSG_IMPRINT *m = TS_TST_INFO_get_msg_imprint(info);
    const ASN1_OBJECT *algorithm;
    sha256(data.p, data.n, hash);
    X509_ALGOR_get0(&algorithm, NULL, NULL, TS_MSG_IMPRINT_get_algo(m));
    const ASN1_OCTET_STRING *said = TS_MSG_IMPRINT_get_msg(m);
    return OBJ_obj2nid(algorithm) == NID_sha256 && ASN1_STRING_length(said) == SHA256_LEN &&
           memcmp(ASN1_STRING_get0_data(said), hash, SHA256_LEN) == 0;
}

static bool nonce_fits(const TS_TST_INFO *info, const uint8_t *nonce)
{
    const ASN1_INTEGER *said = TS_TST_INFO_get_nonce(info);
    BIGNUM *ours = nonce ? BN_bin2bn(nonce, TSP_NONCE, NULL) : NULL;
    BIGNUM *theirs = said ? ASN1_INTEGER_to_BN(said, NULL) : NULL;
    bool good = !nonce || (ours && theirs && BN_cmp(ours, theirs) == 0);
    BN_free(ours);
    BN_free(theirs);
    return good;
}

static bool time_of(const TS_TST_INFO *info, int64_t *at_ms)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &tm) != 1)
        return false;
    *at_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static TS_RESP *response_of(struct str der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    TS_RESP *r = der.n && der.n <= TSP_ANSWER_MAX ? d2i_TS_RESP(NULL, &p, (long)der.n) : NULL;
    if (r && p != (const unsigned char *)der.p + der.n) {
        TS_RESP_free(r);
        r = NULL;
    }
    return r;
}

static enum err judge(TS_RESP *r, struct str data, const uint8_t *nonce, int64_t *at_ms)
{
    TS_TST_INFO *info = TS_RESP_get_tst_info(r);
    long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(r)));
    if ((status != TS_STATUS_GRANTED && status != TS_STATUS_GRANTED_WITH_MODS) || !info ||
        TS_TST_INFO_get_version(info) != 1)
        return ERR_DENIED;
    return imprint_fits(info, data) && nonce_fits(info, nonce) && time_of(info, at_ms) ? ERR_OK
                                                                                       : ERR_DENIED;
}

enum err tsp_response_read(struct str der, struct str data, const uint8_t *nonce, int64_t *at_ms)
{
    TS_RESP *r = response_of(der);
    *at_ms = 0;
    enum err e = r ? judge(r, data, nonce, at_ms) : ERR_INVALID;
    TS_RESP_free(r);
    return e;
}

/* The purpose is OpenSSL's to check: timeStamping, critical and alone. */
static bool signed_by(TS_RESP *r, const char *ca_file)
{
    TS_VERIFY_CTX *v = TS_VERIFY_CTX_new();
    X509_STORE *store = v ? TS_VERIFY_CTX_set_store(v, X509_STORE_new()) : NULL;
    bool good = store && X509_STORE_load_locations(store, ca_file, NULL) == 1;
    /* What was valid then is what counts: a token outlives its certificate. */
    TS_TST_INFO *info = TS_RESP_get_tst_info(r);
    int64_t at_ms;
    if (good && info && time_of(info, &at_ms)) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(at_ms / 1000));
        TS_VERIFY_CTX_set_flags(v, TS_VFY_VERSION | TS_VFY_SIGNATURE);
        good = TS_RESP_verify_token(v, TS_RESP_get_token(r)) == 1;
    }
    TS_VERIFY_CTX_free(v);
    return good;
}

enum err tsp_response_verify(struct str der, struct str data, const char *ca_file, int64_t *at_ms)
{
    TS_RESP *r = response_of(der);
    *at_ms = 0;
    enum err e = r ? judge(r, data, NULL, at_ms) : ERR_INVALID;
    if (e == ERR_OK && !signed_by(r, ca_file))
        e = ERR_DENIED;
    TS_RESP_free(r);
    return e;
}
