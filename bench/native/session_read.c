/* What a session reads: bytes become frames, frames packets, and packets steps of the session. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base.h"
#include "session_parts.h"

#define MAX_HTTP_ANSWER 16384u

/* --- Packets and frames --- */

/* Read `b:<n>:<ns>:` at the beginning of a message's content. */
static bool read_content(struct text body, struct delivery *delivery)
{
    struct text value;
    return json_find(body, "\"content\"", &value) && text_take(&value, "\"b:")
        && text_take_number(&value, &delivery->number) && text_take(&value, ":")
        && text_take_number(&value, &delivery->scheduled) && text_take(&value, ":");
}

/* Where a session's user stands in the plan. */
static uint32_t user_index(const struct session *session, const struct world *world)
{
    return (uint32_t)(session->user - world->plan->users);
}

static void on_message(const struct session *session, struct world *world, struct text body, uint64_t now)
{
    struct delivery delivery = {.now = now};
    struct text value;
    history_note_heard(&world->history, now, user_index(session, world), body);
    if (!read_content(body, &delivery)) {
        world->ledger.tally.strays++;
        return;
    }
    if (!json_find(body, "\"seq\"", &value) || !text_take_number(&value, &delivery.seq))
        delivery.seq = 0;
    ledger_deliver(&world->ledger, session->user, &delivery);
}

static void on_answer(struct session *session, struct world *world, const struct packet *packet, uint64_t now)
{
    if (session->state == SESSION_JOINING) {
        session_on_join_answer(session, world, packet, now);
    } else if (session->state == SESSION_READY) {
        history_note_answer(&world->history, now, user_index(session, world), packet->number, packet->body);
        ledger_answer(&world->ledger, packet->number, packet->body, now);
    }
}

/* What comes before the time for it is ignored; a server that never gets there fails by its deadline. */
static void on_packet(struct session *session, struct world *world, const struct packet *packet, uint64_t now)
{
    enum packet_kind kind = packet->kind;
    if (kind == PACKET_MESSAGE)
        on_message(session, world, packet->body, now);
    else if (kind == PACKET_ANSWER)
        on_answer(session, world, packet, now);
    else if (kind == PACKET_PING)
        session_send_packet(session, world, "3", "", "");
    else if (kind == PACKET_DISCONNECT || kind == PACKET_CLOSE)
        session_end(session, world, "the server said goodbye");
    else if (kind == PACKET_OPEN && session->state == SESSION_OPENING)
        session_on_opened(session, world);
    else if (kind == PACKET_CONNECTED && session->state == SESSION_AUTHENTICATING)
        session_on_connected(session, world, now);
    else if (kind == PACKET_REFUSED && session->state == SESSION_AUTHENTICATING)
        session_on_refused(session, world, packet->body, now);
}

static void on_text(struct session *session, struct world *world, const unsigned char *bytes, size_t length,
                    uint64_t now)
{
    struct packet packet = packet_read((struct text){(const char *)bytes, length});
    on_packet(session, world, &packet, now);
}

/* Take a piece of a message that comes in several frames. */
static void on_piece(struct session *session, struct world *world, const struct ws_frame *frame, uint64_t now)
{
    if (session->partial.length + frame->length > WS_MAX_PAYLOAD) {
        session_end(session, world, "a message is too long");
        return;
    }
    buffer_append(&session->partial, frame->payload, frame->length);
    if (!frame->final)
        return;
    struct buffer whole = session->partial;
    session->partial = (struct buffer){0};
    on_text(session, world, buffer_bytes(&whole), whole.length, now);
    buffer_free(&whole);
}

static void on_close_frame(struct session *session, struct world *world, const struct ws_frame *frame)
{
    if (session->state != SESSION_CLOSING)
        session_send_control(session, world, WS_CLOSE, frame->payload, frame->length);
    session_end(session, world, "the server closed the WebSocket");
}

