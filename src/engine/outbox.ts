// What the persister asks of the engine: read behind a position of the outbox, move it, read and clear dirty jobs. Who calls and
// how many do not matter: a position only moves from where it was read.

import { HeadwayError } from '../protocol/errors.ts'
import type { Registration } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { Connections } from './connections.ts'
import { createListEnded, type ListEnded } from './ended.ts'
import type { Keys } from './keys.ts'
import { decodeHeader, decodeLogChunk, decodeMessage, decodeRegistration } from './packed.ts'
import type { EngineJob, FeedMessage } from './packed.ts'
import { loadScript, replyOf } from './script.ts'

export interface OutboxRead {
  /** Position that was read from; the next read goes on at `to`. */
  from: string
  to: string
  /** True when a bound ended the read. */
  more: boolean
  /** Of the messages read. */
  bytes: number
  /** Written by the reducer and not taken out yet, what was read included. */
  waiting_bytes: number
  dirty_jobs: number
  /** Of the partition; part of what a position is good for. */
  epoch: string
  /** Redis's clock, wall ms. */
  now_ms: number
  /** Whole, in order. */
  entries: OutboxEntry[]
}

/** What one call of the reducer changed. */
export interface OutboxEntry {
  /** A position. */
  id: string
  bytes: number
  messages: OutboxMessage[]
}

export interface OutboxMessage {
  message: FeedMessage
  /** Packed header, for packResume. */
  header: string
  /** Packed registration; empty unless the job was registered by that call. */
  record: string
}

export interface OutboxBounds { entries_max: number, bytes_max: number }

export interface DirtyJob {
  tenant: string
  id: string
  /** Tells whether anything was marked since. */
  mark: string
  /** Null = there is no such job any more. */
  found: null | {
    job: EngineJob
    registration: Registration
    header: string
    record: string
    /** First seq that the outbox does not hold. */
    first_seq: number
    /** With seq >= first_seq, as far as the log reaches back, oldest first. */
    events: LoggedEvent[]
  }
}

export interface DeadLetter { entry: string, code: string, detail: string, type: string, data: string }

/** Packed records of a job, as they stand in Redis. */
export interface PackedRegistration { record: string, registration: Registration }

export interface Outbox {
  /** @param after absent = the stored position. @returns null when the partition was never created, or wiped */
  readOutbox (partition: number, bounds: OutboxBounds, after?: string): Promise<OutboxRead | null>
  /** @returns false when the position was moved meanwhile: read again from the stored one */
  outboxDone (partition: number, read: Pick<OutboxRead, 'from' | 'to' | 'bytes' | 'epoch'>): Promise<boolean>
  /** Addresses of dirty jobs, those that have waited with the lowest seq first. */
  listDirty (partition: number, limit: number): Promise<{ tenant: string, id: string }[]>
  readDirty (tenant: string, id: string): Promise<DirtyJob | null>
  /** @returns false when it may have been marked again, and so stays */
  dirtyDone (dirty: DirtyJob): Promise<boolean>
  /** Registrations of jobs that are in Redis, in the order asked for. */
  readRegistrations (jobs: readonly { tenant: string, id: string }[]): Promise<(PackedRegistration | null)[]>
  listEnded: ListEnded
  /** Keeps what the sink refuses among the partition's dead letters. */
  deadLetter (tenant: string, id: string, letter: DeadLetter): Promise<void>
  /** The newest dead letter of an entry with this request_id. @returns null when there is none, or when it is no longer kept */
  findDeadLetter (tenant: string, id: string, request_id: string): Promise<Pick<DeadLetter, 'code' | 'detail'> | null>
}

const readScript = loadScript('read_outbox.lua')
const doneScript = loadScript('outbox_done.lua')
const dirtyScript = loadScript('read_dirty.lua')
const dirtyDoneScript = loadScript('dirty_done.lua')

const SENTINEL = '-'
const LETTERS_PAGE = 100

export interface OutboxParams { connections: Connections, keys: Keys, rejected_max: number }

