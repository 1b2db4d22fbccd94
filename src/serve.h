/* serve.h: `weir serve`: the broker's process, wired from its parts. */
#pragma once

/* argv[0]: "serve". Returns the exit status: 0 stopped in order, 1 failed, 2 used wrongly. Once a
 * process. */
int serve(int argc, char **argv);
