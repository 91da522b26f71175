#include "session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "session_parts.h"

#define MAX_ATTEMPTS 20u
#define ATTEMPT_NS (30 * NS_PER_SECOND) /* for one attempt to connect or to join */
#define DEFAULT_RETRY_MS 1000u          /* for what may be tried again without a word about when */
#define LONGEST_RETRY_MS 60000u
#define MAX_COMPLAINTS 20u
#define SHOWN 200u            /* bytes of an answer in a complaint */
#define NORMAL_CLOSURE "\x03\xe8" /* 1000 */

/* --- The end of a connection --- */

void session_complain(struct world *world, const struct session *session, const char *format, ...)
{
    if (world->complaints++ >= MAX_COMPLAINTS)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "connection %td to %s: ", session->user - world->plan->users, session->server->host);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static void set_live(const struct session *session, struct world *world, bool live)
{
    if (session->user->stalled)
        return;
    for (uint32_t index = 0; index < session->user->membership_count; index++)
        ledger_set_live(&world->ledger, &session->user->memberships[index], live);
}

static void release(struct session *session)
{
    if (session->fd >= 0)
        close(session->fd);
    session->fd = -1;
    session->retry_at = 0;
    buffer_free(&session->in);
    buffer_free(&session->partial);
    buffer_free(&session->out);
}

static void count_loss(const struct session *session, struct world *world)
{
    if (session->user->stalled)
        world->traffic.stalled_closed++;
    else
        world->traffic.disconnects++;
}

void session_end(struct session *session, struct world *world, const char *why)
{
    enum session_state state = session->state;
    release(session);
    if (state == SESSION_CLOSING) {
        session->state = SESSION_CLOSED;
        world->arrivals.closed++;
        return;
    }
    session_complain(world, session, "%s", why);
    if (state == SESSION_READY) {
        set_live(session, world, false);
        count_loss(session, world);
        session->state = SESSION_LOST;
    } else {
        world->arrivals.failed++;
        world->arrivals.last = now_ns();
        session->state = SESSION_FAILED;
    }
}

void session_drop(struct session *session, struct world *world)
{
    if (session->state == SESSION_READY)
        set_live(session, world, false);
    if (session->fd >= 0)
        world->arrivals.closed++;
    release(session);
    session->state = SESSION_CLOSED;
}

/* --- Connecting --- */

static int connect_socket(const struct server *server)
{
    int one = 1, fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)&server->address, server->address_length) == 0)
        return fd;
    if (errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void begin_attempt(struct session *session, struct world *world)
{
    session->state = SESSION_CONNECTING;
    session->retry_at = 0;
    session->joined = 0;
    session->deadline = now_ns() + ATTEMPT_NS;
    session->fd = connect_socket(session->server);
    if (session->fd < 0)
        session_end(session, world, strerror(errno));
    else
        loop_watch(&world->loop, session->fd, EPOLLOUT, session);
}

void session_open(struct session *session, struct world *world, uint64_t due)
{
    session->begun = due;
    session->attempts = 0;
    begin_attempt(session, world);
}

static void ask_for_upgrade(struct session *session, struct world *world)
{
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %.200s\r\n"
                          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                          session->server->host);
    session->state = SESSION_UPGRADING;
    session_send_bytes(session, world, request, (size_t)length);
    session_watch(session, world);
}

void session_on_tcp_result(struct session *session, struct world *world)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        session_end(session, world, strerror(error));
    else
        ask_for_upgrade(session, world);
}

void session_on_opened(struct session *session, struct world *world)
{
    session->state = SESSION_AUTHENTICATING;
    session_send_packet(session, world, "40{\"token\":\"", session->user->token, "\"}");
}

/* Return how much of an answer a complaint shows. */
static int shown(struct text body)
{
    return (int)(body.length < SHOWN ? body.length : SHOWN);
}

