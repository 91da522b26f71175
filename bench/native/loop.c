#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base.h"

void loop_open(struct loop *loop)
{
    memset(loop, 0, sizeof *loop);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->epoll < 0 || loop->timer < 0)
        die("epoll or timerfd: %s", strerror(errno));
    loop_watch(loop, loop->timer, EPOLLIN, NULL);
}

void loop_close(struct loop *loop)
{
    close(loop->timer);
    close(loop->epoll);
}

static void control(struct loop *loop, int operation, int fd, uint32_t events, void *owner)
{
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(loop->epoll, operation, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

void loop_watch(struct loop *loop, int fd, uint32_t events, void *owner)
{
    control(loop, EPOLL_CTL_ADD, fd, events, owner);
}

void loop_change(struct loop *loop, int fd, uint32_t events, void *owner)
{
    control(loop, EPOLL_CTL_MOD, fd, events, owner);
}

static void arm(struct loop *loop, uint64_t until)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(until / NS_PER_SECOND), .tv_nsec = (long)(until % NS_PER_SECOND)}};
    if (until == loop->armed)
        return;
    if (timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        die("timerfd_settime: %s", strerror(errno));
    loop->armed = until;
}

/* A timer that has gone off counts as ready until it is read. */
static void disarm(struct loop *loop, int count)
{
    uint64_t times;
    for (int index = 0; index < count; index++)
        if (!loop->events[index].data.ptr && read(loop->timer, &times, sizeof times) > 0)
            loop->armed = 0;
}

int loop_wait(struct loop *loop, uint64_t until)
{
    if (until)
        arm(loop, until);
    int count = epoll_wait(loop->epoll, loop->events, LOOP_EVENTS, until ? -1 : 0);
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    disarm(loop, count);
    return count < 0 ? 0 : count;
}
