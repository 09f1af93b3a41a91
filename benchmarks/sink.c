/* An SMTP server that takes all and keeps nothing but who got when: a line "SECONDS RECIPIENT" for each letter, written
   before it is answered. One process, epoll, PIPELINING; the answers to what came in one read go out in one write (RFC
   2920 section 3.2): several small ones would each wait for the sender's delayed acknowledgement, 40 ms a letter. SIGTERM ends it and tells the processor's time on stderr.
   cc -O2 -o sink sink.c && ./sink FILE      prints its port on stdout */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM 131072
struct client { int fd, data, size, owed; char to[256], words[4096], buffer[ROOM]; };
static long letters;
static int record;

static void over(int number) {
    struct rusage used;
    (void)number;
    getrusage(RUSAGE_SELF, &used);
    dprintf(2, "%ld %.6f\n", letters, used.ru_utime.tv_sec + used.ru_stime.tv_sec
            + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    _exit(0);
}

static void tell(struct client *c) { if (c->owed && write(c->fd, c->words, c->owed) < 0) return; c->owed = 0; }

static void say(struct client *c, const char *words) {
    int size = strlen(words);
    if (c->owed + size > (int)sizeof c->words) tell(c);
    memcpy(c->words + c->owed, words, size);
    c->owed += size;
}

static void took(struct client *c) {
    struct timespec now;
    char line[320];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int size = snprintf(line, sizeof line, "%ld.%06ld %s\n", (long)now.tv_sec, now.tv_nsec / 1000, c->to);
    if (write(record, line, size) < 0) _exit(1);
    letters++;
    say(c, "250 2.0.0 Ok\r\n");
}

static int line_of(struct client *c, char *line) { /* 0: the connection ends */
    if (!strncasecmp(line, "EHLO", 4)) say(c, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n");
    else if (!strncasecmp(line, "RCPT", 4)) {
        char *from = strchr(line, '<'), *end = from ? strchr(from, '>') : 0;
        if (end) { *end = 0; snprintf(c->to, sizeof c->to, "%s", from + 1); }
        say(c, "250 2.1.5 Ok\r\n");
    } else if (!strncasecmp(line, "DATA", 4)) { c->data = 1; say(c, "354 go on\r\n"); }
    else if (!strncasecmp(line, "QUIT", 4)) { say(c, "221 2.0.0 Bye\r\n"); return 0; }
    else say(c, "250 2.0.0 Ok\r\n");
    return 1;
}

static int serve(struct client *c) {
    int got = read(c->fd, c->buffer + c->size, ROOM - 1 - c->size);
    if (got <= 0) return 0;
    c->size += got;
    int at = 0;
    while (at < c->size) {
        char *here = c->buffer + at;
        if (c->data) {
            char *end = memmem(here, c->size - at, "\r\n.\r\n", 5);
            if (!end) { int keep = c->size - at < 4 ? c->size - at : 4; at = c->size - keep; break; }
            c->data = 0;
            at = end + 5 - c->buffer;
            took(c);
        } else {
            char *end = memchr(here, '\n', c->size - at);
            if (!end) break;
            *end = 0;
            at = end + 1 - c->buffer;
            if (!line_of(c, here)) { tell(c); return 0; }
        }
    }
    memmove(c->buffer, c->buffer + at, c->size - at);
    c->size -= at;
    tell(c);
    return 1;
}

int main(int number, char **words) {
    if (number != 2) return 64;
    record = open(words[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    signal(SIGTERM, over);
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    int door = socket(AF_INET, SOCK_STREAM, 0), all = epoll_create1(0);
    if (bind(door, (struct sockaddr *)&where, size) || listen(door, 512)) return 1;
    getsockname(door, (struct sockaddr *)&where, &size);
    printf("%d\n", ntohs(where.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = 0}, events[64];
    epoll_ctl(all, EPOLL_CTL_ADD, door, &event);
    for (;;) {
        int many = epoll_wait(all, events, 64, -1);
        for (int i = 0; i < many; i++) {
            struct client *c = events[i].data.ptr;
            if (!c) {
                c = calloc(1, sizeof *c);
                c->fd = accept(door, 0, 0);
                if (c->fd < 0) { free(c); continue; }
                event.data.ptr = c;
                epoll_ctl(all, EPOLL_CTL_ADD, c->fd, &event);
                say(c, "220 sink ESMTP\r\n");
                tell(c);
            } else if (!serve(c)) { close(c->fd); free(c); }
        }
    }
}