/* Read when to come back from a refusal; 0: never. */
static uint64_t retry_ns(const struct session *session, struct text body, uint64_t now)
{
    struct text value;
    uint64_t wait_ms = DEFAULT_RETRY_MS;
    bool said = json_find(body, "\"retryAfterMs\"", &value) && text_take_number(&value, &wait_ms);
    if (session->attempts >= MAX_ATTEMPTS || !(said || json_is_true(body, "\"retryable\"")))
        return 0;
    return now + (wait_ms < LONGEST_RETRY_MS ? wait_ms : LONGEST_RETRY_MS) * NS_PER_MS;
}

static void count_retry(struct session *session, struct world *world, uint64_t retry_at)
{
    session->attempts++;
    session->retry_at = retry_at;
    session->deadline = retry_at + ATTEMPT_NS;
    world->arrivals.retries++;
}

void session_on_refused(struct session *session, struct world *world, struct text body, uint64_t now)
{
    uint64_t retry_at = retry_ns(session, body, now);
    if (retry_at) {
        release(session);
        session->state = SESSION_WAITING;
        count_retry(session, world, retry_at);
        return;
    }
    session_complain(world, session, "refused: %.*s", shown(body), body.start);
    release(session);
    session->state = SESSION_REFUSED;
    world->arrivals.refused++;
    world->arrivals.last = now_ns();
}

/* --- Joining --- */

static void ask_to_join(struct session *session, struct world *world)
{
    uint32_t room = session->user->memberships[session->joined].room;
    char before[64];
    snprintf(before, sizeof before, "42%u[\"join_room\",{\"roomId\":\"", session->joined);
    session->retry_at = 0;
    session_send_packet(session, world, before, world->plan->rooms[room].id, "\"}]");
}

static void become_ready(struct session *session, struct world *world)
{
    session->state = SESSION_READY;
    world->arrivals.joined++;
    world->arrivals.last = now_ns();
    set_live(session, world, true);
    if (session->user->stalled)
        session_watch(session, world);
}

static void join_next(struct session *session, struct world *world, uint64_t now)
{
    session->state = SESSION_JOINING;
    session->begun = now;
    session->attempts = 0;
    session->deadline = now + ATTEMPT_NS;
    if (session->joined < session->user->membership_count)
        ask_to_join(session, world);
    else
        become_ready(session, world);
}

void session_on_connected(struct session *session, struct world *world, uint64_t now)
{
    world->arrivals.connected++;
    histogram_add(&world->arrivals.connect, now - session->begun);
    join_next(session, world, now);
}

static void on_join_refused(struct session *session, struct world *world, struct text body, uint64_t now)
{
    uint64_t retry_at = retry_ns(session, body, now);
    if (retry_at) {
        count_retry(session, world, retry_at);
        return;
    }
    session_complain(world, session, "no join: %.*s", shown(body), body.start);
    session_end(session, world, "a join was refused");
}

void session_on_join_answer(struct session *session, struct world *world, const struct packet *packet,
                            uint64_t now)
{
    if (packet->number != session->joined || session->retry_at)
        return;
    if (!json_is_true(packet->body, "\"ok\"")) {
        on_join_refused(session, world, packet->body, now);
        return;
    }
    histogram_add(&world->arrivals.join, now - session->begun);
    session->joined++;
    join_next(session, world, now);
}

void session_tick(struct session *session, struct world *world, uint64_t now)
{
    if (!session_is_under_way(session))
        return;
    if (session->retry_at && now >= session->retry_at) {
        if (session->state == SESSION_WAITING)
            begin_attempt(session, world);
        else
            ask_to_join(session, world);
    } else if (now >= session->deadline) {
        session_end(session, world, "nothing came of it in time");
    }
}

/* --- Goodbye --- */

void session_say_goodbye(struct session *session, struct world *world)
{
    if (session->state != SESSION_READY || session->user->stalled) {
        session_drop(session, world);
        return;
    }
    session_send_packet(session, world, "41", "", "");
    session_send_control(session, world, WS_CLOSE, NORMAL_CLOSURE, 2);
    set_live(session, world, false);
    session->state = SESSION_CLOSING;
}
