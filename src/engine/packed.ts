// Packed records of Redis (docs/engine.md §4–§6) into the types of protocol/. Runs once for each gateway and message,
// so it only splits and converts: what the reducer wrote is not checked again, save for the format number.

import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { Registration, StoredItem, StoredJob } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { ItemEventName } from '../protocol/messages.ts'
import type { ControlAction, ItemState, JobState, TerminalJobState } from '../protocol/states.ts'
import { unescapeText } from '../protocol/text.ts'
import { Columns } from './columns.ts'

/** A job with the columns that only the engine needs. */
export interface EngineJob extends StoredJob {
  /** Id of the last entry applied. */
  lid: string
  /** Service ms of the worker's last sign of life. */
  life: number
  /** Service ms when the last item left processing; null while one is, or before the first. */
  idle_since: number | null
  /** Ended, and waits in Redis for the persister. */
  waits: boolean
  /** Items and log were dropped while it waited. */
  stripped: boolean
  store: {
    log_first: number
    log_last: number
    log_events: number
    log_bytes: number
    /** Distinct items seen. */
    items_seen: number
    /** Change number of its last outbox message; null = none. */
    outbox: number | null
  }
}

export interface JobAddress {
  tenant: string
  id: string
  gap_ms: number
  /** Epoch of the partition's last data loss; 0 = none. */
  partition_epoch: number
}

export interface ProgressLine { ts: number, cid: string, item: StoredItem }

/** What empty columns stand for, shared: whoever keeps a job copies it (gateway/standing.ts). */
const NOT_REPORTED: StoredJob['reported'] = Object.freeze({ completed: null, failed: null, skipped: null, canceled: null })
const NOTHING_INITIAL: StoredJob['initial'] = Object.freeze({ completed: 0, failed: 0, skipped: 0, canceled: 0 })
const NO_CONTROL: StoredJob['control'] = Object.freeze({ id: null, action: null, at: null, acked: false })
const NO_PACE: StoredJob['pace'] = Object.freeze({ samples: 0, sum: 0, mean: 0, weight: 0, at: null })

export type FeedMessage =
  | {
    type: 'update'
    tenant_id: string
    job_id: string
    epoch: number
    /** seq_to + 1 when nothing was logged. */
    seq_from: number
    seq_to: number
    job: StoredJob
    /** Only when the job was registered in this drain. */
    registration: Registration | null
    events: LoggedEvent[]
    progress: ProgressLine[]
  }
  | { type: 'gone', tenant_id: string, job_id: string, epoch: number, rev: number }

/** One job of a message of a tenant's channel. */
export type TenantChange =
  | { type: 'job', job: EngineJob }
  | { type: 'removed', job_id: string, epoch: number, rev: number }

export type AnswerLine =
  | { outcome: 'ok', effect: 'applied' | 'repeat' | 'ignored', state: JobState, rev: number, request_id: string | null }
  | { outcome: 'refused', code: ErrorCode, detail: string, state: JobState | null, allowed: string[] }

/** A header with all that stands in it. @throws HeadwayError newer_format */
export function decodeHeader (header: string, address: JobAddress): EngineJob {
  const job = decodeJob(new Columns(header), address)
  const at = header.split('\t')
  const flags = at[6]!
  return {
    ...job,
    lid: at[1]!,
    life: Number(at[23]),
    idle_since: number(at[26]),
    waits: flags.includes('W'),
    stripped: flags.includes('X'),
    store: decodeStore(at[30]!)
  }
}

/** The columns of a header that clients' messages are made from, in their order. @throws HeadwayError newer_format */
function decodeJob (at: Columns, { tenant, id, gap_ms, partition_epoch }: JobAddress): StoredJob {
  checkFormat(at.word(), 'header')
  at.skip()
  const registered_epoch = at.number()
  const seq = at.number()
  const rev = at.number()
  const state = at.word() as JobState
  const flags = at.word()
  const retry_at = at.numberOrNull()
  const items_total = at.number()
  const counted = {
    completed: at.number(),
    failed: at.number(),
    retryable: at.number(),
    skipped: at.number(),
    canceled: at.number(),
    processing: at.number(),
    pending: at.number()
  }
  const partial = at.number()
  const reported = at.group() ? { completed: at.member(), failed: at.member(), skipped: at.member(), canceled: at.member() } : NOT_REPORTED
  at.endGroup()
  const initial = at.group()
    ? { completed: at.member() ?? 0, failed: at.member() ?? 0, skipped: at.member() ?? 0, canceled: at.member() ?? 0 }
    : NOTHING_INITIAL
  at.endGroup()
  const created_at = at.number()
  const started_at = at.numberOrNull()
  const proc_ms = at.number()
  const proc_since = at.numberOrNull()
  at.skip()
  const updated_at = at.number()
  const state_since = at.number()
  at.skip()
  const control = decodeControl(at.word())
  const deadline_ms = at.numberOrNull()
  const pace = at.group()
    ? { samples: at.member() ?? 0, sum: at.member() ?? 0, mean: at.member() ?? 0, weight: at.member() ?? 0, at: at.member() }
    : NO_PACE
  at.endGroup()
  at.skip()
  return {
    tenant_id: tenant,
    id,
    epoch: Math.max(registered_epoch, partition_epoch),
    registered_epoch,
    seq,
    rev,
    state,
    reason: at.text(),
    rate_limited: flags.includes('R'),
    retry_at,
    stalled: flags.includes('S'),
    deadline_exceeded: flags.includes('D'),
    auto_complete: flags.includes('A'),
    fail_on_deadline: flags.includes('F'),
    items_total,
    counted,
    partial,
    reported,
    initial,
    created_at,
    started_at,
    proc_ms,
    proc_since,
    updated_at,
    state_since,
    control,
    deadline_ms,
    pace,
    gap_ms
  }
}

