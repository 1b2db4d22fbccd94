/* interrupt.h: Ctrl-C and SIGTERM for programs without a loop: the commands. One thread asks. */
#pragma once

#include <stdbool.h>

/* From now on SIGINT and SIGTERM do not end the process: interrupt_came tells of them. A second one
 * ends it. */
void interrupt_catch(void);
bool interrupt_came(void);
