/* Thousands of WebSocket clients in one thread, cheap enough to measure a server with: epoll, no allocation a message.
 *
 *   loadgen <port> <file of request paths, one a connection> <plain|headway|socketio> <marker> [Sec-WebSocket-Protocol]
 *
 * Commands on stdin, one JSON line on stdout for each:
 *   open <from> <to> <at once>   connects; answers when all are ready or have failed
 *   close <from> <to>            drops them
 *   resume <port> <jitter ms>    from now on who loses its connection comes back, there, within the jitter
 *   storm                        how long after the first loss the lost ones were live again
 *   count                        totals */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "loadgen.h"

#define EVENTS_MAX 512
#define TICK_MS 5
#define NAP_NS 1000000

struct totals totals;
struct settings settings;

static struct conn *conns;
static size_t conns_count;
static int epoll;

/* The `open` that is going on. */
static struct { int active; size_t next, to, wanted, ready, failed, at_once; double since; } opening;

double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void open_more(void) {
  while (opening.next < opening.to && opening.next - (opening.to - opening.wanted) - opening.ready - opening.failed < opening.at_once) {
    conn_connect(epoll, &conns[opening.next++]);
  }
  if (opening.active && opening.ready + opening.failed == opening.wanted) {
    opening.active = 0;
    printf("{\"ready\":%zu,\"failed\":%zu,\"ms\":%.3f}\n", opening.ready, opening.failed, now_ms() - opening.since);
  }
}

void on_ready(struct conn *c) {
  if (opening.active && !c->was_lost) opening.ready++;
}

void on_failed(struct conn *c) {
  (void)c;
  if (opening.active) opening.failed++;
}

static void tell_count(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  int64_t least = INT64_MAX;
  for (size_t n = 0; n < conns_count; n++) if (conns[n].ready && conns[n].last < least) least = conns[n].last;
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  printf("{\"open\":%lu,\"ended\":%lu,\"failed\":%lu,\"reconnects\":%lu,\"frames\":%lu,\"bytes\":%lu,\"advanced\":%lu,\"lost\":%lu,"
    "\"repeated\":%lu,\"snapshots\":%lu,\"resets\":%lu,\"least\":%ld,\"cpu_us\":%.0f,\"at_ms\":%.3f}\n",
    totals.open, totals.ended, totals.failed, totals.reconnects, totals.frames, totals.bytes, totals.advanced, totals.lost, totals.repeated,
    totals.snapshots, totals.resets, least == INT64_MAX ? -1L : least, cpu, now_ms());
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void tell_storm(void) {
  double *times = malloc(sizeof *times * (conns_count + 1));
  if (times == NULL) abort();
  size_t live = 0, lost = 0;
  for (size_t n = 0; n < conns_count; n++) {
    if (conns[n].was_lost) lost++;
    if (conns[n].was_lost && conns[n].live_at > 0) times[live++] = conns[n].live_at - totals.first_loss_at;
  }
  qsort(times, live, sizeof *times, by_value);
  /* Of all that were lost: who never came back makes the percentile infinite. */
  size_t p50 = lost / 2, p95 = lost * 95 / 100;
  printf("{\"lost_sockets\":%zu,\"live\":%zu,\"p50_ms\":%.1f,\"p95_ms\":%.1f,\"max_ms\":%.1f}\n", lost, live,
    p50 < live ? times[p50] : 1e9, p95 < live ? times[p95] : 1e9, live > 0 && live == lost ? times[live - 1] : 1e9);
  free(times);
}

static void command(char *line) {
  size_t from, to, at_once;
  int port;
  double jitter;
  if (sscanf(line, "open %zu %zu %zu", &from, &to, &at_once) == 3 && from < to && to <= conns_count) {
    memset(&opening, 0, sizeof opening);
    opening.active = 1;
    opening.next = from;
    opening.to = to;
    opening.wanted = to - from;
    opening.at_once = at_once;
    opening.since = now_ms();
    open_more();
  } else if (sscanf(line, "close %zu %zu", &from, &to) == 2 && to <= conns_count) {
    for (size_t n = from; n < to; n++) {
      conn_end(&conns[n]);
      conns[n].ready = 0;
      conns[n].state = IDLE;
      conns[n].last = settings.mode == HEADWAY ? -1 : 0;
    }
    printf("{}\n");
  } else if (sscanf(line, "resume %d %lf", &port, &jitter) == 2) {
    settings.port = port;
    settings.jitter_ms = jitter;
    settings.resume = 1;
    printf("{}\n");
  } else if (strcmp(line, "count") == 0) {
    tell_count();
  } else if (strcmp(line, "storm") == 0) {
    tell_storm();
  } else {
    printf("{\"error\":\"unknown command\"}\n");
  }
}

/* Returns 0 at the end of stdin. */
static int commands(void) {
  static char buffer[4096];
  static size_t used;
  ssize_t length = read(0, buffer + used, sizeof buffer - used - 1);
  if (length < 0 && errno == EAGAIN) return 1;
  if (length <= 0) return 0;
  used += (size_t)length;
  buffer[used] = 0;
  char *line = buffer, *end;
  while ((end = strchr(line, '\n')) != NULL) {
    *end = 0;
    command(line);
    line = end + 1;
  }
  used = strlen(line);
  memmove(buffer, line, used);
  return 1;
}

static void load_paths(const char *name) {
  FILE *file = fopen(name, "r");
  if (file == NULL) {
    perror(name);
    exit(1);
  }
  size_t room = 0, size = 0;
  char *line = NULL;
  ssize_t length;
  while ((length = getline(&line, &size, file)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = 0;
    if (conns_count == room) conns = realloc(conns, sizeof *conns * (room = room * 2 + 64));
    if (conns == NULL) abort();
    conns[conns_count++] = (struct conn){ .fd = -1, .last = settings.mode == HEADWAY ? -1 : 0, .path = strdup(line) };
  }
  free(line);
  fclose(file);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "loadgen <port> <paths> <plain|headway|socketio> <marker> [protocol]\n");
    return 2;
  }
  settings.port = atoi(argv[1]);
  settings.mode = strcmp(argv[3], "headway") == 0 ? HEADWAY : strcmp(argv[3], "socketio") == 0 ? SOCKETIO : PLAIN;
  settings.marker = argv[4];
  settings.protocol = argc > 5 ? argv[5] : "";
  setvbuf(stdout, NULL, _IOLBF, 0);
  load_paths(argv[2]);
  epoll = epoll_create1(0);
  fcntl(0, F_SETFL, O_NONBLOCK);
  struct epoll_event wish = { .events = EPOLLIN, .data.ptr = NULL };
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &wish);
  struct epoll_event events[EVENTS_MAX];
  struct timespec nap = { 0, NAP_NS };
  int idle = 0;
  for (double looked = 0;;) {
    /* Not woken for every message: a wake-up of a sleeping core would be paid by the server, and remote clients cost it none. */
    if (idle) nanosleep(&nap, NULL);
    int count = epoll_wait(epoll, events, EVENTS_MAX, 0);
    idle = count < EVENTS_MAX;
    for (int n = 0; n < count; n++) {
      if (events[n].data.ptr == NULL) {
        if (!commands()) return 0;
      } else {
        conn_event(epoll, events[n].data.ptr, events[n].events);
      }
    }
    if (opening.active) open_more();
    if (settings.resume && now_ms() - looked >= TICK_MS) {
      looked = now_ms();
      for (size_t n = 0; n < conns_count; n++) if (conns[n].state == WAITING && conns[n].retry_at <= looked) conn_connect(epoll, &conns[n]);
    }
  }
}
