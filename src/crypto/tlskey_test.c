/* Keys that OpenSSL may use and nobody can read: whole handshakes in memory, with what TLS signs in
 * each version, and what such a key refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>
#include "crypto/tlskey.h"

static char folder[] = "/tmp/tlskey-test-XXXXXX";
static struct keys *keys;

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    return keys_open_local(folder, &keys) == ERR_OK ? 0 : -1;
}

static int finish(void **state)
{
    char command[100];
    (void)state;
    keys_close(keys);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static X509 *certificate(const char *name, const char *alg)
{
    struct arena a;
    struct str pem;
    arena_init(&a);
    assert_int_equal(
        keys_tls_certify(keys, str_from(name), alg, STR("a.example,192.0.2.1"), 30, &a, &pem),
        ERR_OK);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x);
    BIO_free(bio);
    arena_free(&a);
    return x;
}

/* Both ends in one thread, over a pair of memory buffers. */
static bool shake(SSL_CTX *server, SSL_CTX *client)
{
    BIO *one, *two;
    SSL *s = SSL_new(server), *c = SSL_new(client);
    assert_int_equal(BIO_new_bio_pair(&one, 0, &two, 0), 1);
    SSL_set_bio(s, one, one);
    SSL_set_bio(c, two, two);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    bool done = false;
    for (int i = 0; i < 20 && !done; i++) {
        int a = SSL_do_handshake(c), b = SSL_do_handshake(s);
        done = a == 1 && b == 1;
    }
    ERR_clear_error();
    SSL_free(s);
    SSL_free(c);
    return done;
}

static void handshakes(const char *name, const char *alg)
{
    EVP_PKEY *key;
    X509 *x = certificate(name, alg);
    assert_int_equal(tlskey_open(keys, X509_get0_pubkey(x), &key), ERR_OK);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        SSL_CTX *server = SSL_CTX_new(TLS_server_method());
        SSL_CTX *client = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(client, version);
        assert_int_equal(SSL_CTX_use_certificate(server, x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
        assert_int_equal(SSL_CTX_check_private_key(server), 1);
        SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
        assert_false(shake(server, client)); /* nobody knows it */
        X509_STORE_add_cert(SSL_CTX_get_cert_store(client), x);
        assert_true(shake(server, client));
        SSL_CTX_free(server);
        SSL_CTX_free(client);
    }
    EVP_PKEY_free(key);
    X509_free(x);
}

static void handshakes_sign_with_elliptic_curves(void **state)
{
    (void)state;
    handshakes("ec", "ec");
}

static void handshakes_sign_with_rsa(void **state)
{
    (void)state;
    handshakes("rsa", "rsa");
}

static void the_private_half_is_not_to_be_had(void **state)
{
    (void)state;
    EVP_PKEY *key;
    BIGNUM *d = NULL;
    X509 *x = certificate("ec", "ec");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(tlskey_open(keys, X509_get0_pubkey(x), &key), ERR_OK);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 0);
    assert_int_equal(EVP_PKEY_get_bn_param(key, "priv", &d), 0);
    ERR_clear_error();
    BIO_free(bio);
    EVP_PKEY_free(key);
    X509_free(x);
}

static void a_key_that_is_not_there_is_said(void **state)
{
    (void)state;
    EVP_PKEY *own = EVP_EC_gen("P-256"), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), *out;
    assert_int_equal(tlskey_open(keys, own, &out), ERR_NOT_FOUND);
    assert_int_equal(tlskey_open(keys, ed, &out), ERR_INVALID);
    EVP_PKEY_free(own);
    EVP_PKEY_free(ed);
}

static void a_replaced_key_still_signs(void **state)
{
    (void)state;
    uint8_t id[KEYS_TLS_ID_LEN];
    struct arena a;
    struct str sig;
    X509 *x = certificate("moved", "ec"), *other = certificate("from", "ec");
    char command[200];
    arena_init(&a);
    assert_true(tlskey_id(X509_get0_pubkey(x), id));
    assert_int_equal(keys_tls_has(keys, id), ERR_OK);
    snprintf(command, sizeof command, "cp %s/tls-from.pem %s/tls-moved.pem", folder, folder);
    assert_int_equal(system(command), 0);
    uint8_t unknown[KEYS_TLS_ID_LEN] = {0};
    assert_int_equal(keys_tls_has(keys, unknown), ERR_NOT_FOUND); /* reads the folder again */
    assert_int_equal(keys_tls_sign(keys, id, "SHA256", false, STR("x"), &a, &sig), ERR_OK);
    assert_int_equal(keys_tls_sign(keys, id, "MD5", false, STR("x"), &a, &sig), ERR_INVALID);
    assert_int_equal(keys_tls_sign(keys, id, "SHA256", true, STR("x"), &a, &sig), ERR_INVALID);
    X509_free(x);
    X509_free(other);
    arena_free(&a);
}

static void names_and_hosts_are_looked_at(void **state)
{
    (void)state;
    struct arena a;
    struct str pem;
    static const char *const bad[][2] = {
        {"../x", "a.example"}, {"", "a.example"},        {"X", "a.example"}, {"ok", ""},
        {"ok", "a b"},         {"ok", "a.example\nDNS"}, {"ok", "a=b"},      {"ok", ",,"},
    };
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(
            keys_tls_certify(keys, str_from(bad[i][0]), "ec", str_from(bad[i][1]), 30, &a, &pem),
            ERR_INVALID);
    assert_int_equal(keys_tls_certify(keys, STR("ok"), "dsa", STR("a"), 30, &a, &pem), ERR_INVALID);
    assert_int_equal(keys_tls_certify(keys, STR("ok"), "ec", STR("a,::1"), 0, &a, &pem), ERR_OK);
    assert_true(str_starts(pem, STR("-----BEGIN CERTIFICATE REQUEST-----")));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_sign_with_elliptic_curves),
        cmocka_unit_test(handshakes_sign_with_rsa),
        cmocka_unit_test(the_private_half_is_not_to_be_had),
        cmocka_unit_test(a_key_that_is_not_there_is_said),
        cmocka_unit_test(a_replaced_key_still_signs),
        cmocka_unit_test(names_and_hosts_are_looked_at),
    };
    return cmocka_run_group_tests_name("crypto/tlskey", tests, start, finish);
}
