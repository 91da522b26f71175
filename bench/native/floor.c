/* The floor under every chat server: what one delivery costs when nothing is left but writing it.

   `floor SOCKETS MESSAGES SIZE` writes a ready WebSocket text frame with SIZE bytes of payload to each of
   SOCKETS loopback connections, MESSAGES times, and measures the processor time per delivery of the writing
   process; then once more with four frames in each write. Another process reads, and has read everything before
   the next turn begins, so that the readers sleep as those of a server do that keeps up. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base.h"

#define EVENTS 256
#define READ_SIZE 65536
#define PER_WRITE 4
#define WRITES_PER_TURN 100 /* at least; with fewer, the measuring itself would show */
#define PAUSE_NS 100000
#define WARMUP_TURNS 10

struct floor {
    int *sockets;
    uint32_t count;
    unsigned char *frames; /* PER_WRITE times the same */
    size_t frame_size;
    uint64_t written;           /* bytes */
    _Atomic uint64_t *received; /* bytes, counted by the other process */
};

/* --- The reading process --- */

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void connect_all(int epoll, uint32_t count, const struct sockaddr_in *address)
{
    for (uint32_t index = 0; index < count; index++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
            die("connect: %s", strerror(errno));
        watch(epoll, fd);
    }
}

/* Read until all connections are closed. */
static void read_all(int epoll, uint32_t open, _Atomic uint64_t *received)
{
    static unsigned char bytes[READ_SIZE];
    struct epoll_event events[EVENTS];
    while (open > 0) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < count; index++) {
            ssize_t length = read(events[index].data.fd, bytes, sizeof bytes);
            if (length > 0) {
                atomic_fetch_add_explicit(received, (uint64_t)length, memory_order_relaxed);
                continue;
            }
            close(events[index].data.fd);
            open--;
        }
    }
}

static void reader(const struct floor *floor, const struct sockaddr_in *address)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    connect_all(epoll, floor->count, address);
    read_all(epoll, floor->count, floor->received);
    _exit(0);
}

/* --- The writing process --- */

static int listen_on(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) < 0 || listen(fd, SOMAXCONN) < 0)
        die("listen: %s", strerror(errno));
    getsockname(fd, (struct sockaddr *)address, &size);
    return fd;
}

static void accept_all(struct floor *floor, int listening)
{
    int one = 1;
    for (uint32_t index = 0; index < floor->count; index++) {
        floor->sockets[index] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (floor->sockets[index] < 0)
            die("accept: %s", strerror(errno));
        setsockopt(floor->sockets[index], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

/* Write the frame of a server: it is not masked. Return its size. */
static size_t put_frame(unsigned char *frame, size_t size)
{
    size_t header = size < 126 ? 2 : size <= UINT16_MAX ? 4 : 10;
    memset(frame, 0, header);
    frame[0] = 0x81;
    frame[1] = size < 126 ? (unsigned char)size : size <= UINT16_MAX ? 126 : 127;
    for (size_t at = header, rest = size; at-- > 2; rest >>= 8)
        frame[at] = (unsigned char)rest;
    memset(frame + header, 'x', size);
    return header + size;
}

static void make_frames(struct floor *floor, size_t size)
{
    floor->frames = allocate(PER_WRITE, size + 10);
    floor->frame_size = put_frame(floor->frames, size);
    for (size_t index = 1; index < PER_WRITE; index++)
        memcpy(floor->frames + index * floor->frame_size, floor->frames, floor->frame_size);
}

static void wait_for_reader(const struct floor *floor)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    while (floor->written > atomic_load_explicit(floor->received, memory_order_relaxed))
        nanosleep(&pause, NULL);
}

static void write_to_all(struct floor *floor, size_t size)
{
    for (uint32_t index = 0; index < floor->count; index++)
        if (write(floor->sockets[index], floor->frames, size) != (ssize_t)size)
            die("write: %s", strerror(errno));
    floor->written += (uint64_t)size * floor->count;
}

/* Write `rounds` times to all sockets; return the processor time of the writes alone, in seconds. */
static double take_turn(struct floor *floor, uint64_t rounds, uint32_t per_write)
{
    double before = cpu_seconds();
    for (uint64_t round = 0; round < rounds; round++)
        write_to_all(floor, floor->frame_size * per_write);
    double used = cpu_seconds() - before;
    wait_for_reader(floor);
    return used;
}

/* Return the microseconds of processor time per delivery. */
static double measure(struct floor *floor, uint64_t messages, uint32_t per_write)
{
    uint64_t rounds = (messages + per_write - 1) / per_write;
    uint64_t per_turn = floor->count < WRITES_PER_TURN ? WRITES_PER_TURN / floor->count : 1;
    double used = 0;
    for (uint32_t turn = 0; turn < WARMUP_TURNS; turn++)
        take_turn(floor, per_turn, per_write);
    for (uint64_t left = rounds; left > 0; left -= left < per_turn ? left : per_turn)
        used += take_turn(floor, left < per_turn ? left : per_turn, per_write);
    return used * 1e6 / (double)(rounds * per_write * floor->count);
}

static pid_t start_reader(struct floor *floor)
{
    struct sockaddr_in address;
    int listening = listen_on(&address);
    pid_t child = fork();
    if (child < 0)
        die("fork: %s", strerror(errno));
    if (child == 0) {
        close(listening);
        reader(floor, &address);
    }
    accept_all(floor, listening);
    close(listening);
    return child;
}

static void close_floor(struct floor *floor, pid_t child)
{
    for (uint32_t index = 0; index < floor->count; index++)
        close(floor->sockets[index]);
    waitpid(child, NULL, 0);
    munmap(floor->received, sizeof *floor->received);
    free(floor->sockets);
    free(floor->frames);
}

static void open_floor(struct floor *floor, uint32_t sockets, size_t size)
{
    *floor = (struct floor){.count = sockets, .sockets = allocate(sockets, sizeof(int))};
    make_frames(floor, size);
    floor->received =
        mmap(NULL, sizeof *floor->received, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (floor->received == MAP_FAILED)
        die("mmap: %s", strerror(errno));
}

static uint64_t number(const char *text, const char *name, uint64_t highest)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value < 1 || value > highest)
        die("%s must be a number from 1 to %llu", name, (unsigned long long)highest);
    return value;
}

int main(int count, char **arguments)
{
    if (count != 4)
        die("usage: floor SOCKETS MESSAGES SIZE");
    uint32_t sockets = (uint32_t)number(arguments[1], "SOCKETS", 20000);
    uint64_t messages = number(arguments[2], "MESSAGES", 100000000);
    size_t size = (size_t)number(arguments[3], "SIZE", 100000);
    struct floor floor;
    allow_many_files();
    open_floor(&floor, sockets, size);
    pid_t child = start_reader(&floor);
    double single = measure(&floor, messages, 1), coalesced = measure(&floor, messages, PER_WRITE);
    close_floor(&floor, child);
    printf("{\"sockets\":%u,\"messages\":%llu,\"size\":%zu,", sockets, (unsigned long long)messages, size);
    printf("\"us_per_delivery\":%.3f,\"us_per_delivery_4_per_write\":%.3f}\n", single, coalesced);
    return 0;
}