export function createOutbox ({ connections, keys, rejected_max }: OutboxParams): Outbox {
  const redis = connections.command
  const named = (tenant: string, id: string): { names: Record<'job' | 'meta' | 'dirty', string>, member: string } => {
    const { partition, key, member } = keys.job(tenant, id)
    const { meta, dirty } = keys.partition(partition)
    return { names: { job: key, meta, dirty }, member }
  }
  return {
    async readOutbox (partition, bounds, after = '') {
      const { meta, outbox, dirty } = keys.partition(partition)
      const reply = replyOf(readScript, await readScript.run(redis, { meta, outbox, dirty }, { after, ...bounds }))
      if (reply[0] === 'absent') return null
      if (reply[0] === 'newer_format') {
        throw new HeadwayError('newer_format', `meta of partition ${partition} was written by a newer build: upgrade this persister`)
      }
      const [, from, to, more, bytes, waiting, dirtyJobs, epoch, now] = reply as [string, string, string, ...number[]]
      return {
        from,
        to,
        more: more === 1,
        bytes: Number(bytes),
        waiting_bytes: Number(waiting),
        dirty_jobs: Number(dirtyJobs),
        epoch: String(epoch),
        now_ms: Number(now),
        entries: (reply[9] as [string, number, ...string[]][])
          .map(([id, size, ...messages]) => ({ id, bytes: size, messages: messages.map(outboxMessage) }))
      }
    },
    async outboxDone (partition, { from, to, bytes, epoch }) {
      const { meta, outbox } = keys.partition(partition)
      const [word] = replyOf(doneScript, await doneScript.run(redis, { meta, outbox }, { from, to, bytes, epoch }))
      return word === 'done'
    },
    async listDirty (partition, limit) {
      const members = await redis.zrange(keys.partition(partition).dirty, '0', String(limit - 1))
      return members.filter((member) => member !== SENTINEL).map((member) => {
        const at = member.indexOf('/')
        return { tenant: member.slice(0, at), id: member.slice(at + 1) }
      })
    },
    async readDirty (tenant, id) {
      const { names, member } = named(tenant, id)
      const reply = replyOf(dirtyScript, await dirtyScript.run(redis, names, { member }))
      if (reply[0] === 'clean') return null
      const [, mark, first, header, record, gap, epoch] = reply as [string, string, string, string, string, string, string]
      if (reply[0] === 'gone') return { tenant, id, mark, found: null }
      const job = decodeHeader(header, { tenant, id, gap_ms: Number(gap), partition_epoch: Number(epoch) })
      const firstSeq = Number(first)
      const events = (reply[7] as string[]).flatMap((chunk) => decodeLogChunk(chunk).events).filter(({ seq }) => seq >= firstSeq)
      return { tenant, id, mark, found: { job, registration: decodeRegistration(record), header, record, first_seq: firstSeq, events } }
    },
    async dirtyDone ({ tenant, id, mark, found }) {
      const { names, member } = named(tenant, id)
      const args = { member, mark, rev: found?.job.rev ?? 0, next_seq: found === null ? 0 : found.job.seq + 1 }
      const [word] = replyOf(dirtyDoneScript, await dirtyDoneScript.run(redis, names, args))
      return word === 'clean'
    },
    listEnded: createListEnded({ connections, keys }),
    async readRegistrations (jobs) {
      const records = await Promise.all(jobs.map(({ tenant, id }) => redis.hget(keys.job(tenant, id).key, 'r')))
      return records.map((record) => record === null ? null : { record, registration: decodeRegistration(record) })
    },
    async findDeadLetter (tenant, id, requestId) {
      const { rejected } = keys.partition(keys.job(tenant, id).partition)
      for (let before = '+', left = rejected_max; left > 0; left -= LETTERS_PAGE) {
        const page = await redis.xrevrange(rejected, before, '-', 'COUNT', Math.min(left, LETTERS_PAGE))
        for (const [, fields] of page) {
          const letter = Object.fromEntries(pairs(fields))
          if (letter['re'] === requestId || letter['entry'] === requestId) return { code: letter['code'] ?? '', detail: letter['detail'] ?? '' }
        }
        const oldest = page.at(-1)
        if (oldest === undefined || page.length < LETTERS_PAGE) return null
        before = `(${oldest[0]}`
      }
      return null
    },
    async deadLetter (tenant, id, { entry, code, detail, type, data }) {
      const { rejected } = keys.partition(keys.job(tenant, id).partition)
      await redis.xadd(rejected, 'MAXLEN', '~', String(rejected_max), '*',
        'entry', entry, 'index', '0', 'code', code, 'detail', detail, 'type', type, 'tenant', tenant, 'job', id, 'data', data)
    }
  }
}

function outboxMessage (text: string): OutboxMessage {
  const [, header = '', record = ''] = text.split('\n', 3)
  return { message: decodeMessage(text), header, record }
}

function * pairs (fields: readonly string[]): Generator<[string, string]> {
  for (let at = 0; at + 1 < fields.length; at += 2) yield [fields[at] as string, fields[at + 1] as string]
}
