/* group_steps.h: tests of groups as tables of steps: what is done, and what comes of it.
 *
 *     {"join a", ""},                                    nothing yet: a waits
 *     {"wait 3000", "a joined 1 range leading a"},
 *     {"sync a a=all", "a synced all"},
 *
 * Members are single letters; each remembers its id and generation from what it was answered. A
 * group is "g" unless g=NAME is given. Answers are listed in the order in which they came, with
 * "; " between them.
 *
 *     join M [v4] [v9] [instance=I] [protocols=p,q] [meta=TEXT] [topics=t,u] [type=T] [session=MS]
 *            [rebalance=MS] [id=ID]   a made-up id; `id=` none
 *         v4: a member id is required first; v9: can skip the assignment. topics: the metadata is a
 *         ConsumerProtocolSubscription of these
 *     sync M [X=text ...] [topic-partitions as X@t:0,t:1] [gen=N] [id=ID] [instance=I] [protocol=P]
 *     beat M [gen=N] [id=ID] [instance=I]
 *     leave M ... | leave instance=I
 *     commit M T:P=OFFSET[/EPOCH/METADATA] ... [gen=N] [id=ID] [retention=MS] [time=MS]
 *         M: - is somebody outside of the group
 *     fetch T:P ... | fetch all       list | describe | delete
 *     topic T N      create; or grow if it is there
 *     drop T         delete
 *     wait MS        time passes in steps of 100 ms
 *     fail [N]       the next write to disk fails, or the one after N others
 *     defer | flush  writes take their time until flush
 *     drain          what waits is answered, as before a stop
 *     restart | kill [KEEP]
 */
#pragma once

#include "rig.h"

#define STEP_LINE_MAX 10000

struct step {
    const char *what, *want;
};

struct steps;

/* from: the reactor that asks. */
struct steps *steps_make(struct rig *r, unsigned from);
void steps_free(struct steps *s);
/* Does one and returns what came of it; valid until the next. */
const char *steps_do(struct steps *s, const char *what);
/* Fails the test at the first step of which something else comes, with both texts. */
void steps_run(struct steps *s, const struct step *steps, size_t n);
/* On fresh brokers of one and of three reactors, with a topic "t" of three partitions; prepare may
 * change the configuration and may be NULL. */
void steps_check(const struct step *steps, size_t n, void (*prepare)(struct broker_conf *conf));

#define STEPS_CHECK(table) steps_check(table, sizeof(table) / sizeof((table)[0]), NULL)
#define STEPS_CHECK_CONF(table, prepare)                                                           \
    steps_check(table, sizeof(table) / sizeof((table)[0]), prepare)
