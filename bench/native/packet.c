#include "packet.h"

#include <ctype.h>
#include <string.h>

#define MAX_DIGITS 19 /* every number of so many digits fits into 64 bits */

bool text_take(struct text *text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (text->length < length || memcmp(text->start, prefix, length) != 0)
        return false;
    text->start += length;
    text->length -= length;
    return true;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

bool text_take_number(struct text *text, uint64_t *number)
{
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < text->length && digits <= MAX_DIGITS && is_digit(text->start[digits]))
        value = value * 10 + (uint64_t)(text->start[digits++] - '0');
    if (digits == 0 || digits > MAX_DIGITS)
        return false;
    text->start += digits;
    text->length -= digits;
    *number = value;
    return true;
}

static void skip_spaces(struct text *text)
{
    while (text_take(text, " "))
        ;
}

bool json_find(struct text json, const char *quoted_key, struct text *value)
{
    size_t length = strlen(quoted_key);
    const char *end = json.start + json.length, *found;
    while ((found = memmem(json.start, json.length, quoted_key, length))) {
        json.start = found + length;
        json.length = (size_t)(end - json.start);
        *value = json;
        skip_spaces(value);
        if (text_take(value, ":")) {
            skip_spaces(value);
            return true;
        }
    }
    return false;
}

bool json_is_true(struct text json, const char *quoted_key)
{
    struct text value;
    return json_find(json, quoted_key, &value) && text_take(&value, "true");
}

static bool is_word(char character)
{
    return isalnum((unsigned char)character) || character == '_' || character == '-';
}

void json_copy_word(struct text json, const char *quoted_key, char *word, size_t size)
{
    struct text value;
    size_t length = 0;
    if (json_find(json, quoted_key, &value) && text_take(&value, "\""))
        for (; length < value.length && length + 1 < size && is_word(value.start[length]); length++)
            word[length] = value.start[length];
    word[length] = '\0';
}

static enum packet_kind kind_of(struct text *rest)
{
    static const struct { const char *prefix; enum packet_kind kind; } kinds[] = {
        {"42[\"new-message\",", PACKET_MESSAGE}, {"43", PACKET_ANSWER},     {"40", PACKET_CONNECTED},
        {"44", PACKET_REFUSED},                  {"41", PACKET_DISCONNECT}, {"0", PACKET_OPEN},
        {"1", PACKET_CLOSE},                     {"2", PACKET_PING},
    };
    for (size_t index = 0; index < sizeof kinds / sizeof *kinds; index++)
        if (text_take(rest, kinds[index].prefix))
            return kinds[index].kind;
    return PACKET_OTHER;
}

struct packet packet_read(struct text frame)
{
    struct packet packet = {.body = frame};
    packet.kind = kind_of(&packet.body);
    if (packet.kind == PACKET_ANSWER && !text_take_number(&packet.body, &packet.number))
        packet.kind = PACKET_OTHER;
    return packet;
}
