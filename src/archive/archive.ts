// Reads of jobs that have left Redis, from the tables that the persister fills. Everything goes through one place that names the
// tenant (database.ts) and one that remembers for a moment (memory.ts).

import type { Cursor } from '../protocol/cursor.ts'
import type { ItemView, JobMessage, JobView } from '../protocol/messages.ts'
import { SNAPSHOT_ITEMS_MAX } from '../protocol/limits.ts'
import { formatTimestamp } from '../protocol/timestamp.ts'
import type { ItemState, JobState } from '../protocol/states.ts'
import { createDatabase, type Reader } from './database.ts'
import { createMemory } from './memory.ts'
import { EVENT_COLUMNS, eventOf, ITEM_COLUMNS, itemOf, JOB_COLUMNS, jobOf, storedStates } from './rows.ts'

export type { Reader } from './database.ts'

export interface ArchiveOptions {
  /** https://<ref>.supabase.co */
  url: string
  /** Of the service role, held to the reader's tenant here; empty = readers without a token of their own find nothing. */
  service_key: string
  /** With which a Supabase user's own token is sent; empty = the service key reads for them too. */
  anon_key: string
  /** A read that takes longer is given up. */
  timeout_ms: number
}

export interface ArchivedJob {
  /** Epoch of its registration; 0 = an app wrote the row, and Headway has yet to see it. */
  run: number
  /** As it was written last; `archived: true`. */
  job: JobView
  /** Events are missing in its history. */
  history_truncated: boolean
}

export interface Archive {
  /** Whether the last read was answered; null = nothing was read yet. */
  answering (): boolean | null
  /** Whether it wants Supabase users' own tokens. */
  readonly asks_as_user: boolean
  /** @returns the newest run of the id, ended or not; null when there is none that this reader may see */
  readJob (reader: Reader, id: string): Promise<ArchivedJob | null>
  /** Settled items in the order of first sight, from a place on. */
  readItems (reader: Reader, job: ArchivedJob, query: { place: number, limit: number, state?: ItemState }): Promise<ItemView[]>
  /** Those that settled last, newest first, at most 50, and how many there are. */
  newestItems (reader: Reader, job: ArchivedJob): Promise<NewestItems>
  /** Logged events after a position, oldest first. Null = from the beginning of the run, through all its epochs. */
  readEvents (reader: Reader, job: ArchivedJob, query: { after: Cursor | null, limit: number }): Promise<ArchivedEvent[]>
  /** Ended jobs, newest registration first. */
  listJobs (reader: Reader, query: { before: { run: number, id: string } | null, limit: number, state?: JobState }): Promise<ArchivedJob[]>
}

export interface NewestItems { items: ItemView[], items_seen: number }
export interface ArchivedEvent { epoch: number, message: JobMessage }

/** What a gateway remembers of what it read, and how much it asks at once. */
const MEMORY = { keep_ms: 5_000, keep_nothing_ms: 1_000, entries_max: 1_000, bytes_max: 16_777_216, reads_max: 64 }

export function createArchive ({ url, service_key, anon_key, timeout_ms }: ArchiveOptions): Archive {
  const { read, answering } = createDatabase({ url, service_key, anon_key, timeout_ms })
  const memory = createMemory(MEMORY)

  return {
    answering,
    asks_as_user: anon_key !== '',

    readJob: (reader, id) => memory.get(['job', id], reader, async () => {
      const { rows: [row] } = await read(reader, 'bulk_jobs', JOB_COLUMNS, query => query.eq('id', id).limit(1))
      return row === undefined ? null : jobOf(row)
    }),

    readItems: (reader, { run, job }, { place, limit, state }) => memory.get(['items', job.id, run, place, limit, state], reader, async () => {
      const { id, state: jobState } = job
      const states = state === undefined ? null : storedStates(state, jobState)
      if (states?.length === 0) return []
      const { rows } = await read(reader, 'bulk_job_items', ITEM_COLUMNS, query => {
        const all = query.eq('job_id', id).eq('run', run)
        // Those of one entry were seen in the same ms.
        return (states === null ? all : all.in('state', states)).order('created_at').order('row_index').order('id').range(place, place + limit - 1)
      })
      return rows.map(row => itemOf(row, jobState))
    }),

    newestItems: (reader, { run, job: { id, state } }) => memory.get(['newest', id, run], reader, async () => {
      const newest = { ascending: false }
      const { rows, count } = await read(reader, 'bulk_job_items', ITEM_COLUMNS, query =>
        query.eq('job_id', id).eq('run', run).order('epoch', newest).order('seq', newest).limit(SNAPSHOT_ITEMS_MAX), { count: true })
      return { items: rows.map(row => itemOf(row, state)), items_seen: count }
    }),

    readEvents: (reader, { run, job: { id } }, { after, limit }) => memory.get(['events', id, run, after?.epoch, after?.seq, limit], reader, async () => {
      const { rows } = await read(reader, 'job_events', EVENT_COLUMNS, query => {
        // The epoch by itself too: it chooses the partitions.
        const ofRun = query.eq('job_id', id).eq('run', run).gte('epoch', Math.max(run, after?.epoch ?? 0))
        const rest = after === null ? ofRun : ofRun.or(`epoch.gt.${after.epoch},and(epoch.eq.${after.epoch},seq.gt.${after.seq})`)
        return rest.order('epoch').order('seq').limit(limit)
      })
      return rows.map(row => eventOf(row, id))
    }),

    listJobs: (reader, { before, limit, state }) => memory.get(['list', before?.run, before?.id, limit, state], reader, async () => {
      const oldest = { ascending: false }
      const { rows } = await read(reader, 'bulk_jobs', JOB_COLUMNS, query => {
        const ended = query.not('ended_at', 'is', null)
        const wanted = state === undefined ? ended : ended.eq('state', state)
        if (before === null) return wanted.order('run', oldest).order('id', oldest).limit(limit)
        const { run, id } = before
        const rest = wanted.lte('run', run).or(`run.lt.${run},and(run.eq.${run},id.lt."${id}")`)
        return rest.order('run', oldest).order('id', oldest).limit(limit)
      })
      return rows.map(jobOf)
    })
  }
}

/** @returns the snapshot of a job at its end, as who was there to the last got it */
export function endSnapshot ({ job }: ArchivedJob, { items, items_seen: seen }: NewestItems, reset: boolean): JobMessage {
  const { id, epoch, seq, rev } = job
  return {
    type: 'job.snapshot',
    ts: formatTimestamp(Date.now()),
    correlation_id: `${epoch}.${seq}`,
    job_id: id,
    seq,
    rev,
    data: { epoch, reset, job, items, items_seen: seen }
  }
}
