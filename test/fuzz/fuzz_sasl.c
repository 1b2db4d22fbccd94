/* SASL PLAIN, SCRAM and shared access signatures, as somebody who has not logged in sends them.
 *
 * Input: [byte] what to read, [u16] length of the first message, the messages. Nobody gets in: the
 * verifier is of a password that no input of this size can guess its proof for.
 */
#include "auth/sas.h"
#include "auth/scram.h"

#include "fuzz.h"

static struct str take(struct rd *in, size_t n)
{
    const uint8_t *p = fuzz_bytes(in, &n);
    return (struct str){(const char *)p, n};
}

static void scram(struct rd *in, enum verifier_hash hash)
{
    static const uint8_t random[SCRAM_NONCE_BYTES] = {1}, secret[32] = {2};
    struct scram_server s = {0};
    struct wr out;
    struct str first = take(in, rd_u16(in));
    struct str last = take(in, rd_left(in));
    wr_init(&out, 64);
    if (scram_take_first(&s, hash, first) == ERR_OK) {
        weir_assert(s.user[0] != '\0');
        scram_put_first(&s, NULL, random, secret, &out);
        weir_assert(scram_take_final(&s, last, &out) == ERR_AUTH_FAILED);
    }
    scram_server_free(&s);
    wr_free(&out);
}

static void plain(struct rd *in)
{
    struct sasl_plain m;
    if (sasl_plain_read(take(in, rd_left(in)), &m) == ERR_OK)
        weir_assert(m.user.len > 0 && m.password.len > 0);
}

static void sas(struct rd *in)
{
    struct sas_token t;
    struct err_text why;
    struct str key = take(in, rd_u16(in)), text = take(in, rd_left(in));
    struct sas_credential c = sas_credential_of(key, text, text);
    weir_assert(!key.at || !text.at || c.kind == SAS_BAD);
    if (sas_token_read(text, &t, &why) == ERR_OK) {
        (void)sas_token_signed(&t, key);
        weir_assert(sas_token_path(&t).len <= SAS_RESOURCE_MAX);
    }
    c = sas_credential_of((struct str){0}, (struct str){0}, text);
    weir_assert(c.kind == SAS_NONE || c.kind == SAS_BAD || c.text.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd in;
    rd_init(&in, data, size);
    switch (rd_u8(&in) % 4) {
    case 0:
        scram(&in, VERIFIER_SHA_256);
        break;
    case 1:
        scram(&in, VERIFIER_SHA_512);
        break;
    case 2:
        plain(&in);
        break;
    default:
        sas(&in);
    }
    return 0;
}
