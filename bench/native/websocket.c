#include "websocket.h"

#include <string.h>

#define FINAL 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define CONTROL 0x08
#define MASKED 0x80
#define LENGTH 0x7f
#define LENGTH_16 126
#define LENGTH_64 127
#define MASKING_KEY 4

static void put_big_endian(unsigned char *bytes, uint64_t number, size_t width)
{
    for (size_t index = width; index-- > 0; number >>= 8)
        bytes[index] = (unsigned char)number;
}

static uint64_t big_endian(const unsigned char *bytes, size_t width)
{
    uint64_t number = 0;
    for (size_t index = 0; index < width; index++)
        number = number << 8 | bytes[index];
    return number;
}

/* Return in how many further bytes a header says a length. */
static size_t length_width(size_t length)
{
    return length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;
}

size_t ws_put_header(unsigned char *payload, enum ws_opcode opcode, size_t length)
{
    size_t width = length_width(length);
    size_t size = 2 + width + MASKING_KEY;
    unsigned char *header = payload - size;
    memset(header, 0, size);
    header[0] = (unsigned char)(FINAL | opcode);
    header[1] = (unsigned char)(MASKED | (width == 0 ? length : width == 2 ? LENGTH_16 : LENGTH_64));
    put_big_endian(header + 2, length, width);
    return size;
}

static bool is_legal(const unsigned char *bytes)
{
    unsigned opcode = bytes[0] & OPCODE;
    if (bytes[0] & RESERVED || bytes[1] & MASKED)
        return false;
    if (opcode & CONTROL)
        return opcode <= WS_PONG && bytes[0] & FINAL && (bytes[1] & LENGTH) < LENGTH_16;
    return opcode <= WS_BINARY;
}

enum ws_result ws_parse(const unsigned char *bytes, size_t available, struct ws_frame *frame)
{
    if (available < 2)
        return WS_INCOMPLETE;
    if (!is_legal(bytes))
        return WS_BROKEN;
    unsigned said = bytes[1] & LENGTH;
    size_t width = said == LENGTH_16 ? 2 : said == LENGTH_64 ? 8 : 0;
    size_t header = 2 + width;
    if (available < header)
        return WS_INCOMPLETE;
    uint64_t length = width ? big_endian(bytes + 2, width) : said;
    if (length > WS_MAX_PAYLOAD)
        return WS_BROKEN;
    if (available - header < length)
        return WS_INCOMPLETE;
    *frame = (struct ws_frame){
        .final = bytes[0] & FINAL,
        .opcode = bytes[0] & OPCODE,
        .payload = bytes + header,
        .length = (size_t)length,
        .size = header + (size_t)length,
    };
    return WS_COMPLETE;
}
