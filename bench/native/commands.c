/* The commands: connect, record, run, history, idle, close. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "generator.h"
#include "report.h"
#include "websocket.h"

#define SEPARATORS " \t\r\n"
#define TICK_NS (10 * NS_PER_MS)
#define SETTLE_NS (10 * NS_PER_SECOND)
#define GOODBYE_NS (5 * NS_PER_SECOND)
#define MAX_CONTENT 1000000.0
#define MAX_MESSAGES 50e6
#define DEFAULT_WARMUP 2.0

static double seconds_since(uint64_t start)
{
    return (double)(now_ns() - start) / (double)NS_PER_SECOND;
}

static uint64_t ns_of(double seconds)
{
    return (uint64_t)(seconds * (double)NS_PER_SECOND);
}

/* Read the next number of a command line, from `lowest` to `highest`; `fallback` when there is none. */
static bool next_number(char **rest, double *number, double fallback, double lowest, double highest)
{
    char *word = strtok_r(NULL, SEPARATORS, rest), *end;
    *number = word ? strtod(word, &end) : fallback;
    return (!word || *end == '\0') && *number >= lowest && *number <= highest;
}

static void report_error(const char *error)
{
    report_begin();
    report_text("error", error);
    report_end();
}

static uint32_t count_in_state(const struct generator *generator, enum session_state state)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < generator->plan.user_count; index++)
        count += generator->sessions[index].state == state;
    return count;
}

/* Report what was not asked to end and has, since the last time it was reported. */
static void report_disconnects(struct traffic *traffic)
{
    report_count("disconnects", traffic->disconnects);
    report_count("stalled_closed", traffic->stalled_closed);
    traffic->disconnects = traffic->stalled_closed = 0;
}

/* --- connect --- */

struct opening {
    double rate; /* connections per second; 0: all at once */
    uint64_t start;
    uint32_t next, opened;
};

static uint64_t opening_due(const struct opening *opening)
{
    return opening->rate > 0 ? opening->start + ns_of(opening->opened / opening->rate) : opening->start;
}

static void open_next(struct generator *generator, struct opening *opening)
{
    struct session *session = &generator->sessions[opening->next++];
    if (session->fd >= 0)
        return;
    session_open(session, &generator->world, opening_due(opening));
    opening->opened++;
}

/* Look after all sessions; return whether some are still under way. */
static bool tick(struct generator *generator)
{
    bool under_way = false;
    uint64_t now = now_ns();
    for (uint32_t index = 0; index < generator->plan.user_count; index++) {
        session_tick(&generator->sessions[index], &generator->world, now);
        under_way |= session_is_under_way(&generator->sessions[index]);
    }
    return under_way;
}

/* Open what is due; return whether something was. */
static bool open_due(struct generator *generator, struct opening *opening)
{
    uint32_t before = opening->next;
    while (opening->next < generator->plan.user_count && opening_due(opening) <= now_ns())
        open_next(generator, opening);
    return opening->next > before;
}

static void open_all(struct generator *generator, double rate)
{
    struct opening opening = {.rate = rate, .start = now_ns()};
    uint64_t next_tick = opening.start + TICK_NS;
    bool under_way = false;
    while (opening.next < generator->plan.user_count || under_way) {
        under_way |= open_due(generator, &opening);
        bool opens_first = opening.next < generator->plan.user_count && opening_due(&opening) < next_tick;
        generator_pump(generator, opens_first ? opening_due(&opening) : next_tick);
        if (now_ns() < next_tick)
            continue;
        under_way = tick(generator);
        next_tick = now_ns() + TICK_NS;
    }
}

static void report_arrivals(const struct arrivals *arrivals, uint64_t start)
{
    uint64_t last = arrivals->last > start ? arrivals->last : start;
    report_begin();
    report_count("connected", arrivals->connected);
    report_count("refused", arrivals->refused);
    report_count("failed", arrivals->failed);
    report_count("retries", arrivals->retries);
    report_count("joined", arrivals->joined);
    report_number("seconds", (double)(last - start) / (double)NS_PER_SECOND);
    report_histogram("connect_ms", &arrivals->connect);
    report_histogram("join_ms", &arrivals->join);
    report_end();
}

static void command_connect(struct generator *generator, char **rest)
{
    double rate;
    if (!next_number(rest, &rate, 0, 0, 1e6)) {
        report_error("connect RATE");
        return;
    }
    uint64_t start = now_ns();
    memset(&generator->world.arrivals, 0, sizeof generator->world.arrivals);
    open_all(generator, rate);
    report_arrivals(&generator->world.arrivals, start);
}

