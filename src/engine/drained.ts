// What this process's drains have done, for whoever measures.

import type { DrainResult } from './drain.ts'

export interface Drained {
  /** Calls of the reducer. */
  calls: number
  /** Entries read. */
  entries: number
  /** Events that took effect; repeats, those without effect, dead letters and gaps of producers are counted apart. */
  applied: number
  repeated: number
  ignored: number
  rejected: number
  gaps: number
  /** Timers that fired. */
  timers: number
  /** Time in Redis, by its clock. */
  redis_us: number
  /** New epochs that this process has issued. */
  epochs: number
  /** Age of the newest entry when it was last drained, ms; the clocks of Redis and of this process are compared. */
  lag_ms: number
}

export function createDrained (): Drained {
  return { calls: 0, entries: 0, applied: 0, repeated: 0, ignored: 0, rejected: 0, gaps: 0, timers: 0, redis_us: 0, epochs: 0, lag_ms: 0 }
}

/** @param wallMs now */
export function count (drained: Drained, result: DrainResult, wallMs: number): void {
  drained.calls++
  drained.redis_us += result.elapsed_us
  if (result.word === 'replica_changed') drained.epochs++
  if (result.word !== 'ok') return
  drained.entries += result.consumed
  drained.applied += result.applied
  drained.repeated += result.repeated
  drained.ignored += result.ignored
  drained.rejected += result.rejected
  drained.gaps += result.gaps
  drained.timers += result.timers
  drained.lag_ms = result.consumed === 0 ? 0 : Math.max(0, wallMs - Number.parseInt(result.cursor))
}
