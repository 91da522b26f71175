/* Bytes that are added at the end and taken from the front. A zeroed buffer is an empty one. */
#ifndef BUFFER_H
#define BUFFER_H

#include <stddef.h>

struct buffer {
    unsigned char *memory;
    size_t capacity;
    size_t start;  /* where the first byte is in `memory` */
    size_t length; /* how many bytes there are */
};

/* Return the first byte; valid until the next call. */
static inline unsigned char *buffer_bytes(const struct buffer *buffer)
{
    return buffer->memory + buffer->start;
}

/* Add `length` bytes at the end. */
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/* Take `length` bytes, of those there are, from the front. */
void buffer_consume(struct buffer *buffer, size_t length);

/* Empty the buffer and give its memory back. */
void buffer_free(struct buffer *buffer);

#endif
