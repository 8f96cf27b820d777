// A job's bookkeeping that several rules share: counters, moves from state to state, conditions, the pace.

import { isTerminal, type JobState } from '../../../src/protocol/states.ts'
import type { Counters, Fact, Job, LogFact, RegisterFacts } from './facts.ts'

/** When and because of what something happens to a job. */
export interface Cause {
  /** Service ms. */
  base: number
  /** Wall ms: the entry's own time, or a timer's clock. */
  wall: number
  cid: string | null
  /** Service + gap = wall, for times that stand in the service clock. */
  gap_ms: number
  /** Announces a logged event. */
  log: (fact: LogFact) => void
  /** Marks that a client can see the change. */
  changed: () => void
}

/** Thrown by a rule: the event is refused and changes nothing. */
export class Refusal extends Error {
  readonly code: string
  readonly allowed: readonly string[]
  constructor (code: string, allowed: readonly string[] = []) {
    super(code)
    this.code = code
    this.allowed = allowed
  }
}

export const COUNTERS = ['completed', 'failed', 'skipped', 'canceled'] as const
const PROCESSING_STATES: readonly JobState[] = ['running', 'pausing', 'completing', 'canceling']
const SAMPLES_MAX = 100
const DECAY = 0.95
const RATE_LIMIT_MS = 60_000

export function counted (job: Job): Counters & { retryable: number, processing: number, pending: number } {
  const items = [...job.items.values()]
  const count = (state: string): number => items.filter((item) => item.state === state).length
  return {
    completed: count('completed'),
    failed: count('failed'),
    retryable: items.filter((item) => item.state === 'failed' && item.retryable).length,
    skipped: count('skipped'),
    canceled: count('canceled'),
    processing: count('processing'),
    pending: count('pending')
  }
}

/** The greater of what was reported and what was counted on top of the initial values. */
export function effective (job: Job): Counters {
  const counts = counted(job)
  const greater = (key: keyof Counters): number => Math.max(job.reported[key] ?? 0, job.registration.initial[key] + counts[key])
  return { completed: greater('completed'), failed: greater('failed'), skipped: greater('skipped'), canceled: greater('canceled') }
}

export function settled (job: Job): number {
  const counts = effective(job)
  return counts.completed + counts.failed + counts.skipped + counts.canceled
}

export function inProcessing (job: Job): boolean {
  return PROCESSING_STATES.includes(job.state)
}

export function processingTime (job: Job, at: number): number {
  return job.proc_ms + (job.proc_since === null ? 0 : at - job.proc_since)
}

export interface Move { reason?: string | null, forced?: boolean }

/** Moves the job and announces it; the final event follows a terminal state at once. */
export function move (job: Job, next: JobState, cause: Cause, { reason = null, forced = false }: Move = {}): void {
  const prior = job.state
  cause.log({ letter: 'S', ts: cause.wall, cid: cause.cid, prior, next, forced, reason })
  const before = inProcessing(job)
  job.state = next
  if (before && !inProcessing(job)) {
    job.proc_ms = processingTime(job, cause.base)
    job.proc_since = null
  }
  if (!before && inProcessing(job)) job.proc_since = cause.base
  if (next === 'running') job.started_wall ??= cause.wall
  else job.stalled = false
  if (next !== 'pausing' && next !== 'canceling') job.control.id = null
  job.state_since = cause.base
  job.reason = reason
  cause.changed()
  if (isTerminal(next)) cause.log({ letter: 'F', ts: cause.wall, cid: cause.cid, state: next, reason })
}

/** Sets the condition, or moves its end. @returns false when it stands already and no new end is given */
export function limitRate (job: Job, retryAtWall: number | null, cause: Cause, reason: string | null): boolean {
  const given = retryAtWall === null ? null : retryAtWall - cause.gap_ms
  if (job.rate_limited && (given === null || given === job.retry_at)) return false
  job.rate_limited = true
  job.retry_at = given ?? cause.base + RATE_LIMIT_MS
  cause.log({ letter: 'L', ts: cause.wall, cid: cause.cid, retry_at_wall: job.retry_at + cause.gap_ms, reason })
  cause.changed()
  return true
}

