/* clock.h: the system's clocks, for programs without a loop (cli, bench). Any thread. */
#pragma once

#include <stdint.h>

uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);
uint64_t clock_mono_us(void);
/* CPU time used by this process, us. */
uint64_t clock_cpu_us(void);
/* Returns when clock_mono_us has reached t; within a few us of it, unless the CPU is busy. */
void clock_sleep_until_us(uint64_t t);
/* "2026-11-20T19:05:23.123Z"; out has at least 25 bytes. */
void clock_format_utc(uint64_t wall_ms, char out[25]);
