/* Waiting for sockets or for an instant, whichever comes first: epoll, and a timer with nanoseconds. */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

/* So few at a time that a burst of deliveries does not make the next message late. */
#define LOOP_EVENTS 64

struct loop {
    int epoll;
    int timer;
    uint64_t armed; /* the instant that the timer is set to */
    struct epoll_event events[LOOP_EVENTS];
};

void loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Watch a socket for `events` (of epoll) in the name of `owner`. */
void loop_watch(struct loop *loop, int fd, uint32_t events, void *owner);

/* Change what a watched socket is watched for. */
void loop_change(struct loop *loop, int fd, uint32_t events, void *owner);

/* Wait until something happens or `until` (ns) has come; 0 does not wait. Return how many of `loop->events`
   are filled. The timer itself is one of them, with NULL as its owner. */
int loop_wait(struct loop *loop, uint64_t until);

#endif
