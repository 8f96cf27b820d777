// One batch in the making: newest state a job, newest record an item, every event once, within bounds.

import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { StoredJob } from '../protocol/job.ts'
import { eventRow, itemRow } from './rows.ts'
import type { Batch, EventRow, JobRow } from './sink.ts'

export interface BatchBounds { jobs_max: number, events_max: number, bytes_max: number }

export interface BatchBuilder {
  addJob (row: JobRow): void
  /** An event, and the item that it settles. */
  addEvent (event: LoggedEvent, job: StoredJob, itemKind: string): void
  addRow (row: EventRow): void
  /** True when one of the bounds is reached. */
  full (bounds: BatchBounds): boolean
  readonly bytes: number
  /** Jobs in order of their address, so that two writers never wait for each other crosswise. */
  build (): Batch
}

const JOB_BYTES = 1_600
const EVENT_BYTES = 420

export function createBatch (): BatchBuilder {
  const jobs = new Map<string, JobRow>()
  const items = new Map<string, Batch['items'][number]>()
  const events = new Map<string, EventRow>()
  let bytes = 0

  function addRow (row: EventRow, size = EVENT_BYTES): void {
    const key = `${row.tenant_id}/${row.job_id}/${row.epoch}/${row.seq}`
    if (events.has(key)) return
    events.set(key, row)
    bytes += size
  }

  return {
    addJob (row) {
      const key = `${row.tenant_id}/${row.id}`
      const known = jobs.get(key)
      if (known !== undefined && !isNewer(row, known)) {
        known.history_truncated ||= row.history_truncated && known.run === row.run
        return
      }
      if (known === undefined) bytes += JOB_BYTES + row.engine.length
      jobs.set(key, known?.history_truncated === true && known.run === row.run ? { ...row, history_truncated: true } : row)
    },
    addEvent (event, job, itemKind) {
      const texts = event.event === 'item' ? textLength(event.item) : 0
      addRow(eventRow(event, job, itemKind), EVENT_BYTES + texts)
      const row = itemRow(event, job)
      if (row === null) return
      const key = `${row.tenant_id}/${row.job_id}/${row.run}/${row.id}`
      const known = items.get(key)
      if (known === undefined) bytes += EVENT_BYTES + texts
      if (known === undefined || known.epoch < row.epoch || (known.epoch === row.epoch && known.seq < row.seq)) items.set(key, row)
    },
    addRow,
    full: (bounds) => jobs.size >= bounds.jobs_max || events.size >= bounds.events_max || bytes >= bounds.bytes_max,
    get bytes () { return bytes },
    build () {
      return { jobs: sorted(jobs), items: sorted(items), events: [...events.values()] }
    }
  }
}

export function isNewer (one: { epoch: number, rev: number }, other: { epoch: number, rev: number }): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.rev > other.rev)
}

function sorted<T> (rows: ReadonlyMap<string, T>): T[] {
  return [...rows].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => row)
}

function textLength (item: { title: string | null, error_json: string | null, result_json: string | null }): number {
  return (item.title?.length ?? 0) + (item.error_json?.length ?? 0) + (item.result_json?.length ?? 0)
}