/* --- run --- */

struct run {
    double rate, seconds, size, warmup; /* as asked for */
    struct schedule schedule;
    unsigned char *frame; /* room for the largest frame */
    uint64_t unsent;      /* due when nobody could send */
    double cpu, wall;     /* seconds: the whole run, and the sending alone */
};

/* A message as it leaves. */
struct outgoing {
    char id[RUN_ID_LENGTH + 24]; /* its clientMessageId */
    struct text content;         /* a part of the packet */
    size_t length;               /* of the packet */
};

/* Write a send_message packet to `text`, content padded to `size` characters. */
static struct outgoing write_message(char *text, const char *run_id, const char *room_id, uintmax_t number,
                                     uintmax_t scheduled, size_t size)
{
    struct outgoing message;
    snprintf(message.id, sizeof message.id, "%s-%ju", run_id, number);
    int head = sprintf(text, "42%ju[\"send_message\",{\"roomId\":\"%s\",\"content\":\"", number, room_id);
    int content = sprintf(text + head, "b:%ju:%ju:", number, scheduled);
    size_t padding = size > (size_t)content ? size - (size_t)content : 0;
    char *end = text + head + content;
    memset(end, 'x', padding);
    int tail = sprintf(end + padding, "\",\"clientMessageId\":\"%s\"}]", message.id);
    message.content = (struct text){text + head, (size_t)content + padding};
    message.length = (size_t)(head + content + tail) + padding;
    return message;
}

static void send_one(struct generator *generator, struct run *run)
{
    const struct membership *to;
    struct schedule *schedule = &run->schedule;
    uint64_t scheduled = schedule_due(schedule);
    bool measured = schedule->next++ >= schedule->warmup;
    struct session *session = senders_next(&generator->senders, generator->sessions, &to);
    if (!session) {
        run->unsent++;
        return;
    }
    uint64_t now = now_ns();
    uint64_t number = ledger_send(&generator->world.ledger, to, scheduled, measured, now);
    unsigned char *payload = run->frame + WS_CLIENT_HEADER_MAX;
    const char *room_id = generator->plan.rooms[to->room].id;
    struct outgoing message =
        write_message((char *)payload, generator->run_id, room_id, number, scheduled, (size_t)run->size);
    uint32_t user = (uint32_t)(session->user - generator->plan.users);
    struct sending sending = {number, room_id, message.id, message.content};
    history_note_sent(&generator->world.history, now, user, &sending);
    session_send(session, &generator->world, payload, message.length);
}

/* After each message that is late there is a look at the sockets, so that neither starves the other. */
static void send_all(struct generator *generator, struct run *run)
{
    struct schedule *schedule = &run->schedule;
    uint64_t end = schedule->start + ns_of(run->warmup + run->seconds);
    while (schedule->next < schedule->count) {
        if (schedule_due(schedule) <= now_ns()) {
            send_one(generator, run);
            generator_pump(generator, 0);
        } else {
            generator_pump(generator, schedule_due(schedule));
        }
    }
    while (now_ns() < end)
        generator_pump(generator, end);
}

static void settle(struct generator *generator)
{
    uint64_t deadline = now_ns() + SETTLE_NS;
    while (!ledger_is_settled(&generator->world.ledger) && now_ns() < deadline)
        generator_pump(generator, deadline);
}

static void begin_run(struct generator *generator, struct run *run)
{
    uint64_t count = (uint64_t)llround(run->rate * (run->warmup + run->seconds));
    ledger_begin(&generator->world.ledger, count);
    generator->world.traffic.bytes_in = generator->world.traffic.reads = 0;
    run->frame = allocate(WS_CLIENT_HEADER_MAX + (size_t)run->size + 512, 1);
    run->schedule = (struct schedule){
        .rate = run->rate,
        .start = now_ns() + NS_PER_MS,
        .count = count,
        .warmup = (uint64_t)llround(run->rate * run->warmup),
    };
}

static void do_run(struct generator *generator, struct run *run)
{
    double cpu = cpu_seconds();
    begin_run(generator, run);
    send_all(generator, run);
    run->wall = seconds_since(run->schedule.start);
    settle(generator);
    run->cpu = cpu_seconds() - cpu;
    free(run->frame);
}

