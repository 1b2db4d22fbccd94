/* weir-bench.c: `weir bench` as a program of its own, so that peers can be measured without weir.
 */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_bench(argc, argv);
}
