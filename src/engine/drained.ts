// What this process's drains have done, for whoever measures.

import type { DrainResult } from './drain.ts'

/** Why a partition stands still; failed = Redis refused, or did not answer, several calls in a row. */
type Halt = 'torn' | 'held' | 'restoring' | 'newer_format' | 'failed'

const SUMMED = ['applied', 'repeated', 'ignored', 'rejected', 'gaps', 'timers'] as const

/** The summed counts of all calls, and besides: */
export interface Drained extends Pick<DrainResult, typeof SUMMED[number]> {
  /** Calls of the reducer. */
  calls: number
  /** Entries read. */
  entries: number
  /** Time in Redis, by its clock. */
  redis_us: number
  /** New epochs that this process has issued. */
  epochs: number
  /** Age of the newest entry when it was last drained, ms; the clocks of Redis and of this process are compared. */
  lag_ms: number
  /** Rejected events by code. */
  refusals: ReadonlyMap<string, number>
  /** Partitions that stand still as this process sees them, by why. */
  halted: Readonly<Record<Halt, number>>
}

export function createDrained (): Drained {
  const counts = { calls: 0, entries: 0, applied: 0, repeated: 0, ignored: 0, rejected: 0, gaps: 0, timers: 0, redis_us: 0, epochs: 0 }
  return { ...counts, lag_ms: 0, refusals: new Map(), halted: haltedOf([]) }
}

/** @param words of the partitions whose last call did not end well */
export function haltedOf (words: Iterable<string>): Drained['halted'] {
  const halted = { torn: 0, held: 0, restoring: 0, newer_format: 0, failed: 0 }
  for (const word of words) if (word in halted) halted[word as keyof typeof halted]++
  return halted
}

/** @param wallMs now */
export function count (drained: Drained, result: DrainResult, wallMs: number): void {
  drained.calls++
  drained.redis_us += result.elapsed_us
  if (result.word === 'replica_changed') drained.epochs++
  if (result.word !== 'ok') return
  drained.entries += result.consumed
  for (const name of SUMMED) drained[name] += result[name]
  if (result.refusals.length > 0) {
    const refusals = new Map(drained.refusals)
    for (const code of result.refusals) refusals.set(code, (refusals.get(code) ?? 0) + 1)
    drained.refusals = refusals
  }
  drained.lag_ms = result.consumed === 0 ? 0 : Math.max(0, wallMs - Number.parseInt(result.cursor))
}
