/* Answers: one JSON object per line on stdout. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

#include "histogram.h"
#include "ledger.h"

/* Begin the line with its first value, and end it. */
void report_begin(void);
void report_end(void);

void report_count(const char *name, uint64_t value);
void report_number(const char *name, double value);
void report_text(const char *name, const char *value); /* without quotes, backslashes or control characters */

/* Percentiles in ms as {"p50", "p90", "p99", "p999", "max"}; all null when nothing was counted. */
void report_histogram(const char *name, const struct histogram *histogram);

/* {code: count} */
void report_refusals(const char *name, const struct refusal refusals[REFUSAL_CODES]);

#endif
