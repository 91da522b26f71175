/* The plan file: which servers there are, and who connects and is in which rooms. */
#ifndef PLAN_H
#define PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ROOM_ID_LENGTH 24

struct server {
    char *host;
    struct sockaddr_storage address;
    socklen_t address_length;
};

/* A user's place in one room. */
struct membership {
    uint32_t room;     /* index in plan.rooms */
    uint32_t position; /* among the room's members */
    uint32_t sender;   /* among those of them that send; without meaning for the others */
};

struct user {
    char *token;
    struct membership *memberships;
    uint32_t membership_count;
    bool silent;  /* never sends */
    bool stalled; /* reads nothing after it has joined */
};

struct room {
    char id[ROOM_ID_LENGTH + 1];
    uint32_t members;
    uint32_t senders;
};

struct plan {
    struct server *servers;
    struct user *users;
    struct room *rooms;
    uint32_t server_count, user_count, room_count;
};

/* Read a plan; end the program, with the number of the line, when it is not one. */
void plan_read(struct plan *plan, const char *path);

void plan_free(struct plan *plan);

/* Whether this user sends messages. */
static inline bool user_sends(const struct user *user)
{
    return !user->silent && !user->stalled;
}

#endif
