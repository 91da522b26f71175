/* Durations, counted in buckets whose width is at most 1/128 of their values. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_TOP_BITS 42 /* longer durations than 2^42 ns (73 minutes) go into the last bucket */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Forget everything. */
void histogram_clear(struct histogram *histogram);

/* Count a duration in nanoseconds. */
void histogram_add(struct histogram *histogram, uint64_t ns);

/* Return the duration in ns that the `share` (0 to 1) of all do not exceed, with at most 0.4 % error; 0 when
   nothing was counted. */
uint64_t histogram_percentile(const struct histogram *histogram, double share);

#endif
