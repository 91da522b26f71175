/* What every connection did and saw, for whoever wants to check it: lines in memory, written when asked for.

   Nothing is written to a file meanwhile: a disk that is slow would make the generator late. */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "packet.h"

struct history {
    bool is_kept; /* all else does nothing while it is not */
    struct buffer lines;
    uint64_t count;
};

/* Forget everything, and keep what comes from now on. */
void history_begin(struct history *history);

void history_free(struct history *history);

/* What is sent. */
struct sending {
    uint64_t number;
    const char *room_id, *client_message_id;
    struct text content;
};

/* A user, by place in the plan, is about to send a message. */
void history_note_sent(struct history *history, uint64_t now, uint32_t user, const struct sending *sending);

/* The answer to a message has come; `body` is its JSON. */
void history_note_answer(struct history *history, uint64_t now, uint32_t user, uint64_t number,
                         struct text body);

/* A new-message event has come, whatever it says; `body` is its JSON. */
void history_note_heard(struct history *history, uint64_t now, uint32_t user, struct text body);

/* Write all lines and, to show that none is missing, how many they are; false when that is not possible. */
bool history_write(const struct history *history, const char *path);

#endif
