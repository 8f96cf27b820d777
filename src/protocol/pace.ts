// How fast a job goes: decayed means of what has been settled, and what a silence since then does to them.
//
// A mean says nothing of the silence that follows it. So a silence longer than the means explain counts, as far as it is longer, as one
// more interval that ends now: the rate falls, the estimate grows, and both go on doing so as long as it lasts.

import type { Pace } from './job.ts'

/** What each further sample leaves to the older ones. Lua's pace.lua has the same number. */
export const DECAY = 0.95

/** So long a silence says nothing yet, ms: workers report in batches, and a rate is told by the minute. */
const SILENCE_MS = 60_000
/** Nor does one of so many mean intervals, */
const SILENCE_INTERVALS = 5
/** or of so many mean durations of an item: those of several at work come together. */
const SILENCE_DURATIONS = 3

/** Decayed average duration of the last attempts, ms; null without samples. */
export function averageDuration ({ samples, sum }: Pace): number | null {
  return samples === 0 ? null : sum * (1 - DECAY) / (1 - DECAY ** samples)
}

/** Decayed average processing time between two settled items, ms; null when unknown, or when all settled at once. */
export function averageInterval ({ mean, weight }: Pace): number | null {
  return weight > 0 && mean > 0 ? mean / weight : null
}

/** How much of a silence the means do not explain, ms. */
export function unexplained (silenceMs: number, interval: number | null, duration: number | null): number {
  return Math.max(0, silenceMs - Math.max(SILENCE_MS, SILENCE_INTERVALS * (interval ?? 0), SILENCE_DURATIONS * (duration ?? 0)))
}

/** The mean interval with the silence in it: what it would be if the next item were settled now. @param weight of the mean, 0..1 */
export function slowedInterval (interval: number, lateMs: number, weight: number): number {
  return interval + lateMs * (1 - DECAY) / (weight * DECAY + 1 - DECAY)
}

/**
 * The interval to expect after a silence: the slowed one, but not beyond the mean of the whole run, silence included. A worker that
 * reports seldom, and then much, is not called a thousand times slower than it has ever been.
 */
export function expectedInterval (interval: number, slowed: number, processingMs: number, settled: number): number {
  return settled > 0 ? Math.min(slowed, Math.max(interval, processingMs / settled)) : slowed
}

export interface Range { eta_ms: number, eta_low_ms: number, eta_high_ms: number, eta_confidence: number }

/**
 * From ±100 % without confidence to ±20 % with all of it. While something remains it is at least 1 ms: 0 says that nothing does.
 * @param confidence the share of the mean that samples have filled
 */
export function rangeAround (etaMs: number, confidence: number): Range {
  const spread = 1 - 0.8 * confidence
  const eta = Math.max(1, Math.round(etaMs))
  return {
    eta_ms: eta,
    eta_low_ms: Math.floor(eta * (1 - spread)),
    eta_high_ms: Math.ceil(eta * (1 + spread)),
    eta_confidence: Math.round(confidence * 100) / 100
  }
}