static void report_deliveries(const struct ledger *ledger)
{
    struct outcome outcome = ledger_outcome(ledger);
    report_count("expected", outcome.expected);
    report_count("delivered", outcome.delivered);
    report_count("lost", outcome.lost);
    report_count("doubled", ledger->tally.doubled);
    report_count("out_of_order", ledger->tally.out_of_order);
    report_count("unacked_delivered", outcome.unacked_delivered);
    report_count("late", ledger->tally.late);
    report_count("strays", ledger->tally.strays);
}

static void report_sends(const struct run *run, const struct tally *tally)
{
    report_number("rate", run->rate);
    report_number("seconds", run->seconds);
    report_count("sent", tally->sent);
    report_count("unsent", run->unsent);
    report_count("acked", tally->acked);
    report_refusals("refused", tally->refusals);
    report_count("unanswered", tally->sent - tally->acked - tally->refused);
}

static void report_run(struct generator *generator, const struct run *run)
{
    const struct tally *tally = &generator->world.ledger.tally;
    report_begin();
    report_sends(run, tally);
    report_deliveries(&generator->world.ledger);
    report_disconnects(&generator->world.traffic);
    report_histogram("ack_ms", &tally->ack);
    report_histogram("delivery_ms", &tally->delivery);
    report_histogram("lateness_ms", &tally->lateness);
    report_count("bytes_in", generator->world.traffic.bytes_in);
    report_count("reads", generator->world.traffic.reads);
    report_number("cpu_seconds", run->cpu);
    report_number("wall_seconds", run->wall);
    report_end();
}

static void command_run(struct generator *generator, char **rest)
{
    struct run run = {0};
    bool good = next_number(rest, &run.rate, 0, 1e-3, 1e6) && next_number(rest, &run.seconds, 0, 1e-3, 1e6)
        && next_number(rest, &run.size, -1, 0, MAX_CONTENT)
        && next_number(rest, &run.warmup, DEFAULT_WARMUP, 0, 1e6);
    if (!good || run.rate * (run.warmup + run.seconds) > MAX_MESSAGES) {
        report_error("run RATE SECONDS SIZE [WARMUP]");
        return;
    }
    do_run(generator, &run);
    report_run(generator, &run);
}

/* --- record and history --- */

static void command_record(struct generator *generator)
{
    history_begin(&generator->world.history);
    report_begin();
    report_count("lines", 0);
    report_end();
}

static void command_history(struct generator *generator, char **rest)
{
    const struct history *history = &generator->world.history;
    const char *path = strtok_r(NULL, "\r\n", rest);
    if (!path || !history->is_kept) {
        report_error(path ? "record comes first" : "history FILE");
        return;
    }
    if (!history_write(history, path)) {
        report_error("the history cannot be written");
        return;
    }
    report_begin();
    report_count("lines", history->count);
    report_end();
}

/* --- idle and close --- */

static void command_idle(struct generator *generator, char **rest)
{
    double seconds;
    if (!next_number(rest, &seconds, -1, 0, 1e6)) {
        report_error("idle SECONDS");
        return;
    }
    uint64_t end = now_ns() + ns_of(seconds);
    while (now_ns() < end)
        generator_pump(generator, end);
    report_begin();
    report_count("connected", count_in_state(generator, SESSION_READY));
    report_disconnects(&generator->world.traffic);
    report_end();
}

static void command_close(struct generator *generator)
{
    generator->world.arrivals.closed = 0;
    for (uint32_t index = 0; index < generator->plan.user_count; index++)
        session_say_goodbye(&generator->sessions[index], &generator->world);
    uint64_t deadline = now_ns() + GOODBYE_NS;
    while (count_in_state(generator, SESSION_CLOSING) > 0 && now_ns() < deadline)
        generator_pump(generator, deadline);
    for (uint32_t index = 0; index < generator->plan.user_count; index++)
        session_drop(&generator->sessions[index], &generator->world);
    report_begin();
    report_count("closed", generator->world.arrivals.closed);
    report_end();
}

void generator_command(struct generator *generator, char *line)
{
    char *rest = NULL, *word = strtok_r(line, SEPARATORS, &rest);
    generator->world.complaints = 0;
    if (word && strcmp(word, "connect") == 0)
        command_connect(generator, &rest);
    else if (word && strcmp(word, "run") == 0)
        command_run(generator, &rest);
    else if (word && strcmp(word, "record") == 0)
        command_record(generator);
    else if (word && strcmp(word, "history") == 0)
        command_history(generator, &rest);
    else if (word && strcmp(word, "idle") == 0)
        command_idle(generator, &rest);
    else if (word && strcmp(word, "close") == 0)
        command_close(generator);
    else
        report_error("commands: connect, record, run, history, idle, close");
}
