#include "io/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t came;

static void note(int signo)
{
    (void)signo;
    came = 1;
}

void interrupt_catch(void)
{
    const struct sigaction act = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

bool interrupt_came(void)
{
    return came != 0;
}
