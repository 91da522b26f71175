/* The open loop: when each message is due, and from whom it comes, whatever became of those before. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

#include "base.h"
#include "session.h"

struct schedule {
    double rate;    /* messages per second */
    uint64_t start; /* ns */
    uint64_t count; /* of all messages */
    uint64_t next;  /* index of the message that is due next */
    uint64_t warmup; /* so many of the first messages are not measured */
};

/* Return when the next message is due, in ns. */
static inline uint64_t schedule_due(const struct schedule *schedule)
{
    return schedule->start + (uint64_t)((double)schedule->next * (double)NS_PER_SECOND / schedule->rate);
}

/* Who sends after whom: a fixed shuffled order that goes on from run to run. */
struct senders {
    uint32_t *order;     /* indexes of sessions */
    uint32_t *next_room; /* of each session: the membership it sends to next */
    uint32_t count, cursor;
};

void senders_open(struct senders *senders, const struct plan *plan);
void senders_close(struct senders *senders);

/* Return the session that sends next, and through `to` in which room; NULL when none can send. */
struct session *senders_next(struct senders *senders, struct session *sessions, const struct membership **to);

#endif
