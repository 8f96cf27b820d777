/* One WebSocket client connection: the upgrade, frames in, pongs out, and coming back after a loss. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "loadgen.h"

#define READ_BYTES (256 * 1024)
#define REQUEST_BYTES 4096

static unsigned char input[READ_BYTES];

void conn_end(struct conn *c) {
  if (c->fd < 0) return;
  /* Reset, so that thousands of ports do not stay in TIME_WAIT. */
  struct linger now = { 1, 0 };
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(c->fd);
  c->fd = -1;
  free(c->rest);
  c->rest = NULL;
  c->rest_len = c->rest_cap = 0;
  if (c->ready) totals.open--;
}

/* The peer ended it, or it never came to be. */
static void lost(struct conn *c) {
  int was_ready = c->ready;
  conn_end(c);
  c->ready = 0;
  if (was_ready) totals.ended++;
  if (settings.resume) {
    double now = now_ms();
    if (was_ready) {
      totals.lost_sockets++;
      if (totals.first_loss_at == 0) totals.first_loss_at = now;
      c->was_lost = 1;
      c->live_at = 0;
    }
    c->state = WAITING;
    c->retry_at = now + settings.jitter_ms * drand48();
    return;
  }
  c->state = ENDED;
  if (!was_ready) {
    totals.failed++;
    on_failed(c);
  }
}

void conn_connect(int epoll, struct conn *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  c->state = CONNECTING;
  if (c->fd < 0) {
    perror("socket");
    exit(1);
  }
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)settings.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  struct epoll_event wish = { .events = EPOLLOUT, .data.ptr = c };
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &wish);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) lost(c);
}

static void request(int epoll, struct conn *c) {
  char text[REQUEST_BYTES];
  char cursor[80] = "";
  if (c->was_lost && c->last >= 0) snprintf(cursor, sizeof cursor, "&since=%lld.%lld", (long long)c->epoch, (long long)c->last);
  int length = snprintf(text, sizeof text,
    "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
    c->path, cursor, settings.port, *settings.protocol ? "Sec-WebSocket-Protocol: " : "", settings.protocol, *settings.protocol ? "\r\n" : "");
  if (send(c->fd, text, (size_t)length, MSG_NOSIGNAL) != length) {
    lost(c);
    return;
  }
  c->state = HANDSHAKE;
  struct epoll_event wish = { .events = EPOLLIN, .data.ptr = c };
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &wish);
}

/* A client's frame, masked with zeros: at most 125 bytes. */
static void write_frame(struct conn *c, unsigned char opcode, const void *payload, size_t length) {
  unsigned char frame[6 + 125] = { 0 };
  frame[0] = 0x80 | opcode;
  frame[1] = (unsigned char)(0x80 | length);
  memcpy(frame + 6, payload, length);
  if (send(c->fd, frame, 6 + length, MSG_NOSIGNAL) < 0) return; /* the loss shows when reading */
}

static void ready(struct conn *c) {
  if (c->ready) return;
  c->ready = 1;
  totals.open++;
  if (c->was_lost) {
    totals.reconnects++;
    c->live_at = now_ms();
  }
  on_ready(c);
}

static void text_frame(struct conn *c, const unsigned char *payload, size_t length) {
  if (settings.mode == SOCKETIO) {
    if (length >= 1 && payload[0] == '0') write_frame(c, 1, "40", 2);
    else if (length == 1 && payload[0] == '2') write_frame(c, 1, "3", 1);
    else if (length >= 2 && payload[0] == '4' && payload[1] == '0') ready(c);
    else message(c, payload, length);
    return;
  }
  message(c, payload, length);
  ready(c);
}

/* Returns the bytes of whole frames; 0 or less than length = the rest is still to come; (size_t)-1 = the connection ended. */
static size_t frames(struct conn *c, const unsigned char *at, size_t length) {
  size_t done = 0;
  while (length - done >= 2) {
    const unsigned char *f = at + done;
    size_t header = 2;
    uint64_t size = f[1] & 0x7f;
    if (size == 126) header = 4;
    else if (size == 127) header = 10;
    if (length - done < header) break;
    if (size == 126) size = (uint64_t)f[2] << 8 | f[3];
    else if (size == 127) for (size = 0, header = 2; header < 10; header++) size = size << 8 | f[header];
    if (length - done - header < size) break;
    const unsigned char *payload = f + header;
    switch (f[0] & 0x0f) {
      case 1: text_frame(c, payload, size); break;
      case 8: lost(c); return (size_t)-1;
      case 9: write_frame(c, 10, payload, size); break;
    }
    done += header + size;
  }
  return done;
}

static void keep(struct conn *c, const unsigned char *at, size_t length) {
  if (c->rest_len + length > c->rest_cap) {
    c->rest_cap = (c->rest_len + length) * 2;
    c->rest = realloc(c->rest, c->rest_cap);
    if (c->rest == NULL) abort();
  }
  memcpy(c->rest + c->rest_len, at, length);
  c->rest_len += length;
}

static void received(struct conn *c, const unsigned char *at, size_t length) {
  if (c->rest_len == 0) {
    size_t done = frames(c, at, length);
    if (done != (size_t)-1 && done < length) keep(c, at + done, length - done);
    return;
  }
  keep(c, at, length);
  size_t done = frames(c, c->rest, c->rest_len);
  if (done == (size_t)-1) return;
  c->rest_len -= done;
  memmove(c->rest, c->rest + done, c->rest_len);
}

/* The answer to the upgrade; what follows it are frames. */
static void answer(struct conn *c) {
  unsigned char *end = memmem(c->rest, c->rest_len, "\r\n\r\n", 4);
  if (end == NULL) return;
  if (c->rest_len < 12 || memcmp(c->rest + 9, "101", 3) != 0) {
    static int told;
    if (told++ < 3) fprintf(stderr, "refused: %.*s\n", (int)c->rest_len, (char *)c->rest);
    lost(c);
    return;
  }
  c->state = OPEN;
  size_t head = (size_t)(end + 4 - c->rest);
  unsigned char *follow = malloc(c->rest_len - head + 1);
  size_t length = c->rest_len - head;
  if (follow == NULL) abort();
  memcpy(follow, c->rest + head, length);
  c->rest_len = 0;
  /* A resumed connection may have nothing to be told: it is live with the 101, which waits for the subscription. */
  if (settings.mode == PLAIN || c->was_lost) ready(c);
  if (length > 0) received(c, follow, length);
  free(follow);
}

void conn_event(int epoll, struct conn *c, uint32_t events) {
  if (c->fd < 0) return;
  if (c->state == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & (EPOLLERR | EPOLLHUP))) lost(c);
    else request(epoll, c);
    return;
  }
  ssize_t length = recv(c->fd, input, sizeof input, 0);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    lost(c);
  } else if (c->state == HANDSHAKE) {
    keep(c, input, (size_t)length);
    answer(c);
  } else {
    received(c, input, (size_t)length);
  }
}
