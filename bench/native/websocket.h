/* WebSocket frames (RFC 6455) as a client writes and reads them. Nothing here does I/O. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

#define WS_CLIENT_HEADER_MAX 14         /* two bytes, a 64-bit length, a masking key */
#define WS_MAX_CONTROL 125
#define WS_MAX_PAYLOAD (16u << 20)      /* a longer frame is an error: no server of ours has a use for it */

struct ws_frame {
    bool final;
    enum ws_opcode opcode;
    const unsigned char *payload; /* inside of what was parsed */
    size_t length;                /* of the payload */
    size_t size;                  /* of the whole frame */
};

enum ws_result { WS_COMPLETE, WS_INCOMPLETE, WS_BROKEN };

/* Write the header of a final client frame so that it ends just before `payload`, where there must be
   WS_CLIENT_HEADER_MAX bytes of room; return the length of the header. The masking key is zero, so the
   payload stands as it is. */
size_t ws_put_header(unsigned char *payload, enum ws_opcode opcode, size_t length);

/* Read the frame at the beginning of `bytes`. WS_INCOMPLETE: more bytes are needed. WS_BROKEN: no server may
   send this; what follows cannot be understood. */
enum ws_result ws_parse(const unsigned char *bytes, size_t available, struct ws_frame *frame);

#endif
