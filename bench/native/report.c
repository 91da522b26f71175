#include "report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "base.h"

static bool is_first;

static void put_name(const char *name)
{
    printf("%s\"%s\":", is_first ? "" : ",", name);
    is_first = false;
}

void report_begin(void)
{
    putchar('{');
    is_first = true;
}

void report_end(void)
{
    puts("}");
    fflush(stdout);
}

void report_count(const char *name, uint64_t value)
{
    put_name(name);
    printf("%" PRIu64, value);
}

void report_number(const char *name, double value)
{
    put_name(name);
    printf("%.6g", value);
}

void report_text(const char *name, const char *value)
{
    put_name(name);
    printf("\"%s\"", value);
}

static void put_ms(const char *name, uint64_t ns, bool known)
{
    put_name(name);
    if (known)
        printf("%.3f", (double)ns / (double)NS_PER_MS);
    else
        fputs("null", stdout);
}

void report_histogram(const char *name, const struct histogram *histogram)
{
    static const struct { const char *name; double share; } percentiles[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    bool known = histogram->count > 0;
    put_name(name);
    report_begin();
    for (size_t index = 0; index < sizeof percentiles / sizeof *percentiles; index++)
        put_ms(percentiles[index].name, histogram_percentile(histogram, percentiles[index].share), known);
    put_ms("max", histogram->max, known);
    putchar('}');
}

void report_refusals(const char *name, const struct refusal refusals[REFUSAL_CODES])
{
    put_name(name);
    report_begin();
    for (uint32_t index = 0; index < REFUSAL_CODES && refusals[index].count > 0; index++)
        report_count(refusals[index].code, refusals[index].count);
    putchar('}');
    is_first = false;
}
