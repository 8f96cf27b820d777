/* Counts text messages and checks their numbers: each must follow the last one of its connection.
 *
 * Headway: a snapshot sets the position and tells the epoch; `….progress` carries the current number and never advances it.
 * Baselines: every message has the next number. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "loadgen.h"

/* The number stands near the beginning, before anything that users wrote. */
#define HEAD_BYTES 400

static int64_t number_after(const unsigned char *text, size_t length, const char *marker) {
  size_t size = strlen(marker);
  const unsigned char *at = memmem(text, length, marker, size);
  if (at == NULL) return -1;
  int64_t value = 0;
  int digits = 0;
  for (at += size; at < text + length && *at >= '0' && *at <= '9'; at++, digits++) value = value * 10 + (*at - '0');
  return digits > 0 ? value : -1;
}

static int holds(const unsigned char *text, size_t length, const char *word) {
  return memmem(text, length, word, strlen(word)) != NULL;
}

void message(struct conn *c, const unsigned char *text, size_t length) {
  totals.frames++;
  totals.bytes += length;
  size_t head = length < HEAD_BYTES ? length : HEAD_BYTES;
  int64_t number = number_after(text, head, settings.marker);
  if (number < 0) return;
  size_t type = length < 64 ? length : 64;
  if (settings.mode == HEADWAY) {
    if (holds(text, type, "\"job.snapshot\"")) {
      totals.snapshots++;
      if (holds(text, length, "\"reset\":true")) totals.resets++;
      c->epoch = number_after(text, length, "\"epoch\":");
      c->last = number;
      return;
    }
    if (holds(text, type, ".progress\"")) {
      /* Ahead of the log it would speak of an event that has not come. */
      if (number > c->last) totals.lost += (uint64_t)(number - c->last);
      return;
    }
  }
  if (number == c->last + 1) totals.advanced++;
  else if (number > c->last) totals.lost += (uint64_t)(number - c->last - 1);
  else totals.repeated++;
  if (number > c->last) c->last = number;
}
