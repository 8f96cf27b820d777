// Packed records of Redis (docs/engine.md §4–§6) into the types of protocol/. Runs once for each gateway and message,
// so it only splits and converts: what the reducer wrote is not checked again, save for the format number.

import { HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { ErrorCode } from '../protocol/errors.ts'
import type { Registration, StoredItem, StoredJob } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import type { ItemEventName } from '../protocol/messages.ts'
import type { ControlAction, ItemState, JobState, TerminalJobState } from '../protocol/states.ts'
import { unescapeText } from '../protocol/text.ts'

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

/** @throws HeadwayError newer_format */
export function decodeHeader (header: string, address: JobAddress): EngineJob {
  const at = header.split('\t')
  checkFormat(at[0], 'header')
  const flags = at[6]!
  const registeredEpoch = Number(at[2])
  const reported = group(at[17]!)
  const initial = group(at[18]!)
  return {
    tenant_id: address.tenant,
    id: address.id,
    epoch: Math.max(registeredEpoch, address.partition_epoch),
    registered_epoch: registeredEpoch,
    seq: Number(at[3]),
    rev: Number(at[4]),
    state: at[5] as JobState,
    reason: text(at[31]),
    rate_limited: flags.includes('R'),
    retry_at: number(at[7]),
    stalled: flags.includes('S'),
    deadline_exceeded: flags.includes('D'),
    auto_complete: flags.includes('A'),
    fail_on_deadline: flags.includes('F'),
    items_total: Number(at[8]),
    counted: {
      completed: Number(at[9]),
      failed: Number(at[10]),
      retryable: Number(at[11]),
      skipped: Number(at[12]),
      canceled: Number(at[13]),
      processing: Number(at[14]),
      pending: Number(at[15])
    },
    partial: Number(at[16]),
    reported: {
      completed: number(reported[0]), failed: number(reported[1]), skipped: number(reported[2]), canceled: number(reported[3])
    },
    initial: {
      completed: number(initial[0]) ?? 0,
      failed: number(initial[1]) ?? 0,
      skipped: number(initial[2]) ?? 0,
      canceled: number(initial[3]) ?? 0
    },
    created_at: Number(at[19]),
    started_at: number(at[20]),
    proc_ms: Number(at[21]),
    proc_since: number(at[22]),
    life: Number(at[23]),
    updated_at: Number(at[24]),
    state_since: Number(at[25]),
    idle_since: number(at[26]),
    control: decodeControl(at[27]!),
    deadline_ms: number(at[28]),
    pace: decodePace(at[29]!),
    store: decodeStore(at[30]!),
    gap_ms: address.gap_ms,
    lid: at[1]!,
    waits: flags.includes('W'),
    stripped: flags.includes('X')
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
  return itemAt(id, record.split('\t'), 0)
}

/** A chunk of a job's log. @throws HeadwayError newer_format */
export function decodeLogChunk (chunk: string): { epoch: number, rev: number, seq_from: number, seq_to: number, events: LoggedEvent[] } {
  const lines = chunk.split('\n')
  const head = lines[0]!.split('\t')
  checkFormat(head[0], 'log chunk')
  const epoch = Number(head[1])
  const rev = Number(head[2])
  const seqFrom = Number(head[3])
  const events: LoggedEvent[] = []
  for (let i = 1; i < lines.length; i++) {
    if (lines[i] !== '') events.push(decodeEvent(lines[i]!.split('\t'), epoch, seqFrom + events.length, rev))
  }
  return { epoch, rev, seq_from: seqFrom, seq_to: Number(head[4]), events }
}

/** A message of a job's channel, or field `m` of the outbox. @throws HeadwayError newer_format */
export function decodeMessage (message: string): FeedMessage {
  const lines = message.split('\n')
  const head = lines[0]!.split('\t')
  if (head[0] === '1g') {
    return { type: 'gone', epoch: Number(head[1]), rev: Number(head[2]), tenant_id: head[3]!, job_id: head[4]! }
  }
  if (head[0] !== '1u') return refuseFormat(head[0], 'message')
  const epoch = Number(head[1])
  const seqFrom = Number(head[2])
  const tenant = head[5]!
  const id = head[6]!
  const job = decodeHeader(lines[1]!, { tenant, id, gap_ms: Number(head[4]), partition_epoch: epoch })
  const events: LoggedEvent[] = []
  const progress: ProgressLine[] = []
  for (let i = 3; i < lines.length; i++) {
    const line = lines[i]!
    if (line === '') continue
    const at = line.split('\t')
    if (at[0] === 'p') {
      progress.push({ ts: Number(at[1]), cid: text(at[2]) ?? `${epoch}.${job.seq}`, item: itemAt(at[3]!, at, 4) })
    } else {
      events.push(decodeEvent(at, epoch, seqFrom + events.length, job.rev))
    }
  }
  const registration = lines[2] ? decodeRegistration(lines[2]) : null
  return {
    type: 'update', tenant_id: tenant, job_id: id, epoch, seq_from: seqFrom, seq_to: Number(head[3]), job, registration, events, progress
  }
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

function decodeEvent (at: string[], epoch: number, seq: number, rev: number): LoggedEvent {
  const letter = at[0]!
  const ts = Number(at[1])
  const cid = text(at[2]) ?? `${epoch}.${seq}`
  const name = ITEM_EVENTS[letter]
  if (name !== undefined) return { seq, ts, cid, rev, event: 'item', name, item: itemAt(at[3]!, at, 4) }
  if (letter === 'S') {
    const [prior, next] = [at[3] as JobState, at[4] as JobState]
    return { seq, ts, cid, rev, event: 'state_changed', prior, next, forced: at[5] === '1', reason: text(at[6]) }
  }
  if (letter === 'F') return { seq, ts, cid, rev, event: 'final', state: at[3] as TerminalJobState, reason: text(at[4]) }
  if (letter === 'L') return { seq, ts, cid, rev, event: 'rate_limited', retry_at: number(at[3]), reason: text(at[4]) }
  const plain = PLAIN_EVENTS[letter]
  if (plain === undefined) return refuseFormat(letter, 'event')
  return { seq, ts, cid, rev, event: plain }
}

/** The record of an item in the columns from `from` on. */
function itemAt (id: string, at: string[], from: number): StoredItem {
  return {
    id,
    state: at[from] as ItemState,
    attempt: Number(at[from + 1]),
    retryable: at[from + 2] === '1',
    percent_complete: Number(at[from + 3]) / 100,
    started_at: number(at[from + 4]),
    duration_ms: number(at[from + 5]),
    created_at: Number(at[from + 6]),
    updated_at: Number(at[from + 7]),
    truncated: at[from + 8] === '1',
    row_index: number(at[from + 9]),
    weight: number(at[from + 10]),
    title: text(at[from + 11]),
    kind: text(at[from + 12]),
    worker: text(at[from + 13]),
    error_json: text(at[from + 14]),
    result_json: text(at[from + 15])
  }
}

/** `id,action,at,acked`; read from the end, since a foreign request id may hold commas. */
function decodeControl (column: string): StoredJob['control'] {
  if (column === '') return { id: null, action: null, at: null, acked: false }
  const at = column.split(',')
  const [action, since, acked] = at.slice(-3)
  return {
    id: text(at.slice(0, -3).join(',')),
    action: action ? action as ControlAction : null,
    at: number(since),
    acked: acked === '1'
  }
}

function decodePace (column: string): StoredJob['pace'] {
  const at = column.split(',')
  return { samples: Number(at[0]), sum: number(at[1]) ?? 0, mean: number(at[2]) ?? 0, weight: number(at[3]) ?? 0, at: number(at[4]) }
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

const NO_GROUP: string[] = []

function group (column: string): string[] {
  return column === '' ? NO_GROUP : column.split(',')
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
