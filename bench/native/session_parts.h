/* What the three parts of a session, session.c, session_send.c and session_read.c, know of each other. */
#ifndef SESSION_PARTS_H
#define SESSION_PARTS_H

#include "packet.h"
#include "session.h"
#include "websocket.h"

/* --- session.c: its life --- */

/* The connection has ended, and its buffers with it. */
void session_end(struct session *session, struct world *world, const char *why);

/* Say on stderr what went wrong, unless much has been said already. */
void session_complain(struct world *world, const struct session *session, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The steps on the way to be ready, by what the server has said. */
void session_on_tcp_result(struct session *session, struct world *world);
void session_on_opened(struct session *session, struct world *world);
void session_on_connected(struct session *session, struct world *world, uint64_t now);
void session_on_refused(struct session *session, struct world *world, struct text body, uint64_t now);
void session_on_join_answer(struct session *session, struct world *world, const struct packet *packet,
                            uint64_t now);

/* --- session_send.c --- */

/* Have the socket watched for what the session now waits for. */
void session_watch(struct session *session, struct world *world);

void session_send_bytes(struct session *session, struct world *world, const void *bytes, size_t length);

/* Send what has waited, as far as the socket takes it. */
void session_send_waiting(struct session *session, struct world *world);

/* Send a control frame with at most WS_MAX_CONTROL bytes. */
void session_send_control(struct session *session, struct world *world, enum ws_opcode opcode,
                          const void *bytes, size_t length);

/* Send a packet that is made of two fixed parts with a value between them. */
void session_send_packet(struct session *session, struct world *world, const char *before, const char *value,
                         const char *after);

#endif
