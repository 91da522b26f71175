#include "schedule.h"

#include <stdlib.h>

#include "base.h"

#define SEED 0x9e3779b97f4a7c15ull /* the same order in every process, so that runs can be compared */

/* xorshift64: good enough for shuffling, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void shuffle(uint32_t *order, uint32_t count)
{
    uint64_t state = SEED;
    for (uint32_t left = count; left > 1; left--) {
        uint32_t other = (uint32_t)(next_random(&state) % left), last = order[left - 1];
        order[left - 1] = order[other];
        order[other] = last;
    }
}

void senders_open(struct senders *senders, const struct plan *plan)
{
    *senders = (struct senders){0};
    senders->order = allocate(plan->user_count, sizeof *senders->order);
    senders->next_room = allocate(plan->user_count, sizeof *senders->next_room);
    for (uint32_t index = 0; index < plan->user_count; index++)
        if (user_sends(&plan->users[index]))
            senders->order[senders->count++] = index;
    shuffle(senders->order, senders->count);
}

void senders_close(struct senders *senders)
{
    free(senders->order);
    free(senders->next_room);
}

struct session *senders_next(struct senders *senders, struct session *sessions, const struct membership **to)
{
    for (uint32_t tried = 0; tried < senders->count; tried++) {
        uint32_t index = senders->order[senders->cursor];
        senders->cursor = (senders->cursor + 1) % senders->count;
        struct session *session = &sessions[index];
        if (!session_can_send(session))
            continue;
        uint32_t room = senders->next_room[index]++ % session->user->membership_count;
        *to = &session->user->memberships[room];
        return session;
    }
    return NULL;
}
