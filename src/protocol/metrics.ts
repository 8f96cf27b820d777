// Every metric of a job (contract §5) as one pure function of its stored fields and now: H13, the same numbers in every
// process. The estimate is plain: the decayed mean interval between two settled items (pace.ts), times the items that remain.

import type { Counters, StoredJob } from './job.ts'
import type { JobMetrics } from './messages.ts'
import { averageDuration, averageInterval, DECAY, expectedInterval, rangeAround, slowedInterval, unexplained } from './pace.ts'
import { isTerminal } from './states.ts'
import { formatTimestamp } from './timestamp.ts'

export interface EffectiveCounters extends Counters {
  items_total: number
  pending: number
  processing: number
}

/**
 * Every field by its name: V8 defines what is spread into the middle of an object one by one, which took as long as all the arithmetic.
 * @param nowMs wall ms, of Redis or of the reader
 */
export function jobMetrics (job: StoredJob, nowMs: number): JobMetrics {
  const counters = effectiveCounters(job)
  const processingMs = processingTime(job, nowMs)
  const eta = estimate(job, counters, processingMs, nowMs)
  const percent = percents(job, counters)
  // Conditions end with the job; its stored fields keep what stood last.
  const ended = isTerminal(job.state)
  const limited = job.rate_limited && !ended
  const advances = job.proc_since !== null && eta.eta_ms !== null && eta.eta_ms > 0
  return {
    items_total: counters.items_total,
    items_completed: counters.completed,
    items_failed: counters.failed,
    items_skipped: counters.skipped,
    items_canceled: counters.canceled,
    items_pending: counters.pending,
    items_processing: counters.processing,
    percent_complete: percent.percent_complete,
    percent_in_progress: percent.percent_in_progress,
    time_to_start_ms: job.started_at === null ? null : Math.max(0, job.started_at - job.created_at),
    time_processing_ms: processingMs,
    average_duration_ms_per_item: rounded(averageDuration(job.pace)),
    throughput_per_min: rounded(throughput(job, counters, processingMs)),
    eta_ms: eta.eta_ms,
    eta_low_ms: eta.eta_low_ms,
    eta_high_ms: eta.eta_high_ms,
    eta_confidence: eta.eta_confidence,
    eta_reason: eta.eta_reason,
    finish_at: advances ? formatTimestamp(nowMs + eta.eta_ms!) : null,
    rate_limited: limited,
    retry_at: limited && job.retry_at !== null ? formatTimestamp(job.retry_at + job.gap_ms) : null,
    stalled: job.stalled && !ended,
    processing_deadline_ms: job.deadline_ms,
    deadline_exceeded: job.deadline_exceeded,
    deadline_at_risk: job.deadline_ms !== null && !job.deadline_exceeded && !ended &&
      processingMs + (eta.eta_ms ?? 0) > job.deadline_ms
  }
}

/**
 * The counters as clients see them: the greater of what was last reported and what was counted from items, initial values
 * included. On a canceled job everything not settled has become canceled; retryable failures stay failed.
 */
export function effectiveCounters (job: StoredJob): EffectiveCounters {
  const completed = effective(job, 'completed')
  const failed = effective(job, 'failed')
  const skipped = effective(job, 'skipped')
  const canceled = effective(job, 'canceled')
  const settled = completed + failed + skipped + canceled
  if (job.state === 'canceled') {
    const total = Math.max(job.items_total, settled + job.counted.pending + job.counted.processing)
    return { completed, failed, skipped, canceled: canceled + total - settled, items_total: total, pending: 0, processing: 0 }
  }
  const total = Math.max(job.items_total, settled)
  return { completed, failed, skipped, canceled, items_total: total, pending: total - settled, processing: job.counted.processing }
}

/** Processing time up to now, ms: running, pausing, completing and canceling count, pauses and a standing service clock do not. */
export function processingTime (job: StoredJob, nowMs: number): number {
  return job.proc_ms + (job.proc_since === null ? 0 : Math.max(0, nowMs - job.gap_ms - job.proc_since))
}

/** How much longer nothing has been settled than the means explain, ms of processing time. */
function lateness ({ pace }: StoredJob, processingMs: number): number {
  return pace.at === null ? 0 : unexplained(processingMs - pace.at, averageInterval(pace), averageDuration(pace))
}

