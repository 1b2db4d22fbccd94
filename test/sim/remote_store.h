/* remote_store.h: a simulated distant log service behind the storage port: what an engine on an
 * existing cluster will look like to the broker.
 *
 * Its data live outside of the machine (a kill or a power cut of the machine leaves them), answers
 * take time and come in another order between logs than they were asked in, offsets have gaps, and
 * ownership may be lost: then every call on this handle fails with ERR_NOT_LEADER until the next
 * attach. A group is applied whole at one moment, or not at all.
 */
#pragma once

#include "broker/store.h"
#include "io/sim.h"

struct remote;

struct remote *remote_make(struct sim *sim);
void remote_free(struct remote *remote);
/* Handles for a new process; those of the former one are fenced. */
void remote_attach(struct remote *remote, struct loop **loops, unsigned n, struct store **stores);
/* Another process took over: what is under way fails or was done, nobody knows which. */
void remote_lose(struct remote *remote);