/** @returns false when the condition does not stand */
export function clearRateLimit (job: Job, cause: Cause): boolean {
  if (!job.rate_limited) return false
  job.rate_limited = false
  job.retry_at = null
  cause.log({ letter: 'l', ts: cause.wall, cid: cause.cid })
  cause.changed()
  return true
}

/** Any accepted worker event shows that the worker lives; of a job that has ended nobody asks. */
export function signOfLife (job: Job, cause: Cause): void {
  if (isTerminal(job.state)) return
  job.life = cause.base
  if (!job.stalled) return
  job.stalled = false
  cause.log({ letter: 't', ts: cause.wall, cid: cause.cid })
  cause.changed()
}

/** A finished attempt of known duration. */
export function addSample (job: Job, durationMs: number): void {
  job.durations.push(durationMs)
  if (job.durations.length > SAMPLES_MAX) job.durations.shift()
  const newestFirst = job.durations.toReversed()
  job.pace.samples = newestFirst.length
  job.pace.sum = newestFirst.reduce((sum, duration, k) => sum + duration * DECAY ** k, 0)
}

/** What an event that settled `k` more tells about the time between two of them. */
export function addInterval (job: Job, k: number, base: number): void {
  if (k <= 0 || !inProcessing(job)) return
  const { pace } = job
  const time = processingTime(job, base)
  const fade = DECAY ** k
  pace.mean = pace.mean * fade + (time - (pace.at ?? 0)) / k * (1 - fade)
  pace.weight = pace.weight * fade + (1 - fade)
  pace.at = time
}

/** `running|pausing|completing → completing → completed` once nothing is left to do. */
export function autoComplete (job: Job, cause: Cause): void {
  if (!job.registration.auto_complete || job.items_total === 0) return
  if (job.state !== 'running' && job.state !== 'pausing' && job.state !== 'completing') return
  const counts = counted(job)
  if (counts.pending > 0 || counts.processing > 0 || counts.retryable > 0) return
  if (settled(job) - counts.retryable < job.items_total) return
  const reason = 'all_items_settled'
  if (job.state !== 'completing') move(job, 'completing', cause, { reason })
  move(job, 'completed', cause, { reason })
}

export function newJob (fact: Fact & { type: 'register' }, epoch: number, cause: Cause): Job {
  const { tenant, job: id, data } = fact
  const runs = data.state === 'running'
  return {
    tenant,
    id,
    lid: '',
    epoch,
    seq: 0,
    rev: 0,
    state: data.state,
    reason: null,
    rate_limited: data.rate_limited,
    retry_at: data.rate_limited ? cause.base + RATE_LIMIT_MS : null,
    stalled: false,
    heartbeat: false,
    deadline_exceeded: false,
    items_total: data.items_total,
    reported: { completed: null, failed: null, skipped: null, canceled: null },
    registration: data,
    items: new Map(),
    created_wall: data.created_wall ?? cause.wall,
    started_wall: runs ? cause.wall : null,
    proc_ms: 0,
    proc_since: runs ? cause.base : null,
    life: cause.base,
    updated_wall: cause.wall,
    state_since: cause.base,
    idle_since: null,
    control: { id: null, action: null, at: null, acked: false },
    durations: [],
    pace: { samples: 0, sum: 0, mean: 0, weight: 0, at: null },
    outbox: 0,
    wait_until: null
  }
}

/** Whether it is the same registration again: initial state, counters and creation time do not matter. */
export function sameRegistration (one: RegisterFacts, other: RegisterFacts): boolean {
  const told = (facts: RegisterFacts): string => JSON.stringify([
    facts.items_total, facts.job_kind, facts.item_kind, facts.concurrency, facts.deadline_ms,
    facts.auto_complete, facts.fail_on_deadline, facts.title, facts.metadata_json
  ])
  return told(one) === told(other)
}
