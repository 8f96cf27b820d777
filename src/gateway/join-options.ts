// How a client asks to watch: the same words in a query string, in a frame and for server-sent events.

import { parseCursor } from '../protocol/cursor.ts'
import type { JoinOptions } from './seats.ts'

/** Validated by a schema before. */
export interface JoinWishes {
  since?: string
  wait_ms?: number
  min_interval_ms?: number
}

export function joinOptions ({ since, wait_ms: waitMs = 0, min_interval_ms: intervalMs = 0 }: JoinWishes): JoinOptions {
  return { since: since === undefined ? null : parseCursor(since), wait_ms: waitMs, min_interval_ms: intervalMs }
}
