// What one gateway has done, in plain numbers: where they are counted a delivery costs less than a microsecond. metrics.ts tells them.

import type { ErrorCode } from '../protocol/errors.ts'

export interface Tally {
  /** Writes to connections, the frames in them, their bytes. */
  writes: number
  frames: number
  bytes: number
  /** Progress that a newer one has replaced before it was sent. */
  conflated: number
  /** Times that a subscription's socket was behind and got nothing. */
  behind: number
  /** How watchers began, or began anew: from a snapshot, from their cursor, from a snapshot that replaced it. */
  joins: { snapshot: number, resumed: number, reset: number }
  /** Watchers seated without asking Redis. */
  from_memory: number
  /** Reads for a room that may have missed something, and how they failed. */
  rechecks: number
  rechecks_failed: number
  /** Sockets that have ended, by close code. */
  closed: Map<number, number>
  /** Error messages on sockets, by code. */
  refused: Map<ErrorCode, number>
  /** HTTP answers, by `<route> <status>`. */
  answered: Map<string, number>
}

export function createTally (): Tally {
  return {
    writes: 0,
    frames: 0,
    bytes: 0,
    conflated: 0,
    behind: 0,
    joins: { snapshot: 0, resumed: 0, reset: 0 },
    from_memory: 0,
    rechecks: 0,
    rechecks_failed: 0,
    closed: new Map(),
    refused: new Map(),
    answered: new Map()
  }
}

export function countOne<Key> (counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
