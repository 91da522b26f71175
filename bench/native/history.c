#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define PART_SIZE 512u /* more than every part of a line but the content has */
#define WORD_SIZE 72u
#define NOTHING "-" /* no word of a line is empty */

void history_begin(struct history *history)
{
    history_free(history);
    history->is_kept = true;
}

void history_free(struct history *history)
{
    buffer_free(&history->lines);
    *history = (struct history){0};
}

/* Add a part of a line. */
__attribute__((format(printf, 2, 3))) static void add(struct history *history, const char *format, ...)
{
    char part[PART_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(part, sizeof part, format, arguments);
    va_end(arguments);
    buffer_append(&history->lines, part, (size_t)length);
}

/* Begin a line. */
static void add_head(struct history *history, const char *what, uint64_t now, uint32_t user)
{
    add(history, "%s %" PRIu64 " %" PRIu32, what, now, user);
    history->count++;
}

void history_note_sent(struct history *history, uint64_t now, uint32_t user, const struct sending *sending)
{
    if (!history->is_kept)
        return;
    add_head(history, "sent", now, user);
    add(history, " %" PRIu64 " %s %s ", sending->number, sending->room_id, sending->client_message_id);
    buffer_append(&history->lines, sending->content.start, sending->content.length);
    add(history, "\n");
}

/* Add a string value of the JSON. */
static void add_word(struct history *history, struct text body, const char *quoted_key)
{
    char word[WORD_SIZE];
    json_copy_word(body, quoted_key, word, sizeof word);
    add(history, " %s", *word ? word : NOTHING);
}

static void add_seq(struct history *history, struct text body)
{
    struct text value;
    uint64_t seq = 0;
    bool is_there = json_find(body, "\"seq\"", &value) && text_take_number(&value, &seq);
    add(history, " %" PRIu64, is_there ? seq : 0);
}

void history_note_answer(struct history *history, uint64_t now, uint32_t user, uint64_t number,
                         struct text body)
{
    if (!history->is_kept)
        return;
    bool is_ok = json_is_true(body, "\"ok\"");
    add_head(history, is_ok ? "acked" : "refused", now, user);
    add(history, " %" PRIu64, number);
    if (is_ok) {
        add_seq(history, body);
        add_word(history, body, "\"messageId\"");
        add(history, json_is_true(body, "\"duplicate\"") ? " duplicate\n" : " new\n");
    } else {
        add_word(history, body, "\"code\"");
        add(history, json_is_true(body, "\"retryable\"") ? " retryable\n" : " final\n");
    }
}

void history_note_heard(struct history *history, uint64_t now, uint32_t user, struct text body)
{
    if (!history->is_kept)
        return;
    add_head(history, "heard", now, user);
    add_word(history, body, "\"roomId\"");
    add_seq(history, body);
    add_word(history, body, "\"messageId\"");
    add_word(history, body, "\"clientMessageId\"");
    add(history, "\n");
}

bool history_write(const struct history *history, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    size_t length = history->lines.length;
    bool is_whole = length == 0 || fwrite(buffer_bytes(&history->lines), 1, length, file) == length;
    is_whole &= fprintf(file, "end %" PRIu64 "\n", history->count) > 0;
    return fclose(file) == 0 && is_whole;
}
