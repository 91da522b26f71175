#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base.h"

#define SMALLEST 256u
#define KEPT 65536u /* an empty buffer above this gives its memory back */

static void make_room(struct buffer *buffer, size_t length)
{
    if (buffer->start > 0) {
        memmove(buffer->memory, buffer->memory + buffer->start, buffer->length);
        buffer->start = 0;
    }
    if (buffer->capacity - buffer->length >= length)
        return;
    size_t capacity = buffer->capacity ? buffer->capacity : SMALLEST;
    while (capacity - buffer->length < length)
        capacity *= 2;
    buffer->memory = reallocate(buffer->memory, capacity);
    buffer->capacity = capacity;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (buffer->capacity - buffer->start - buffer->length < length)
        make_room(buffer, length);
    memcpy(buffer->memory + buffer->start + buffer->length, bytes, length);
    buffer->length += length;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    buffer->start += length;
    buffer->length -= length;
    if (buffer->length > 0)
        return;
    buffer->start = 0;
    if (buffer->capacity > KEPT)
        buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct buffer){0};
}