/** What tells two states of a job apart. */
export interface HeaderPosition { registered_epoch: number, seq: number, rev: number }

/** @throws HeadwayError newer_format */
export function headerPosition (header: string): HeaderPosition {
  const [format, , epoch, seq, rev] = header.split('\t', 5)
  checkFormat(format, 'header')
  return { registered_epoch: Number(epoch), seq: Number(seq), rev: Number(rev) }
}

/** @throws HeadwayError newer_format */
export function decodeRegistration (record: string): Registration {
  const at = record.split('\t')
  checkFormat(at[0], 'registration')
  const flags = at[6] ?? ''
  return {
    items_total: Number(at[1]),
    job_kind: unescapeText(at[2] ?? ''),
    item_kind: at[3] ?? '',
    concurrency: number(at[4]),
    deadline_ms: number(at[5]),
    auto_complete: flags.includes('A'),
    fail_on_deadline: flags.includes('F'),
    title: text(at[7]),
    metadata_json: text(at[8])
  }
}

export function decodeItem (id: string, record: string): StoredItem {
  return itemAt(id, new Columns(record))
}

/** A chunk of a job's log. @throws HeadwayError newer_format */
export function decodeLogChunk (chunk: string): { epoch: number, rev: number, seq_from: number, seq_to: number, events: LoggedEvent[] } {
  const at = new Columns(chunk)
  checkFormat(at.word(), 'log chunk')
  const epoch = at.number()
  const rev = at.number()
  const seqFrom = at.number()
  const seqTo = at.number()
  const events: LoggedEvent[] = []
  while (at.nextLine()) {
    if (!at.line_is_empty) events.push(decodeEvent(at.word(), at, epoch, seqFrom + events.length, rev))
  }
  return { epoch, rev, seq_from: seqFrom, seq_to: seqTo, events }
}

/** A message of a job's channel, or field `m` of the outbox. @throws HeadwayError newer_format */
export function decodeMessage (message: string): FeedMessage {
  const at = new Columns(message)
  const format = at.word()
  if (format === '1g') {
    const [epoch, rev] = [at.number(), at.number()]
    return { type: 'gone', epoch, rev, tenant_id: at.word(), job_id: at.word() }
  }
  if (format !== '1u') return refuseFormat(format, 'message')
  const epoch = at.number()
  const seqFrom = at.number()
  const seqTo = at.number()
  const gap_ms = at.number()
  const tenant = at.word()
  const id = at.word()
  at.nextLine()
  const job = decodeJob(at, { tenant, id, gap_ms, partition_epoch: epoch })
  const registration = at.nextLine() && !at.line_is_empty ? decodeRegistration(at.rest()) : null
  const events: LoggedEvent[] = []
  const progress: ProgressLine[] = []
  while (at.nextLine()) {
    if (at.line_is_empty) continue
    const letter = at.word()
    if (letter === 'p') {
      progress.push({ ts: at.number(), cid: at.text() ?? `${epoch}.${job.seq}`, item: itemAt(at.word(), at) })
    } else {
      events.push(decodeEvent(letter, at, epoch, seqFrom + events.length, job.rev))
    }
  }
  return { type: 'update', tenant_id: tenant, job_id: id, epoch, seq_from: seqFrom, seq_to: seqTo, job, registration, events, progress }
}

/** A message of a tenant's channel: what a drain changed, a line a job. @throws HeadwayError newer_format */
export function decodeTenantMessage (message: string, tenant: string): TenantChange[] {
  const lines = message.split('\n')
  const [format, gap] = lines[0]!.split('\t')
  if (format !== '1t') return refuseFormat(format, 'message')
  const changes: TenantChange[] = []
  for (let i = 1; i < lines.length; i++) {
    const [letter, id, epoch, ...rest] = lines[i]!.split('\t')
    if (letter === 'g') {
      changes.push({ type: 'removed', job_id: id!, epoch: Number(epoch), rev: Number(rest[0]) })
    } else if (letter === 'u') {
      const address = { tenant, id: id!, gap_ms: Number(gap), partition_epoch: Number(epoch) }
      changes.push({ type: 'job', job: decodeHeader(rest.join('\t'), address) })
    } else {
      return refuseFormat(letter, 'line')
    }
  }
  return changes
}

