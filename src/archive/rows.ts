// Rows of the tables as clients see jobs, items and events. Columns are named one by one: what a later migration adds is not shown
// by accident.

import type { ItemView, JobMessage, JobView } from '../protocol/messages.ts'
import type { ItemState, JobState } from '../protocol/states.ts'
import { formatTimestamp } from '../protocol/timestamp.ts'
import type { ArchivedEvent, ArchivedJob } from './archive.ts'

export type Row = Record<string, unknown>

const JOB_TIMES = ['created_at', 'started_at', 'updated_at', 'ended_at', 'finish_at', 'retry_at'] as const
const JOB_FIELDS = [
  'id', 'tenant_id', 'title', 'job_kind', 'item_kind', 'state', 'reason', 'epoch', 'seq', 'rev', 'concurrency', 'auto_complete',
  'fail_on_deadline', 'metadata', 'created_at', 'started_at', 'updated_at', 'ended_at', 'control', 'items_total', 'items_completed',
  'items_failed', 'items_skipped', 'items_canceled', 'items_pending', 'items_processing', 'percent_complete', 'percent_in_progress',
  'time_to_start_ms', 'time_processing_ms', 'average_duration_ms_per_item', 'throughput_per_min', 'eta_ms', 'eta_low_ms', 'eta_high_ms',
  'eta_confidence', 'eta_reason', 'finish_at', 'rate_limited', 'retry_at', 'stalled', 'processing_deadline_ms', 'deadline_exceeded',
  'deadline_at_risk'
] as const satisfies readonly (keyof JobView)[]

const ITEM_TIMES = ['created_at', 'updated_at'] as const
const ITEM_FIELDS = [
  'id', 'title', 'state', 'row_index', 'percent_complete', 'attempt', 'retryable', 'created_at', 'updated_at', 'duration_ms', 'weight',
  'kind', 'worker', 'error', 'result', 'truncated'
] as const satisfies readonly (keyof ItemView)[]

export const JOB_COLUMNS = [...JOB_FIELDS, 'run', 'history_truncated'].join()
export const ITEM_COLUMNS = ITEM_FIELDS.join()
export const EVENT_COLUMNS = 'epoch,seq,rev,type,ts,correlation_id,data'

export function jobOf (row: Row): ArchivedJob {
  const fields = pick(row, JOB_FIELDS, JOB_TIMES)
  const control = fields['control'] ?? { request_id: null, action: null, acknowledged: false }
  return {
    run: row['run'] as number,
    job: { ...fields, control, archived: true } as unknown as JobView,
    history_truncated: row['history_truncated'] === true
  }
}

/** As the engine's reads show it: on a canceled job an item that was not settled is canceled. */
export function itemOf (row: Row, jobState: JobState): ItemView {
  const item = pick(row, ITEM_FIELDS, ITEM_TIMES) as unknown as ItemView
  return jobState === 'canceled' && isOpen(item.state) ? { ...item, state: 'canceled' } : item
}

export function eventOf (row: Row, jobId: string): ArchivedEvent {
  const { epoch, seq, rev, type, ts, correlation_id, data } = row
  return { epoch: epoch as number, message: { type, ts: timeOf(ts), correlation_id, job_id: jobId, seq, rev, data } as JobMessage }
}

/** @returns the states in the table that are shown as this one */
export function storedStates (shown: ItemState, jobState: JobState): ItemState[] {
  if (jobState !== 'canceled') return [shown]
  if (shown === 'canceled') return ['canceled', 'processing', 'pending']
  return isOpen(shown) ? [] : [shown]
}

function isOpen (state: ItemState): boolean {
  return state === 'processing' || state === 'pending'
}

function pick (row: Row, names: readonly string[], times: readonly string[]): Row {
  return Object.fromEntries(names.map(name => [name, times.includes(name) ? timeOf(row[name]) : row[name] ?? null]))
}

/** The database writes +00:00 and as few digits as it can. */
function timeOf (value: unknown): string | null {
  return typeof value === 'string' ? formatTimestamp(Date.parse(value)) : null
}
