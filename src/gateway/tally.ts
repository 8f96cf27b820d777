// What one gateway has done, in plain numbers: where they are counted a delivery costs less than a microsecond. metrics.ts tells them.

import { Histogram } from 'prom-client'
import type { ErrorCode } from '../protocol/errors.ts'

/** Seconds. The bound of the objective (docs/slos.md) is one of them. */
const AGE_BOUNDS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Why a connection was not taken. */
export const ADMISSION_REFUSALS = ['stopping', 'connections', 'handshakes', 'origin', 'tenant_connections', 'tenant_handshakes'] as const
export type AdmissionRefusal = typeof ADMISSION_REFUSALS[number]

export interface Tally {
  /** Writes to connections, the frames in them, their bytes. */
  writes: number
  frames: number
  bytes: number
  /** Progress that a newer one has replaced before it was sent. */
  conflated: number
  /** How old a change was when a room told its watchers, s. Once a room and message of the channel, never once a socket: 0.1 µs. */
  readonly age: Histogram
  /** Times that a subscription's socket was behind and got nothing. */
  behind: number
  /** How watchers began, or began anew: from a snapshot, from their cursor, from a snapshot that replaced it. */
  joins: { snapshot: number, resumed: number, reset: number }
  /** Watchers seated without asking Redis. */
  from_memory: number
  /** Reads for a room that may have missed something, and how they failed. */
  rechecks: number
  rechecks_failed: number
  /** Sockets that have ended, by close code; `other`: a client named one of its own, of which there are thousands. */
  closed: Map<number | 'other', number>
  /** Error messages on sockets, by code. */
  refused: Map<ErrorCode, number>
  /** Connections that were not taken, by reason. */
  turned_away: Map<AdmissionRefusal, number>
  /** HTTP answers, by `<route> <status>`. */
  answered: Map<string, number>
}

export function createTally (): Tally {
  return {
    writes: 0,
    frames: 0,
    bytes: 0,
    conflated: 0,
    age: new Histogram({
      name: 'headway_event_age_seconds', help: 'Age of a change when the room told its watchers.', buckets: AGE_BOUNDS_S, registers: []
    }),
    behind: 0,
    joins: { snapshot: 0, resumed: 0, reset: 0 },
    from_memory: 0,
    rechecks: 0,
    rechecks_failed: 0,
    closed: new Map(),
    refused: new Map(),
    turned_away: new Map(ADMISSION_REFUSALS.map(reason => [reason, 0])),
    answered: new Map()
  }
}

/** @param since wall ms of the oldest change; the clocks of Redis and of this process are compared */
export function tellAge ({ age }: Tally, since: number): void {
  age.observe(Math.max(0, Date.now() - since) / 1_000)
}

export function countOne<Key> (counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
