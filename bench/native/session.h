/* One connection: TCP, WebSocket, Engine.IO, Socket.IO, rooms. It never waits: the loop says what came. */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "histogram.h"
#include "history.h"
#include "ledger.h"
#include "loop.h"
#include "plan.h"

enum session_state {
    SESSION_CLOSED,         /* not opened yet, or closed on purpose */
    SESSION_CONNECTING,     /* TCP */
    SESSION_UPGRADING,      /* waits for the answer to the HTTP request */
    SESSION_OPENING,        /* waits for the OPEN of Engine.IO */
    SESSION_AUTHENTICATING, /* waits for the answer to the CONNECT of Socket.IO */
    SESSION_WAITING,        /* without a connection until it tries again */
    SESSION_JOINING,        /* joins its rooms one by one */
    SESSION_READY,          /* in all of its rooms */
    SESSION_CLOSING,        /* has said goodbye and waits for the other side */
    SESSION_REFUSED,        /* the server did not want it */
    SESSION_FAILED,         /* it never became ready */
    SESSION_LOST            /* it was ready, and the connection ended */
};

struct session {
    enum session_state state;
    int fd; /* -1 without a connection */
    const struct user *user;
    const struct server *server;
    uint64_t begun;        /* when the connection was due, or the current join was sent first; ns */
    uint64_t retry_at;     /* when to try the connection or the join again; 0: not waiting for that */
    uint64_t deadline;     /* until when it has to be ready, ns */
    uint32_t attempts;     /* refusals so far of what is being tried */
    uint32_t joined;       /* rooms */
    struct buffer in;      /* a frame or HTTP answer that has not arrived completely */
    struct buffer partial; /* a message that came in several frames */
    struct buffer out;     /* what the socket did not take yet */
};

/* How connecting goes. */
struct arrivals {
    uint64_t connected, refused, failed, retries, joined, closed;
    uint64_t last; /* when a connection became ready or came to nothing last, ns */
    struct histogram connect, join;
};

/* What goes over established connections. */
struct traffic {
    uint64_t bytes_in, reads;
    uint64_t disconnects;    /* since they were reported last, without those of stalled connections */
    uint64_t stalled_closed; /* stalled connections that the server has ended, likewise */
};

#define READ_SIZE 262144u

/* What all sessions share. */
struct world {
    const struct plan *plan;
    struct loop loop;
    struct ledger ledger;
    struct history history;
    struct arrivals arrivals;
    struct traffic traffic;
    uint32_t complaints; /* printed since the last command */
    unsigned char read_buffer[READ_SIZE];
};

/* Begin to connect. `due` is the instant from which the connect time counts. */
void session_open(struct session *session, struct world *world, uint64_t due);

/* Take what epoll says about the session's socket. */
void session_on_event(struct session *session, struct world *world, uint32_t events);

/* Try again if it is time to, and give up what takes too long; only while connecting and joining. */
void session_tick(struct session *session, struct world *world, uint64_t now);

/* Send a text frame; `payload` has WS_CLIENT_HEADER_MAX bytes of room before it. */
void session_send(struct session *session, struct world *world, unsigned char *payload, size_t length);

/* Say goodbye, and close when the other side has as well. */
void session_say_goodbye(struct session *session, struct world *world);

/* Close now. */
void session_drop(struct session *session, struct world *world);

/* Whether the session is on its way to become ready. */
static inline bool session_is_under_way(const struct session *session)
{
    return session->state > SESSION_CLOSED && session->state < SESSION_READY;
}

/* Whether messages can be sent through it. */
static inline bool session_can_send(const struct session *session)
{
    const struct user *user = session->user;
    return session->state == SESSION_READY && user_sends(user) && user->membership_count > 0;
}

#endif
