/* fsck.h: `weir fsck`: reads a data folder that no weir serves and says what is wrong with it. */
#pragma once

/* argv[0]: "fsck". Exit status: 0 nothing is wrong, 1 something is, or it could not be read, 2 used
 * wrongly. */
int fsck(int argc, char **argv);
