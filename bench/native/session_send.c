/* What a session sends; what the socket does not take at once waits in `out`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base.h"
#include "session_parts.h"

void session_watch(struct session *session, struct world *world)
{
    bool deaf = session->state == SESSION_READY && session->user->stalled;
    uint32_t events = (deaf ? EPOLLRDHUP : EPOLLIN) | (session->out.length ? EPOLLOUT : 0);
    loop_change(&world->loop, session->fd, events, session);
}

/* Return how many bytes the socket took; errors show when it is read next. */
static size_t try_to_send(const struct session *session, const void *bytes, size_t length)
{
    ssize_t sent = send(session->fd, bytes, length, MSG_NOSIGNAL);
    return sent < 0 ? 0 : (size_t)sent;
}

void session_send_bytes(struct session *session, struct world *world, const void *bytes, size_t length)
{
    bool waits = session->out.length > 0;
    size_t sent = waits ? 0 : try_to_send(session, bytes, length);
    buffer_append(&session->out, (const unsigned char *)bytes + sent, length - sent);
    if (!waits && session->out.length > 0)
        session_watch(session, world);
}

void session_send_waiting(struct session *session, struct world *world)
{
    if (session->out.length == 0)
        return;
    buffer_consume(&session->out, try_to_send(session, buffer_bytes(&session->out), session->out.length));
    if (session->out.length == 0)
        session_watch(session, world);
}

static void send_frame(struct session *session, struct world *world, enum ws_opcode opcode,
                       unsigned char *payload, size_t length)
{
    size_t header = ws_put_header(payload, opcode, length);
    session_send_bytes(session, world, payload - header, header + length);
}

void session_send(struct session *session, struct world *world, unsigned char *payload, size_t length)
{
    send_frame(session, world, WS_TEXT, payload, length);
}

void session_send_control(struct session *session, struct world *world, enum ws_opcode opcode,
                          const void *bytes, size_t length)
{
    unsigned char frame[WS_CLIENT_HEADER_MAX + WS_MAX_CONTROL];
    memcpy(frame + WS_CLIENT_HEADER_MAX, bytes, length);
    send_frame(session, world, opcode, frame + WS_CLIENT_HEADER_MAX, length);
}

void session_send_packet(struct session *session, struct world *world, const char *before, const char *value,
                        const char *after)
{
    size_t length = strlen(before) + strlen(value) + strlen(after);
    unsigned char *frame = allocate(WS_CLIENT_HEADER_MAX + length + 1, 1);
    snprintf((char *)frame + WS_CLIENT_HEADER_MAX, length + 1, "%s%s%s", before, value, after);
    session_send(session, world, frame + WS_CLIENT_HEADER_MAX, length);
    free(frame);
}

