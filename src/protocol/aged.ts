// A job's view some time after it was made: what a page shows between two messages, and when none comes any more. The gateway's own
// word is exact (metrics.ts); a view lacks when the last item was settled, and takes it for the moment the view was made. So the rate
// that this shows is never below the gateway's for the same moment, and goes to nothing as surely.

import type { JobView } from './messages.ts'
import { expectedInterval, rangeAround, slowedInterval, unexplained } from './pace.ts'
import { isTerminal } from './states.ts'
import { formatTimestamp } from './timestamp.ts'

/**
 * Pure. @param ageMs since the metrics were right
 * @returns the view itself while nothing in it runs
 */
export function agedJob (job: JobView, ageMs: number): JobView {
  if (ageMs <= 0 || isTerminal(job.state) || job.state === 'pending' || job.state === 'paused') return job
  const aged = { ...job, time_processing_ms: job.time_processing_ms + Math.floor(ageMs) }
  const rate = job.throughput_per_min
  if (job.stalled) return { ...aged, throughput_per_min: rate === null ? null : 0 }
  const interval = rate === null || rate === 0 ? null : 60_000 / rate
  const late = unexplained(ageMs, interval, job.average_duration_ms_per_item)
  if (late > 0 && job.eta_reason === 'estimated') aged.eta_reason = 'silent'
  const waiting = estimateOf(job, ageMs, Math.max(0, (job.eta_ms ?? 0) - ageMs), job.eta_confidence)
  if (interval === null) return { ...aged, ...waiting }
  // In a silence the confidence has fallen and tells the weight of the mean no more; the full one slows down least.
  const slowed = slowedInterval(interval, late, job.eta_reason === 'silent' ? 1 : job.eta_confidence)
  aged.throughput_per_min = Math.round(6_000_000 / slowed) / 100
  if (job.rate_limited) return { ...aged, ...(job.retry_at === null ? {} : waiting) }
  const expected = expectedInterval(interval, slowed, aged.time_processing_ms, job.items_completed + job.items_failed + job.items_skipped)
  // Only the next item's share counts down by waiting.
  const following = Math.max(0, (job.eta_ms ?? 0) - interval) * expected / interval
  const eta = Math.min(job.eta_ms ?? 0, Math.max(0, interval - ageMs)) + expected - interval + following
  return { ...aged, ...estimateOf(job, ageMs, eta, job.eta_confidence * interval / expected) }
}

function estimateOf (job: JobView, ageMs: number, etaMs: number, confidence: number): Partial<JobView> {
  if (job.eta_ms === null || job.eta_ms === 0) return {}
  const range = rangeAround(etaMs, confidence)
  const moved = ageMs + range.eta_ms - job.eta_ms
  return { ...range, finish_at: job.finish_at === null ? null : formatTimestamp(Date.parse(job.finish_at) + moved) }
}

/**
 * For whoever shows views between two messages.
 * @returns a job as it stands now; its age is how long this has known it
 */
export function createAging (now: () => number = () => performance.now()): (job: JobView) => JobView {
  const since = new WeakMap<JobView, number>()
  return job => {
    const at = now()
    const known = since.get(job)
    if (known === undefined) since.set(job, at)
    return agedJob(job, at - (known ?? at))
  }
}
