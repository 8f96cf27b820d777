// What clients see, made from what is stored. Pure: whichever gateway makes a message, it is the same.

import type { Registration, StoredItem, StoredJob } from './job.ts'
import type { LoggedEvent } from './logged-event.ts'
import type { ItemView, JobMessage, JobView } from './messages.ts'
import { jobMetrics } from './metrics.ts'
import { isTerminal } from './states.ts'
import type { JobState } from './states.ts'
import { formatTimestamp } from './timestamp.ts'

/** @param nowMs wall ms, of Redis or of the reader */
export function jobView (job: StoredJob, registration: Registration, nowMs: number): JobView {
  return {
    id: job.id,
    tenant_id: job.tenant_id,
    title: registration.title,
    job_kind: registration.job_kind === '' ? null : registration.job_kind,
    item_kind: registration.item_kind,
    state: job.state,
    reason: job.reason,
    epoch: job.epoch,
    seq: job.seq,
    rev: job.rev,
    concurrency: registration.concurrency,
    auto_complete: job.auto_complete,
    fail_on_deadline: job.fail_on_deadline,
    metadata: metadataOf(registration),
    created_at: formatTimestamp(job.created_at),
    started_at: job.started_at === null ? null : formatTimestamp(job.started_at),
    updated_at: formatTimestamp(job.updated_at),
    // Nothing visible changes after the end, and unlike state_since this is wall time: a later gap does not move it.
    ended_at: isTerminal(job.state) ? formatTimestamp(job.updated_at) : null,
    control: { request_id: job.control.id, action: job.control.action, acknowledged: job.control.acked },
    ...jobMetrics(job, nowMs)
  }
}

/** @param jobState on a canceled job an item that was not settled reads as canceled */
export function itemView (item: StoredItem, jobState: JobState): ItemView {
  const open = item.state === 'pending' || item.state === 'processing'
  return {
    id: item.id,
    title: item.title,
    state: open && jobState === 'canceled' ? 'canceled' : item.state,
    row_index: item.row_index,
    percent_complete: item.percent_complete,
    attempt: item.attempt,
    retryable: item.retryable,
    created_at: formatTimestamp(item.created_at),
    updated_at: formatTimestamp(item.updated_at),
    duration_ms: item.duration_ms,
    weight: item.weight,
    kind: item.kind,
    worker: item.worker,
    error: fromJson(item.error_json),
    result: fromJson(item.result_json),
    truncated: item.truncated
  }
}

/**
 * @param items at most 50, those last logged, newest first
 * @param reset true when it replaces a history that cannot be continued
 */
export function snapshotMessage (
  job: StoredJob, registration: Registration, items: readonly StoredItem[], itemsSeen: number, nowMs: number, reset: boolean
): JobMessage {
  return {
    type: 'job.snapshot',
    ts: formatTimestamp(nowMs),
    correlation_id: generatedId(job),
    job_id: job.id,
    seq: job.seq,
    rev: job.rev,
    data: {
      epoch: job.epoch,
      reset,
      job: jobView(job, registration, nowMs),
      items: items.map((item) => itemView(item, job.state)),
      items_seen: itemsSeen
    }
  }
}

/** A logged event as clients get it, live or from the log. An item's event shows the item as it was then. */
export function eventMessage (event: LoggedEvent, job: StoredJob, itemKind: string, nowMs: number): JobMessage {
  const ts = formatTimestamp(event.ts)
  const { cid, seq, rev } = event
  // Most events are of items: by name, as in jobMetrics.
  if (event.event === 'item') {
    const data = itemView(event.item, 'running')
    return { type: `${itemKind}.${event.name}`, ts, correlation_id: cid, job_id: job.id, seq, rev, data }
  }
  const envelope = { ts, correlation_id: cid, job_id: job.id, seq, rev }
  switch (event.event) {
    case 'state_changed': {
      const data = { prior_state: event.prior, new_state: event.next, reason: event.reason, forced: event.forced }
      return { type: 'job.state_changed', ...envelope, data }
    }
    case 'final':
      return { type: `job.${event.state}`, ...envelope, data: { state: event.state, reason: event.reason, ...jobMetrics(job, nowMs) } }
    case 'rate_limited': {
      const retryAt = event.retry_at === null ? null : formatTimestamp(event.retry_at)
      return { type: 'job.rate_limited', ...envelope, data: { retry_at: retryAt, reason: event.reason } }
    }
    case 'deadline_exceeded':
      return { type: 'job.deadline_exceeded', ...envelope, data: { processing_deadline_ms: job.deadline_ms } }
    case 'rate_limit_cleared':
      return { type: 'job.rate_limit_cleared', ...envelope, data: {} }
    case 'stalled':
    case 'recovered':
      return { type: `job.${event.event}`, ...envelope, data: {} }
  }
}

/** The job's current metrics; carries the current seq and never advances it. */
export function progressMessage (job: StoredJob, nowMs: number): JobMessage {
  return {
    type: 'job.progress',
    ts: formatTimestamp(job.updated_at),
    correlation_id: generatedId(job),
    job_id: job.id,
    seq: job.seq,
    rev: job.rev,
    data: jobMetrics(job, nowMs)
  }
}

export function itemProgressMessage (
  job: StoredJob, itemKind: string, progress: { ts: number, cid: string, item: StoredItem }
): JobMessage {
  return {
    type: `${itemKind}.progress`,
    ts: formatTimestamp(progress.ts),
    correlation_id: progress.cid,
    job_id: job.id,
    seq: job.seq,
    rev: job.rev,
    data: itemView(progress.item, 'running')
  }
}

function metadataOf (registration: Registration): Record<string, unknown> | null {
  const value = fromJson(registration.metadata_json)
  return typeof value === 'object' ? value as Record<string, unknown> | null : null
}

/** For messages that no single event caused. */
function generatedId (job: StoredJob): string {
  return `${job.epoch}.${job.seq}`
}

/** Texts are passed through Redis unread; one that is no JSON after all (a hand-written entry) is shown as it is. */
function fromJson (text: string | null): unknown {
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
