/* A load generator for chat servers on Socket.IO: `loadgen PLAN_FILE`, commands on stdin, answers on stdout.
   README.md describes the plan, the commands and the answers. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "buffer.h"
#include "generator.h"

#define READ_BYTES 4096

/* Obey all complete lines. */
static void obey(struct generator *generator, struct buffer *input)
{
    unsigned char *end;
    while (input->length > 0 && (end = memchr(buffer_bytes(input), '\n', input->length))) {
        *end = '\0';
        size_t length = (size_t)(end - buffer_bytes(input));
        generator_command(generator, (char *)buffer_bytes(input));
        buffer_consume(input, length + 1);
    }
}

/* Read what there is on stdin; false at its end. */
static bool read_stdin(struct buffer *input)
{
    char bytes[READ_BYTES];
    ssize_t length = read(STDIN_FILENO, bytes, sizeof bytes);
    if (length > 0)
        buffer_append(input, bytes, (size_t)length);
    return length > 0 || (length < 0 && errno == EINTR);
}

/* Between commands the connections are looked after too: they have heartbeats to answer. */
static void serve(struct generator *generator)
{
    struct buffer input = {0};
    struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = generator->world.loop.epoll, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        if (watched[1].revents)
            generator_pump(generator, 0);
        if (watched[0].revents && !read_stdin(&input))
            break;
        obey(generator, &input);
    }
    buffer_free(&input);
}

int main(int count, char **arguments)
{
    if (count != 2)
        die("usage: loadgen PLAN_FILE");
    allow_many_files();
    struct generator *generator = allocate(1, sizeof *generator);
    generator_open(generator, arguments[1]);
    serve(generator);
    generator_close(generator);
    free(generator);
    return 0;
}
