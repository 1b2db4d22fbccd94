/* terminal.h: what the commands ask of the terminal that they write to. */
#pragma once

/* How many columns it has; 0: it is none, or does not say. */
unsigned terminal_columns(int fd);
