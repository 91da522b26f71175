#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include "base.h"

#define WORD_BITS 64u

static uint32_t words_for(uint32_t members)
{
    return (members + WORD_BITS - 1) / WORD_BITS;
}

static bool bit(const uint64_t *words, uint32_t index)
{
    return words[index / WORD_BITS] >> index % WORD_BITS & 1;
}

static void set_bit(uint64_t *words, uint32_t index)
{
    words[index / WORD_BITS] |= 1ull << index % WORD_BITS;
}

static void clear_bit(uint64_t *words, uint32_t index)
{
    words[index / WORD_BITS] &= ~(1ull << index % WORD_BITS);
}

static void open_room(struct room_log *log, const struct room *room)
{
    *log = (struct room_log){.members = room->members, .words = words_for(room->members)};
    log->live = allocate(log->words, sizeof *log->live);
    log->last_seq = allocate(log->members, sizeof *log->last_seq);
    log->last_number = allocate((size_t)room->senders * log->members, sizeof *log->last_number);
}

void ledger_open(struct ledger *ledger, const struct plan *plan)
{
    *ledger = (struct ledger){.room_count = plan->room_count, .first = 1};
    ledger->rooms = allocate(plan->room_count, sizeof *ledger->rooms);
    for (uint32_t index = 0; index < plan->room_count; index++) {
        open_room(&ledger->rooms[index], &plan->rooms[index]);
        if (ledger->rooms[index].words > ledger->words)
            ledger->words = ledger->rooms[index].words;
    }
}

void ledger_close(struct ledger *ledger)
{
    for (uint32_t index = 0; index < ledger->room_count; index++) {
        free(ledger->rooms[index].live);
        free(ledger->rooms[index].last_seq);
        free(ledger->rooms[index].last_number);
    }
    free(ledger->rooms);
    free(ledger->messages);
    free(ledger->received);
}

void ledger_begin(struct ledger *ledger, uint64_t capacity)
{
    ledger->first += ledger->tally.sent;
    free(ledger->messages);
    free(ledger->received);
    ledger->messages = allocate(capacity, sizeof *ledger->messages);
    ledger->received = allocate(capacity, ledger->words * sizeof *ledger->received);
    ledger->capacity = capacity;
    ledger->settled = 0;
    memset(&ledger->tally, 0, sizeof ledger->tally);
}

void ledger_set_live(struct ledger *ledger, const struct membership *membership, bool live)
{
    uint64_t *words = ledger->rooms[membership->room].live;
    if (live)
        set_bit(words, membership->position);
    else
        clear_bit(words, membership->position);
}

uint64_t ledger_send(struct ledger *ledger, const struct membership *from, uint64_t scheduled, bool measured,
                     uint64_t now)
{
    if (ledger->tally.sent == ledger->capacity)
        die("more messages than the run has room for");
    ledger->messages[ledger->tally.sent] = (struct message){
        .scheduled = scheduled, .room = from->room, .sender = from->sender, .measured = measured};
    if (measured)
        histogram_add(&ledger->tally.lateness, now - scheduled);
    return ledger->first + ledger->tally.sent++;
}

/* Return a message of this run, or NULL. */
static struct message *find(struct ledger *ledger, uint64_t number)
{
    if (number < ledger->first || number - ledger->first >= ledger->tally.sent)
        return NULL;
    return &ledger->messages[number - ledger->first];
}

static uint64_t *receivers(const struct ledger *ledger, const struct message *message)
{
    return ledger->received + (size_t)(message - ledger->messages) * ledger->words;
}

static void count_refusal(struct tally *tally, const char *code)
{
    struct refusal *refusal = tally->refusals, *last = refusal + REFUSAL_CODES - 1;
    while (refusal->count > 0 && refusal != last && strcmp(refusal->code, code) != 0)
        refusal++;
    if (refusal->count == 0)
        strcpy(refusal->code, refusal == last ? "others" : code);
    refusal->count++;
}

static void refuse(struct ledger *ledger, struct message *message, struct text body)
{
    char code[REFUSAL_CODE_SIZE];
    json_copy_word(body, "\"code\"", code, sizeof code);
    message->answer = ANSWER_REFUSED;
    ledger->tally.refused++;
    count_refusal(&ledger->tally, *code ? code : "without_code");
}

