#include "certificates.h"

#include "../check.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define YEARS_100 ((long)100 * 365 * 86400)

static void extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

struct identity identity_make(const char *name, const struct identity *by)
{
    static long serial;
    struct identity id = {X509_new(), EVP_EC_gen("P-256")};
    assert_non_null(id.key);
    X509_set_version(id.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), YEARS_100);
    X509_set_pubkey(id.certificate, id.key);
    X509_NAME *subject = X509_get_subject_name(id.certificate);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"weir", -1, -1,
                               0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(id.certificate, by ? X509_get_subject_name(by->certificate) : subject);
    if (!by)
        extension(id.certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(id.certificate, by ? by->key : id.key, EVP_sha256()) > 0);
    return id;
}

void identity_free(struct identity *id)
{
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

static void put(struct disk *disk, const char *dir, const char *name, BIO *pem)
{
    char *bytes;
    long n = BIO_get_mem_data(pem, &bytes);
    assert_int_equal(disk_replace_file(disk, dir, name, bytes, (size_t)n), ERR_OK);
    BIO_free(pem);
}

void identity_write(const struct identity *id, struct disk *disk, const char *dir,
                    const char *certificate, const char *key)
{
    BIO *pem = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(pem, id->certificate), 1);
    put(disk, dir, certificate, pem);
    if (!key)
        return;
    pem = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(pem, id->key, NULL, NULL, 0, NULL, NULL), 1);
    put(disk, dir, key, pem);
}
