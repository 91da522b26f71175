#include "plan.h"

#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

#define SEPARATORS " \t\r\n"

/* Where in the file we are, for complaints. */
struct place {
    const char *path;
    unsigned line;
};

/* Return a list with room for one more thing of `size` bytes; lists double at each power of two. */
static void *grow(void *list, uint32_t count, size_t size)
{
    if (count & (count - 1))
        return list;
    return reallocate(list, (count ? (size_t)count * 2 : 1) * size);
}

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(allocate(size, 1), text, size);
}

static char *next_word(char **rest, const struct place *place, const char *what)
{
    char *word = strtok_r(NULL, SEPARATORS, rest);
    if (!word)
        die("%s:%u: %s is missing", place->path, place->line, what);
    return word;
}

/* IPv4 comes first: what listens on both is reached either way, and some servers know no other. */
static struct addrinfo *resolve(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) == 0)
        return found;
    hints.ai_family = AF_UNSPEC;
    return getaddrinfo(host, port, &hints, &found) == 0 ? found : NULL;
}

static void read_server(struct plan *plan, char **rest, const struct place *place)
{
    const char *host = next_word(rest, place, "the host"), *port = next_word(rest, place, "the port");
    struct addrinfo *found = resolve(host, port);
    if (!found)
        die("%s:%u: no address for %s port %s", place->path, place->line, host, port);
    plan->servers = grow(plan->servers, plan->server_count, sizeof *plan->servers);
    struct server *server = &plan->servers[plan->server_count++];
    server->host = copy(host);
    memcpy(&server->address, found->ai_addr, found->ai_addrlen);
    server->address_length = found->ai_addrlen;
    freeaddrinfo(found);
}

static bool is_room_id(const char *word)
{
    return strlen(word) == ROOM_ID_LENGTH && strspn(word, "0123456789abcdefABCDEF") == ROOM_ID_LENGTH;
}

static uint32_t room_index(struct plan *plan, const char *id)
{
    for (uint32_t index = plan->room_count; index-- > 0;)
        if (memcmp(plan->rooms[index].id, id, ROOM_ID_LENGTH) == 0)
            return index;
    plan->rooms = grow(plan->rooms, plan->room_count, sizeof *plan->rooms);
    struct room *room = &plan->rooms[plan->room_count];
    *room = (struct room){0};
    memcpy(room->id, id, ROOM_ID_LENGTH);
    return plan->room_count++;
}

static bool is_in_room(const struct user *user, uint32_t room)
{
    for (uint32_t index = 0; index < user->membership_count; index++)
        if (user->memberships[index].room == room)
            return true;
    return false;
}

static void add_room(struct plan *plan, struct user *user, const char *word, const struct place *place)
{
    if (!is_room_id(word))
        die("%s:%u: %s is no room id (24 hex digits), silent or stalled", place->path, place->line, word);
    uint32_t room = room_index(plan, word);
    if (is_in_room(user, room))
        die("%s:%u: the room %s is named twice", place->path, place->line, word);
    user->memberships = grow(user->memberships, user->membership_count, sizeof *user->memberships);
    user->memberships[user->membership_count++] = (struct membership){.room = room};
}

/* Take positions once it is known whether the user sends. */
static void take_positions(struct plan *plan, struct user *user)
{
    for (uint32_t index = 0; index < user->membership_count; index++) {
        struct membership *membership = &user->memberships[index];
        struct room *room = &plan->rooms[membership->room];
        membership->position = room->members++;
        membership->sender = user_sends(user) ? room->senders++ : 0;
    }
}

/* The token is put into JSON as it is. */
static bool is_plain(const char *token)
{
    for (; *token; token++)
        if (!isgraph((unsigned char)*token) || *token == '"' || *token == '\\')
            return false;
    return true;
}

static void read_user(struct plan *plan, char **rest, const struct place *place)
{
    const char *token = next_word(rest, place, "the token");
    if (!is_plain(token))
        die("%s:%u: the token has characters that no token has", place->path, place->line);
    struct user user = {.token = copy(token)};
    for (char *word; (word = strtok_r(NULL, SEPARATORS, rest));) {
        if (strcmp(word, "silent") == 0)
            user.silent = true;
        else if (strcmp(word, "stalled") == 0)
            user.stalled = true;
        else
            add_room(plan, &user, word, place);
    }
    take_positions(plan, &user);
    plan->users = grow(plan->users, plan->user_count, sizeof *plan->users);
    plan->users[plan->user_count++] = user;
}

static void read_line(struct plan *plan, char *line, const struct place *place)
{
    char *rest = NULL, *word = strtok_r(line, SEPARATORS, &rest);
    if (!word)
        return;
    if (strcmp(word, "server") == 0)
        read_server(plan, &rest, place);
    else if (strcmp(word, "user") == 0)
        read_user(plan, &rest, place);
    else
        die("%s:%u: neither server nor user", place->path, place->line);
}

void plan_read(struct plan *plan, const char *path)
{
    *plan = (struct plan){0};
    FILE *file = fopen(path, "r");
    if (!file)
        die("%s cannot be read", path);
    struct place place = {.path = path};
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) >= 0) {
        place.line++;
        read_line(plan, line, &place);
    }
    free(line);
    fclose(file);
    if (!plan->server_count)
        die("%s names no server", path);
}

void plan_free(struct plan *plan)
{
    for (uint32_t index = 0; index < plan->server_count; index++)
        free(plan->servers[index].host);
    for (uint32_t index = 0; index < plan->user_count; index++) {
        free(plan->users[index].token);
        free(plan->users[index].memberships);
    }
    free(plan->servers);
    free(plan->users);
    free(plan->rooms);
}
