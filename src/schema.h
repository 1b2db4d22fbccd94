/* schema.h: `weir schema`: the JSON schema of everything that can be declared, for editors. */
#pragma once

/* argv[0]: "schema". Exit status: 0 done, 2 used wrongly. */
int schema(int argc, char **argv);
