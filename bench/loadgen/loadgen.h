/* What the parts of the load generator share: one connection, the totals, the settings. */

#ifndef LOADGEN_H
#define LOADGEN_H

#include <stddef.h>
#include <stdint.h>

enum state { IDLE, CONNECTING, HANDSHAKE, OPEN, WAITING, ENDED };
/* What makes a connection ready: 101 (PLAIN), its first text (HEADWAY), the answer to the connect packet (SOCKETIO). */
enum mode { PLAIN, HEADWAY, SOCKETIO };

struct conn {
  int fd;
  enum state state;
  int ready;               /* counted as open */
  int64_t last;            /* number of the last message, -1 = none yet */
  int64_t epoch;           /* of the last snapshot, for the cursor */
  const char *path;
  unsigned char *rest;     /* the beginning of a frame whose end has not come */
  size_t rest_len, rest_cap;
  double retry_at;         /* WAITING: when to connect again, ms */
  double live_at;          /* when it was live again after a loss, ms; 0 = never lost or not yet back */
  int was_lost;
};

struct totals {
  uint64_t open, ended, failed, reconnects;
  uint64_t frames, bytes;  /* text frames and their payloads */
  uint64_t advanced;       /* frames whose number was the next one */
  uint64_t lost, repeated; /* numbers that were passed over; numbers that came again */
  uint64_t snapshots, resets;
  uint64_t lost_sockets;
  double first_loss_at;
};

struct settings {
  enum mode mode;
  const char *marker;      /* "seq": or "n": */
  const char *protocol;
  int port;
  int resume;              /* a lost connection comes back */
  double jitter_ms;
};

extern struct totals totals;
extern struct settings settings;

double now_ms(void);

/* connection.c */
void conn_connect(int epoll, struct conn *c);
void conn_event(int epoll, struct conn *c, uint32_t events);
void conn_end(struct conn *c);

/* messages.c */
/* A text message: counts it and checks its number. */
void message(struct conn *c, const unsigned char *text, size_t length);

/* loadgen.c: told when a connection is ready, or will not be */
void on_ready(struct conn *c);
void on_failed(struct conn *c);

#endif
