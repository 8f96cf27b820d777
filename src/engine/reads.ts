// Reads of jobs, items and logs. One script each where a torn view would hurt; plain commands for lists.

import { HeadwayError } from '../protocol/errors.ts'
import type { Registration, StoredItem, StoredJob } from '../protocol/job.ts'
import { SNAPSHOT_ITEMS_MAX } from '../protocol/limits.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { ItemState, JobState } from '../protocol/states.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { decodeHeader, decodeItem, decodeLogChunk, decodeRegistration } from './packed.ts'
import type { EngineJob } from './packed.ts'
import { loadScript, replyOf } from './script.ts'

export interface JobRead {
  job: EngineJob
  registration: Registration
  /** Those logged last, newest first, at most 50. */
  items: StoredItem[]
  /** In process and not among these; at most 50 in all, and only when a position was given. */
  open: StoredItem[]
  /** Distinct items seen. */
  items_seen: number
  /** Redis's clock, wall ms. */
  now_ms: number
  /** Logged after the position that was asked for, oldest first; empty when none was. */
  events: LoggedEvent[]
  /** True when the log does not continue that position: the watcher needs a snapshot. */
  truncated: boolean
}

export interface ItemPage {
  job: StoredJob
  items: StoredItem[]
  /** Null at the end. A page that was filtered by state may be short, even empty, and yet have a next one. */
  next_cursor: string | null
}

export interface LogRead {
  job: StoredJob
  registration: Registration
  /** With seq > after, oldest first. */
  events: LoggedEvent[]
  /** True when the log does not reach back to the position: `events` begins with the oldest there is. */
  truncated: boolean
}

export interface ItemQuery { cursor?: string, limit: number, state?: ItemState }
export interface JobQuery { cursor?: string, limit: number, state?: JobState }

const SCAN_MAX = 2000
const SNAPSHOT_CHUNKS_MAX = 50

const jobScript = loadScript('read_job.lua')
const itemsScript = loadScript('read_items.lua')
const logScript = loadScript('read_log.lua')

/** Each rejects with redis_unavailable when a job is not there because its partition was lost: it may be put back. */
export interface Reads {
  /** @param after_seq position of a watcher that wants to know what it missed; absent = a new one */
  readJob (tenant: string, id: string, after_seq?: number): Promise<JobRead | null>
  readItems (tenant: string, id: string, query: ItemQuery): Promise<ItemPage | null>
  /** @param events_max how many are wanted, oldest first; absent = all */
  readLog (tenant: string, id: string, after_seq: number, events_max?: number): Promise<LogRead | null>
}

export function createReads ({ connections, keys }: { connections: Connections, keys: Keys }): Reads {
  const redis = connections.command
  const named = (tenant: string, id: string): { job: string, meta: string } => {
    const { partition, key } = keys.job(tenant, id)
    return { job: key, meta: keys.partition(partition).meta }
  }
  return {
    async readJob (tenant, id, after_seq = -1) {
      const wanted = { items_max: SNAPSHOT_ITEMS_MAX, chunks_max: SNAPSHOT_CHUNKS_MAX, after_seq }
      const reply = replyOf(jobScript, await jobScript.run(redis, named(tenant, id), wanted))
      if (isMissing(reply[0])) return null
      const [, header, registration, gap_ms, partition_epoch, now_ms] = reply as [string, string, string, string, string, string]
      const [ids, records, truncated, chunks, openIds, openRecords] = reply.slice(6) as
        [string[], (string | null)[], number, string[], string[], (string | null)[]]
      const job = decodeHeader(header, { tenant, id, gap_ms: Number(gap_ms), partition_epoch: Number(partition_epoch) })
      return {
        job,
        registration: decodeRegistration(registration),
        items: itemsOf(ids, records),
        open: itemsOf(openIds, openRecords),
        items_seen: job.store.items_seen,
        now_ms: Number(now_ms),
        events: eventsOf(chunks, after_seq),
        truncated: truncated === 1
      }
    },
    async readItems (tenant, id, { cursor, limit, state }) {
      if (cursor !== undefined && !/^\d{1,9}$/.test(cursor)) {
        throw new HeadwayError('invalid_field', `cursor ${JSON.stringify(cursor)} is not one that a page of items gave`)
      }
      const wanted = { index: cursor ?? 0, limit, state: state ?? '', scan_max: SCAN_MAX }
      const reply = replyOf(itemsScript, await itemsScript.run(redis, named(tenant, id), wanted))
      if (isMissing(reply[0])) return null
      const [, header, gap_ms, partition_epoch, next] = reply as [string, string, string, string, string]
      const [ids, records] = reply.slice(5) as [string[], (string | null)[]]
      return {
        job: decodeHeader(header, { tenant, id, gap_ms: Number(gap_ms), partition_epoch: Number(partition_epoch) }),
        items: itemsOf(ids, records),
        next_cursor: next === '' ? null : next
      }
    },
    async readLog (tenant, id, after_seq, events_max = Number.MAX_SAFE_INTEGER) {
      const reply = replyOf(logScript, await logScript.run(redis, named(tenant, id), { after_seq, events_max }))
      if (isMissing(reply[0])) return null
      const [, header, registration, gap_ms, partition_epoch] = reply as [string, string, string, string, string]
      const [truncated, chunks] = reply.slice(5) as [number, string[]]
      return {
        job: decodeHeader(header, { tenant, id, gap_ms: Number(gap_ms), partition_epoch: Number(partition_epoch) }),
        registration: decodeRegistration(registration),
        events: eventsOf(chunks, after_seq).slice(0, events_max),
        truncated: truncated === 1
      }
    }
  }
}

/** @throws HeadwayError redis_unavailable */
function isMissing (word: unknown): boolean {
  if (word !== 'lost') return word === 'unknown_job'
  throw new HeadwayError('redis_unavailable', 'Redis has lost its data, and jobs may be put back; repeat the request in a moment.')
}

function eventsOf (chunks: string[], after_seq: number): LoggedEvent[] {
  return chunks.flatMap((chunk) => decodeLogChunk(chunk).events).filter(({ seq }) => seq > after_seq)
}

function itemsOf (ids: string[], records: (string | null)[]): StoredItem[] {
  return ids.flatMap((id, at) => {
    const record = records[at]
    return record ? [decodeItem(id, record)] : []
  })
}
