/* What every part needs: the clock, memory that is there or ends the program, and a way to say why. */
#ifndef BASE_H
#define BASE_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS 1000000ull

/* Return the monotonic time in nanoseconds. */
uint64_t now_ns(void);

/* Return the processor time that this process has used, user and system, in seconds. */
double cpu_seconds(void);

/* Let this process open as many files as it may: each connection is one. */
void allow_many_files(void);

/* Return zeroed memory for `count` things of `size` bytes; end the program when there is none. */
void *allocate(size_t count, size_t size);

/* Return `memory` with room for `size` bytes; end the program when there is none. */
void *reallocate(void *memory, size_t size);

/* Print a line to stderr and end the program with status 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
