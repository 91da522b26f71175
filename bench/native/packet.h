/* Engine.IO 4 and Socket.IO 5 packets as they stand in text frames, and the few values of their JSON that
   matter here. There is no parser: a quoted key followed by a colon occurs only as a key, because a quote
   inside of a string is escaped. */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters without an end mark. */
struct text {
    const char *start;
    size_t length;
};

enum packet_kind {
    PACKET_OTHER, /* nothing that a client has to act on */
    PACKET_OPEN,
    PACKET_CLOSE, /* of Engine.IO */
    PACKET_PING,
    PACKET_CONNECTED,
    PACKET_REFUSED, /* the CONNECT, that is */
    PACKET_DISCONNECT,
    PACKET_ANSWER, /* to the event `number` */
    PACKET_MESSAGE /* a new-message event */
};

struct packet {
    enum packet_kind kind;
    uint64_t number;  /* of an answer */
    struct text body; /* the JSON */
};

/* Say what a text frame is. */
struct packet packet_read(struct text frame);

/* Find the value of a key, given with its quotes; `value` begins with it and goes to the end of `json`. */
bool json_find(struct text json, const char *quoted_key, struct text *value);

/* Read digits, and take them off the front of `text`; false when there are none or too many. */
bool text_take_number(struct text *text, uint64_t *number);

/* Tell whether a text begins with these characters, and take them off its front if so. */
bool text_take(struct text *text, const char *prefix);

/* Whether the value of a key is `true`. */
bool json_is_true(struct text json, const char *quoted_key);

/* Copy the string value of a key, at most `size` - 1 characters of it; letters, digits, `_` and `-` alone.
   Empty when there is no such key. */
void json_copy_word(struct text json, const char *quoted_key, char *word, size_t size);

#endif
