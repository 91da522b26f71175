#include "generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base.h"

static void make_run_id(char run_id[RUN_ID_LENGTH + 1])
{
    unsigned char bytes[RUN_ID_LENGTH / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        die("no random bytes");
    for (size_t index = 0; index < sizeof bytes; index++)
        snprintf(run_id + 2 * index, 3, "%02x", bytes[index]);
}

void generator_open(struct generator *generator, const char *plan_path)
{
    plan_read(&generator->plan, plan_path);
    generator->world.plan = &generator->plan;
    loop_open(&generator->world.loop);
    ledger_open(&generator->world.ledger, &generator->plan);
    senders_open(&generator->senders, &generator->plan);
    make_run_id(generator->run_id);
    generator->sessions = allocate(generator->plan.user_count, sizeof *generator->sessions);
    for (uint32_t index = 0; index < generator->plan.user_count; index++)
        generator->sessions[index] = (struct session){
            .fd = -1,
            .user = &generator->plan.users[index],
            .server = &generator->plan.servers[index % generator->plan.server_count],
        };
}

void generator_close(struct generator *generator)
{
    for (uint32_t index = 0; index < generator->plan.user_count; index++)
        session_drop(&generator->sessions[index], &generator->world);
    free(generator->sessions);
    senders_close(&generator->senders);
    ledger_close(&generator->world.ledger);
    history_free(&generator->world.history);
    loop_close(&generator->world.loop);
    plan_free(&generator->plan);
}

void generator_pump(struct generator *generator, uint64_t until)
{
    struct loop *loop = &generator->world.loop;
    int count = loop_wait(loop, until);
    for (int index = 0; index < count; index++)
        if (loop->events[index].data.ptr)
            session_on_event(loop->events[index].data.ptr, &generator->world, loop->events[index].events);
}
