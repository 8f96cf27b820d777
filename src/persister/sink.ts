// What the persister writes to. A sink is one idempotent call: the same batch twice, or after newer ones, changes nothing. Another
// database is another file like postgres-sink.ts that passes test/contract/sink.ts.

import type { ItemView, JobView } from '../protocol/messages.ts'
import type { Inbox } from './inbox.ts'

/** A job's row: what clients see of it, and what a rebuild needs. */
export interface JobRow extends Omit<JobView, 'metadata' | 'title'> {
  /** Epoch issued at registration: the identity of this run of the id. */
  run: number
  /** Null = keep what the row has. */
  title: string | null
  metadata: Record<string, unknown> | null
  /** True once = true for this run: events are missing in the history. */
  history_truncated: boolean
  /** Packed state, only read again by a rebuild (engine/resume.ts). */
  engine: string
}

/** The newest record of an item that is settled. Newer by (epoch, seq) wins. */
export interface ItemRow extends ItemView {
  tenant_id: string
  job_id: string
  run: number
  epoch: number
  seq: number
}

export interface EventRow {
  tenant_id: string
  job_id: string
  run: number
  epoch: number
  /** The key, with tenant, job and epoch: what stands there stays. */
  seq: number
  rev: number
  type: string
  ts: string
  correlation_id: string
  data: unknown
}

export interface Batch { jobs: JobRow[], items: ItemRow[], events: EventRow[] }

/** What the sink saw and what of it was new. Seen differs from sent: something else answered than the function. */
export interface PersistAnswer {
  jobs: number
  jobs_written: number
  items: number
  items_written: number
  events: number
  events_written: number
}

/** A job that had not ended when it was written last. */
export interface ActiveJob { tenant_id: string, id: string, run: number, epoch: number, rev: number, seq: number, engine: string | null }

export type ItemKey = Pick<ItemRow, 'tenant_id' | 'job_id' | 'run'>

export interface Sink {
  /** For logs: no secret in it. */
  readonly name: string
  /** What apps write there; absent = this sink is written to only. */
  readonly inbox?: Inbox
  /** @returns version of the schema that is there */
  version (signal: AbortSignal): Promise<number>
  /** Stores a batch as a whole or not at all. */
  persist (batch: Batch, signal: AbortSignal): Promise<PersistAnswer>
  /** Pages of jobs that have not ended, in a fixed order. `after`: the last of the page before, null = from the beginning. */
  activeJobs (after: readonly [string, string] | null, limit: number, signal: AbortSignal): Promise<ActiveJob[]>
  /** Pages of a run's items by id. */
  itemsOf (key: ItemKey, after: string | null, limit: number, signal: AbortSignal): Promise<ItemView[]>
  /** Drops what is older than it is kept, makes room for what comes. */
  maintain (signal: AbortSignal): Promise<void>
  stop (): Promise<void>
}

/**
 * retry: the same again later. shrink: less at once. poison: what was sent can never be stored. configuration: nobody can write
 * until somebody mends something.
 */
export type SinkFault = 'retry' | 'shrink' | 'poison' | 'configuration'

/** Every error of a sink. Its message never holds a row or a secret. */
export class SinkError extends Error {
  override readonly name = 'SinkError'
  readonly fault: SinkFault
  /** SQLSTATE or PostgREST's code; empty = none. */
  readonly code: string
  /** HTTP status; 0 = none. */
  readonly status: number

  constructor (fault: SinkFault, message: string, { code = '', status = 0 }: { code?: string, status?: number } = {}) {
    super(message)
    this.fault = fault
    this.code = code
    this.status = status
  }
}
