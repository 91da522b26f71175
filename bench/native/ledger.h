/* What was sent, what was answered, and who received it: the judge of losses, doubles and order.

   A run keeps a record of each of its messages with one bit per member of the room. Numbers go on from run to
   run, so a straggler of an earlier run is known as one. */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "packet.h"
#include "plan.h"

#define REFUSAL_CODES 32
#define REFUSAL_CODE_SIZE 32

struct refusal {
    char code[REFUSAL_CODE_SIZE];
    uint64_t count;
};

enum answer { ANSWER_NONE, ANSWER_OK, ANSWER_REFUSED };

struct message {
    uint64_t scheduled; /* ns */
    uint32_t room;
    uint32_t sender; /* among those of the room that send */
    enum answer answer;
    bool measured; /* not of the warm-up */
};

/* What the ledger knows of a room. */
struct room_log {
    uint64_t *live;        /* a bit per member that is connected and reads */
    uint64_t *last_seq;    /* per member: the highest that arrived */
    uint64_t *last_number; /* per sender and member: the highest message number that arrived */
    uint32_t members, words;
};

/* What has arrived, as far as it can be counted on arrival. */
struct tally {
    uint64_t sent, acked, refused;
    uint64_t doubled, out_of_order;
    uint64_t late;   /* deliveries of messages of an earlier run */
    uint64_t strays; /* deliveries and answers that nothing of ours explains */
    struct refusal refusals[REFUSAL_CODES];
    struct histogram ack, delivery, lateness;
};

/* What is known at the end, counted message by message. */
struct outcome {
    uint64_t expected, delivered, lost;
    uint64_t unacked_delivered; /* deliveries of messages that were refused or not answered */
};

struct ledger {
    struct room_log *rooms;
    uint32_t room_count;
    uint64_t first;           /* the number of the run's first message; the very first is 1 */
    uint64_t capacity;        /* how many messages the run may have */
    struct message *messages; /* of the run */
    uint64_t *received;       /* `words` of each message: who has it */
    uint32_t words;
    uint64_t settled;         /* so many messages from the first on wait for nothing any more */
    struct tally tally;
};

/* A new-message event as it arrived at one member. */
struct delivery {
    uint64_t number, scheduled; /* as the content says */
    uint64_t seq;               /* 0: the server gives none */
    uint64_t now;
};

void ledger_open(struct ledger *ledger, const struct plan *plan);
void ledger_close(struct ledger *ledger);

/* Forget the messages of the last run and make room for `capacity` new ones. */
void ledger_begin(struct ledger *ledger, uint64_t capacity);

/* Note that a member is, or is no longer, one who has to receive everything. */
void ledger_set_live(struct ledger *ledger, const struct membership *membership, bool live);

/* Note a message that leaves `now`, and return its number. */
uint64_t ledger_send(struct ledger *ledger, const struct membership *from, uint64_t scheduled, bool measured,
                     uint64_t now);

/* Note the answer to a message; `body` is its JSON. */
void ledger_answer(struct ledger *ledger, uint64_t number, struct text body, uint64_t now);

/* Note what arrived at a user. */
void ledger_deliver(struct ledger *ledger, const struct user *user, const struct delivery *delivery);

/* Whether all messages are answered, and those accepted are with everybody. */
bool ledger_is_settled(struct ledger *ledger);

/* Count what every accepted message should have reached, and did. */
struct outcome ledger_outcome(const struct ledger *ledger);

#endif