/** Field `a` of an answer: one line an event of the entry, or one for an entry refused as a whole. */
export function decodeAnswer (answer: string): AnswerLine[] {
  return answer.split('\n').filter((line) => line !== '').map((line) => {
    const at = line.split('\t')
    if (at[0] === 'ok') {
      const effect = at[1] as 'applied' | 'repeat' | 'ignored'
      return { outcome: 'ok', effect, state: at[2] as JobState, rev: Number(at[3]), request_id: text(at[4]) }
    }
    const code = at[1] ?? ''
    return {
      outcome: 'refused',
      code: isErrorCode(code) ? code : 'internal',
      detail: text(at[2]) ?? code,
      state: at[3] ? at[3] as JobState : null,
      allowed: at[4] ? at[4].split(',') : []
    }
  })
}

const ITEM_EVENTS: Record<string, ItemEventName> = {
  q: 'queued', s: 'started', c: 'completed', f: 'failed', k: 'skipped', x: 'canceled', r: 'retrying', p: 'progress'
}

const PLAIN_EVENTS: Record<string, 'rate_limit_cleared' | 'stalled' | 'recovered' | 'deadline_exceeded'> = {
  l: 'rate_limit_cleared', T: 'stalled', t: 'recovered', D: 'deadline_exceeded'
}

function decodeEvent (letter: string, at: Columns, epoch: number, seq: number, rev: number): LoggedEvent {
  const ts = at.number()
  const cid = at.text() ?? `${epoch}.${seq}`
  const name = ITEM_EVENTS[letter]
  if (name !== undefined) return { seq, ts, cid, rev, event: 'item', name, item: itemAt(at.word(), at) }
  if (letter === 'S') {
    const [prior, next] = [at.word() as JobState, at.word() as JobState]
    return { seq, ts, cid, rev, event: 'state_changed', prior, next, forced: at.flag(), reason: at.text() }
  }
  if (letter === 'F') return { seq, ts, cid, rev, event: 'final', state: at.word() as TerminalJobState, reason: at.text() }
  if (letter === 'L') return { seq, ts, cid, rev, event: 'rate_limited', retry_at: at.numberOrNull(), reason: at.text() }
  const plain = PLAIN_EVENTS[letter]
  if (plain === undefined) return refuseFormat(letter, 'event')
  return { seq, ts, cid, rev, event: plain }
}

/** The record of an item, whose columns come next. */
function itemAt (id: string, at: Columns): StoredItem {
  return {
    id,
    state: at.word() as ItemState,
    attempt: at.number(),
    retryable: at.flag(),
    percent_complete: at.number() / 100,
    started_at: at.numberOrNull(),
    duration_ms: at.numberOrNull(),
    created_at: at.number(),
    updated_at: at.number(),
    truncated: at.flag(),
    row_index: at.numberOrNull(),
    weight: at.numberOrNull(),
    title: at.text(),
    kind: at.text(),
    worker: at.text(),
    error_json: at.text(),
    result_json: at.text()
  }
}

/** `id,action,at,acked`; read from the end, since a foreign request id may hold commas. */
function decodeControl (column: string): StoredJob['control'] {
  if (column === '') return NO_CONTROL
  const at = column.split(',')
  const [action, since, acked] = at.slice(-3)
  return {
    id: text(at.slice(0, -3).join(',')),
    action: action ? action as ControlAction : null,
    at: number(since),
    acked: acked === '1'
  }
}

function decodeStore (column: string): EngineJob['store'] {
  const at = column.split(',')
  return {
    log_first: Number(at[0]),
    log_last: number(at[1]) ?? 0,
    log_events: number(at[2]) ?? 0,
    log_bytes: number(at[3]) ?? 0,
    items_seen: number(at[4]) ?? 0,
    outbox: at[5] ? Number.parseInt(at[5], 10) : null
  }
}

function number (column: string | undefined): number | null {
  return column === undefined || column === '' ? null : Number(column)
}

function text (column: string | undefined): string | null {
  return column === undefined || column === '' ? null : unescapeText(column)
}

function checkFormat (format: string | undefined, what: string): void {
  if (format !== '1') refuseFormat(format, what)
}

function refuseFormat (format: string | undefined, what: string): never {
  throw new HeadwayError('newer_format', `${what} of format ${format ?? ''}; this build reads format 1: upgrade this process`)
}
