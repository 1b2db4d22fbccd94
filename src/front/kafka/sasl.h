/* sasl.h: who a connection is: SASL on it, and what it may send before. Inside of front/kafka only.
 *
 *     ANONYMOUS --client certificate--> known
 *         |
 *         +--SaslHandshake (17)--> exchange --SaslAuthenticate (36), once or twice--> known
 *                                     |  \--wrong: answered after SASL_FAILURE_DELAY_MS, closed
 *                                     \--after SaslHandshake v0 the tokens are frames of their own,
 *                                        without a request header (KIP-43; kafka-python 2.0.2)
 *
 * Where the listener asks for authentication, a connection that is not known may send small frames,
 * one at a time, of ApiVersions, SaslHandshake and SaslAuthenticate, for KAFKA_UNKNOWN_MS.
 * Elsewhere it is the anonymous user from the start, and by PLAIN a name that nobody has is the
 * anonymous user too, so that a client with any credentials gets in where one without does.
 *
 * With a session time (KIP-368) a client authenticates again before it runs out, as the same
 * principal; a request that comes later closes the connection.
 */
#pragma once

#include "front/kafka/conn.h"

#define KAFKA_UNKNOWN_FRAME_MAX ((size_t)64 << 10)
#define KAFKA_UNKNOWN_MS 30000
#define SASL_FAILURE_DELAY_MS 100 /* as Kafka's connection.failed.authentication.delay.ms */
#define SASL_CHECKS_MAX 4 /* passwords at once, a reactor: the threads have other work, too */
#define SASL_FAILURES_LOGGED_MAX 10 /* a second and reactor */

/* With the connection, on its reactor. */
void kafka_sasl_open(struct kafka_conn *conn);
void kafka_sasl_close(struct kafka_conn *conn);
/* Before its first byte is looked at: TLS knows by now whom it has let in. */
void kafka_sasl_identify(struct kafka_conn *conn);
/* Has the session run out? Asked when a request comes: it may wait for others afterwards. */
bool kafka_sasl_expired(const struct kafka_conn *conn);
/* May this request be served? False: why not. */
bool kafka_sasl_admits(const struct kafka_request *rq, const char **why);
/* The next frame is a token, not a request. */
bool kafka_sasl_raw(const struct kafka_conn *conn);
void kafka_sasl_raw_run(struct kafka_request *rq);
