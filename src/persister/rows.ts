// What the outbox says, as rows. A pure function of what is stored: told again, whoever tells it, the rows are the same.

import { packResume } from '../engine/resume.ts'
import type { Registration, StoredItem, StoredJob } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import { formatTimestamp } from '../protocol/timestamp.ts'
import { eventMessage, itemView, jobView } from '../protocol/view.ts'
import { clean } from './clean.ts'
import type { EventRow, ItemRow, JobRow } from './sink.ts'

/** Of a job that is gone from Redis before its registration was read. */
export const UNKNOWN_REGISTRATION: Registration = {
  items_total: 0,
  job_kind: '',
  item_kind: 'video',
  concurrency: null,
  deadline_ms: null,
  auto_complete: false,
  fail_on_deadline: false,
  title: null,
  metadata_json: null
}

/** @param packed its header and registration as Redis keeps them */
export function jobRow (job: StoredJob, registration: Registration, packed: { header: string, record: string }, truncated = false): JobRow {
  return clean({
    // Metrics as of the last change: now would make every telling another row.
    ...jobView(job, registration, job.updated_at),
    run: job.registered_epoch,
    history_truncated: truncated,
    engine: packResume({ gap_ms: job.gap_ms, ...packed })
  })
}

export function eventRow (event: LoggedEvent, job: StoredJob, itemKind: string): EventRow {
  const { type, ts, correlation_id: correlationId, data } = eventMessage(event, job, itemKind, job.updated_at)
  return clean({
    tenant_id: job.tenant_id,
    job_id: job.id,
    run: job.registered_epoch,
    epoch: job.epoch,
    seq: event.seq,
    rev: event.rev,
    type,
    ts,
    correlation_id: correlationId,
    data
  })
}

/** The row of an event's item; null unless it is settled, or open again. */
export function itemRow (event: LoggedEvent, job: StoredJob): ItemRow | null {
  if (event.event !== 'item') return null
  if (event.item.state === 'pending' || (event.item.state === 'processing' && event.name !== 'retrying')) return null
  return itemRowOf(event.item, job, event.seq)
}

export function itemRowOf (item: StoredItem, job: StoredJob, seq: number): ItemRow {
  return clean({ tenant_id: job.tenant_id, job_id: job.id, run: job.registered_epoch, epoch: job.epoch, seq, ...itemView(item, 'running') })
}

/** Stands at the place of the first event that is lost. */
export function truncatedRow (job: StoredJob, fromSeq: number, toSeq: number, ts: number, reason: 'outbox_full' | 'refused'): EventRow {
  return {
    tenant_id: job.tenant_id,
    job_id: job.id,
    run: job.registered_epoch,
    epoch: job.epoch,
    seq: fromSeq,
    rev: job.rev,
    type: 'history_truncated',
    ts: formatTimestamp(ts),
    correlation_id: `${job.epoch}.${fromSeq}`,
    data: { from_seq: fromSeq, to_seq: toSeq, reason }
  }
}