/** Items settled since the registration: what was given there is not the work of this run. */
function settledHere ({ initial }: StoredJob, { completed, failed, skipped }: EffectiveCounters): number {
  return completed + failed + skipped - initial.completed - initial.failed - initial.skipped
}

/** Items a minute: now; 0 while nobody works; over all its processing time when the job has ended. Null when unknown. */
function throughput (job: StoredJob, counters: EffectiveCounters, processingMs: number): number | null {
  if (isTerminal(job.state)) {
    const settled = settledHere(job, counters)
    return settled > 0 && processingMs > 0 ? settled * 60_000 / processingMs : null
  }
  const interval = averageInterval(job.pace)
  if (interval === null) return null
  if (job.proc_since === null || job.stalled) return 0
  return 60_000 / slowedInterval(interval, lateness(job, processingMs), job.pace.weight)
}

function effective (job: StoredJob, name: keyof Counters): number {
  return Math.max(job.reported[name] ?? 0, job.initial[name] + job.counted[name])
}

/** Two decimals, rounded down: 100 must not appear before the last item. Whole numbers are divided once, so 29 of 100 is 29. */
function percents (job: StoredJob, counters: EffectiveCounters): { percent_complete: number, percent_in_progress: number } {
  const total = counters.items_total
  if (total === 0) {
    const percent = job.state === 'completed' ? 100 : 0
    return { percent_complete: percent, percent_in_progress: percent }
  }
  const done = (counters.completed + counters.skipped) * 10_000
  const partial = isTerminal(job.state) ? 0 : job.partial
  return {
    percent_complete: Math.min(100, Math.floor(done / total) / 100),
    percent_in_progress: Math.min(100, Math.floor((done + partial) / total) / 100)
  }
}

type Estimate = Pick<JobMetrics, 'eta_ms' | 'eta_low_ms' | 'eta_high_ms' | 'eta_confidence' | 'eta_reason'>

const NOTHING_REMAINS: Estimate = { eta_ms: 0, eta_low_ms: 0, eta_high_ms: 0, eta_confidence: 1, eta_reason: 'nothing_remains' }
const UNKNOWN: Estimate = { eta_ms: null, eta_low_ms: null, eta_high_ms: null, eta_confidence: 0, eta_reason: 'no_samples' }

/** In processing time, so a paused job's estimate is what would remain after a resume. */
function estimate (job: StoredJob, counters: EffectiveCounters, processingMs: number, nowMs: number): Estimate {
  const remaining = counters.pending
  if (isTerminal(job.state)) return NOTHING_REMAINS
  if (remaining === 0) {
    // Of what was declared; was it everything? Not while there is no total at all, or items are open.
    return counters.items_total === 0 || counters.processing + job.counted.pending > 0 ? UNKNOWN : NOTHING_REMAINS
  }
  const interval = averageInterval(job.pace)
  const duration = averageDuration(job.pace)
  // A rate limit explains the silence: the work goes on as before when it ends.
  const late = job.rate_limited ? 0 : lateness(job, processingMs)
  if (interval !== null) {
    const { at, weight } = job.pace
    const expected = expectedInterval(interval, slowedInterval(interval, late, weight), processingMs, settledHere(job, counters))
    const waits = Math.max(0, interval - (processingMs - (at ?? 0))) + expected - interval
    const next = Math.max(waits, heldBack(job, nowMs))
    return { ...rangeAround(next + (remaining - 1) * expected, weight * interval / expected), eta_reason: reasonOf(job, late) }
  }
  if (duration !== null) {
    const confidence = (1 - DECAY ** job.pace.samples) / 2
    const eta = remaining * duration / Math.max(1, counters.processing) + heldBack(job, nowMs)
    return { ...rangeAround(eta, confidence), eta_reason: reasonOf(job, late) }
  }
  return UNKNOWN
}

/** How long the worker has been told to hold back: nothing is settled before. Of a paused job only a resume is waited for. */
function heldBack (job: StoredJob, nowMs: number): number {
  if (!job.rate_limited || job.retry_at === null || job.proc_since === null) return 0
  return Math.max(0, job.retry_at + job.gap_ms - nowMs)
}

function reasonOf (job: StoredJob, late: number): string {
  if (job.state === 'paused') return 'paused'
  if (job.rate_limited) return 'rate_limited'
  return job.stalled ? 'stalled' : late > 0 ? 'silent' : 'estimated'
}

/** Two decimals. */
function rounded (value: number | null): number | null {
  return value === null ? null : Math.round(value * 100) / 100
}
