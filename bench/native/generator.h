/* The whole load generator: its connections and what it can be told to do with them. */
#ifndef GENERATOR_H
#define GENERATOR_H

#include "schedule.h"
#include "session.h"

#define RUN_ID_LENGTH 12

struct generator {
    struct plan plan;
    struct world world;
    struct session *sessions; /* one per user of the plan */
    struct senders senders;
    char run_id[RUN_ID_LENGTH + 1]; /* makes the clientMessageIds of this process its own */
};

void generator_open(struct generator *generator, const char *plan_path);
void generator_close(struct generator *generator);

/* Handle what happens until something has happened, at the latest until the instant `until` (ns; 0: now). */
void generator_pump(struct generator *generator, uint64_t until);

/* Do what a command line says and print its answer. */
void generator_command(struct generator *generator, char *line);

#endif
