/* sim_folder.h: a simulated disk with a durable folder /d, for the tests of one file:
 * sim_folder_make and sim_folder_free are cmocka's setup and teardown.
 */
#pragma once

#include "io/sim.h"

#include "check.h"

static struct sim *sim;
static struct disk *disk;

static int sim_folder_make(void **state)
{
    (void)state;
    sim = sim_make(&(struct sim_conf){.seed = 1});
    disk = sim_disk(sim);
    assert_int_equal(disk_mkdir(disk, "/d"), ERR_OK);
    assert_int_equal(disk_sync_dir(disk, "/"), ERR_OK);
    return 0;
}

static int sim_folder_free(void **state)
{
    (void)state;
    sim_free(sim);
    return 0;
}