static void on_frame(struct session *session, struct world *world, const struct ws_frame *frame, uint64_t now)
{
    if (frame->opcode == WS_CLOSE)
        on_close_frame(session, world, frame);
    else if (session->state == SESSION_CLOSING)
        return;
    else if (frame->opcode == WS_PING)
        session_send_control(session, world, WS_PONG, frame->payload, frame->length);
    else if (frame->opcode == WS_CONTINUATION || (frame->opcode == WS_TEXT && !frame->final))
        on_piece(session, world, frame, now);
    else if (frame->opcode == WS_TEXT)
        on_text(session, world, frame->payload, frame->length, now);
}

/* --- Reading --- */

/* Whether there is still a connection that is read from. */
static bool is_reading(const struct session *session)
{
    return session->fd >= 0 && !(session->state == SESSION_READY && session->user->stalled);
}

/* Take the HTTP answer; return its length, or 0 when it is not complete or the connection has ended. */
static size_t take_http_answer(struct session *session, struct world *world, const unsigned char *bytes,
                               size_t length)
{
    struct text answer = {(const char *)bytes, length};
    const unsigned char *blank = memmem(bytes, length, "\r\n\r\n", 4);
    if (!blank && length < MAX_HTTP_ANSWER)
        return 0;
    if (!blank || !text_take(&answer, "HTTP/1.1 101 ")) {
        int shown = length < 80 ? (int)length : 80;
        session_complain(world, session, "answer to the HTTP request: %.*s", shown, (const char *)bytes);
        session_end(session, world, "no WebSocket");
        return 0;
    }
    session->state = SESSION_OPENING;
    return (size_t)(blank + 4 - bytes);
}

/* Take all complete frames; return how many bytes they were. `bytes` may be gone when the connection is. */
static size_t take_frames(struct session *session, struct world *world, const unsigned char *bytes,
                          size_t length, uint64_t now)
{
    struct ws_frame frame;
    enum ws_result result = WS_INCOMPLETE;
    size_t taken = 0;
    while (is_reading(session) && (result = ws_parse(bytes + taken, length - taken, &frame)) == WS_COMPLETE) {
        on_frame(session, world, &frame, now);
        taken += frame.size;
    }
    if (result == WS_BROKEN)
        session_end(session, world, "a broken frame");
    return taken;
}

static size_t take(struct session *session, struct world *world, const unsigned char *bytes, size_t length,
                   uint64_t now)
{
    size_t taken = 0;
    if (session->state == SESSION_UPGRADING)
        taken = take_http_answer(session, world, bytes, length);
    if (session->fd >= 0 && session->state != SESSION_UPGRADING)
        taken += take_frames(session, world, bytes + taken, length - taken, now);
    return taken;
}

/* Take the bytes of one read, behind what was left of the one before. */
static void on_bytes(struct session *session, struct world *world, const unsigned char *bytes, size_t length)
{
    uint64_t now = now_ns();
    if (session->in.length > 0) {
        buffer_append(&session->in, bytes, length);
        size_t taken = take(session, world, buffer_bytes(&session->in), session->in.length, now);
        if (session->fd >= 0)
            buffer_consume(&session->in, taken);
        return;
    }
    size_t taken = take(session, world, bytes, length, now);
    if (session->fd >= 0)
        buffer_append(&session->in, bytes + taken, length - taken);
}

static void read_once(struct session *session, struct world *world)
{
    ssize_t length = recv(session->fd, world->read_buffer, READ_SIZE, 0);
    world->traffic.reads++;
    if (length > 0) {
        world->traffic.bytes_in += (uint64_t)length;
        on_bytes(session, world, world->read_buffer, (size_t)length);
    } else if (length == 0) {
        session_end(session, world, "the server closed the connection");
    } else if (errno != EAGAIN && errno != EINTR) {
        session_end(session, world, strerror(errno));
    }
}

void session_on_event(struct session *session, struct world *world, uint32_t events)
{
    if (session->state == SESSION_CONNECTING) {
        session_on_tcp_result(session, world);
        return;
    }
    if (events & EPOLLOUT)
        session_send_waiting(session, world);
    if (!is_reading(session)) {
        if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
            session_end(session, world, "the connection was cut");
    } else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        read_once(session, world);
    }
}