void ledger_answer(struct ledger *ledger, uint64_t number, struct text body, uint64_t now)
{
    struct message *message = find(ledger, number);
    if (!message || message->answer != ANSWER_NONE) {
        ledger->tally.strays += number >= ledger->first;
        return;
    }
    if (!json_is_true(body, "\"ok\"")) {
        refuse(ledger, message, body);
        return;
    }
    message->answer = ANSWER_OK;
    ledger->tally.acked++;
    if (message->measured)
        histogram_add(&ledger->tally.ack, now - message->scheduled);
}

static const struct membership *membership_of(const struct user *user, uint32_t room)
{
    for (uint32_t index = 0; index < user->membership_count; index++)
        if (user->memberships[index].room == room)
            return &user->memberships[index];
    return NULL;
}

/* Tell whether a member has seen something later before, by `seq` or by the sender's own count. */
static bool is_behind(struct room_log *log, const struct message *message, uint32_t position,
                      const struct delivery *delivery)
{
    uint64_t *last_seq = &log->last_seq[position];
    uint64_t *last_number = &log->last_number[(size_t)message->sender * log->members + position];
    bool behind = delivery->number < *last_number || (delivery->seq && delivery->seq <= *last_seq);
    if (delivery->number > *last_number)
        *last_number = delivery->number;
    if (delivery->seq > *last_seq)
        *last_seq = delivery->seq;
    return behind;
}

static void note_arrival(struct ledger *ledger, const struct message *message, uint32_t position,
                         const struct delivery *delivery)
{
    uint64_t *received = receivers(ledger, message);
    if (bit(received, position)) {
        ledger->tally.doubled++;
        return;
    }
    set_bit(received, position);
    ledger->tally.out_of_order += is_behind(&ledger->rooms[message->room], message, position, delivery);
    if (message->measured)
        histogram_add(&ledger->tally.delivery, delivery->now - message->scheduled);
}

void ledger_deliver(struct ledger *ledger, const struct user *user, const struct delivery *delivery)
{
    if (delivery->number > 0 && delivery->number < ledger->first) {
        ledger->tally.late++;
        return;
    }
    const struct message *message = find(ledger, delivery->number);
    const struct membership *to = message ? membership_of(user, message->room) : NULL;
    if (to && message->scheduled == delivery->scheduled)
        note_arrival(ledger, message, to->position, delivery);
    else
        ledger->tally.strays++;
}

static bool has_reached_all(const struct ledger *ledger, const struct message *message)
{
    const struct room_log *log = &ledger->rooms[message->room];
    const uint64_t *received = receivers(ledger, message);
    for (uint32_t word = 0; word < log->words; word++)
        if (log->live[word] & ~received[word])
            return false;
    return true;
}

static bool is_done(const struct ledger *ledger, const struct message *message)
{
    if (message->answer == ANSWER_OK)
        return has_reached_all(ledger, message);
    return message->answer == ANSWER_REFUSED;
}

bool ledger_is_settled(struct ledger *ledger)
{
    while (ledger->settled < ledger->tally.sent && is_done(ledger, &ledger->messages[ledger->settled]))
        ledger->settled++;
    return ledger->settled == ledger->tally.sent;
}

static void count_outcome(const struct ledger *ledger, const struct message *message, struct outcome *outcome)
{
    const struct room_log *log = &ledger->rooms[message->room];
    const uint64_t *received = receivers(ledger, message);
    uint64_t expected = 0, arrived = 0;
    for (uint32_t word = 0; word < log->words; word++) {
        expected += (uint64_t)__builtin_popcountll(log->live[word]);
        arrived += (uint64_t)__builtin_popcountll(log->live[word] & received[word]);
    }
    if (message->answer != ANSWER_OK) {
        outcome->unacked_delivered += arrived;
        return;
    }
    outcome->expected += expected;
    outcome->delivered += arrived;
    outcome->lost += expected - arrived;
}

struct outcome ledger_outcome(const struct ledger *ledger)
{
    struct outcome outcome = {0};
    for (uint64_t index = 0; index < ledger->tally.sent; index++)
        count_outcome(ledger, &ledger->messages[index], &outcome);
    return outcome;
}
