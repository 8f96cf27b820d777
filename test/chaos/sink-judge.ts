// The tables held against what Redis holds of the same jobs: every row whole, column by column, and no row besides. A column that the
// judge does not know is a violation too, so that a later migration cannot add one unseen.

import { isDeepStrictEqual } from 'node:util'
import type { Engine } from '../../src/engine/engine.ts'
import { packResume } from '../../src/engine/resume.ts'
import type { LogRead } from '../../src/engine/reads.ts'
import type { LoggedEvent } from '../../src/protocol/logged-event.ts'
import { formatTimestamp } from '../../src/protocol/timestamp.ts'
import { eventMessage, itemView, jobView } from '../../src/protocol/view.ts'

export type Row = Record<string, unknown>

export type Query = (text: string, values?: unknown[]) => Promise<Row[]>

export interface Address { tenant: string, id: string }

/** In the place of a value: what can be said of one that nobody can foresee. */
export class Unforeseen {
  /** Stands in docs/chaos.md. */
  readonly why: string
  readonly holds: (value: unknown) => boolean

  constructor (why: string, holds: (value: unknown) => boolean) {
    this.why = why
    this.holds = holds
  }
}

/** What apps wrote, by the key of its row. */
export interface AppRows {
  /** Columns of requests in rows of bulk_jobs that an app inserted; whole rows of those that never became a job. */
  jobs: ReadonlyMap<string, Row>
  /** Whole rows. */
  events: ReadonlyMap<string, Row>
}

export interface JudgeParams {
  engine: Engine
  query: Query
  /** Jobs that must be in Redis and in the tables. */
  addresses: readonly Address[]
  apps?: AppRows
  /** Events of this correlation id were refused by the database. */
  poison?: string
}

export interface Judged { violations: string[], jobs: number, events: number, refused: number }

export const TABLES = ['bulk_jobs', 'bulk_job_items', 'job_events', 'headway.resume'] as const
type Table = typeof TABLES[number]

const KEYS: Record<Table, readonly string[]> = {
  bulk_jobs: ['tenant_id', 'id'],
  bulk_job_items: ['tenant_id', 'job_id', 'run', 'id'],
  job_events: ['tenant_id', 'job_id', 'epoch', 'seq'],
  'headway.resume': ['tenant_id', 'id']
}
/** Of a row that no app asked anything of. */
const UNASKED = {
  requested_state: null,
  requested_rev: 0,
  handled_rev: 0,
  handled_at: null,
  pending: false,
  request_key: null,
  request_seq: null,
  refused: null
}

const keyOf = (table: Table, row: Row): string => KEYS[table].map((name) => String(row[name])).join('/')

/** @returns what is wrong */
export async function judgeTables ({ engine, query, addresses, apps, poison }: JudgeParams): Promise<Judged> {
  const violations: string[] = []
  const wanted = new Map(TABLES.map((table) => [table, new Map<string, Row>()]))
  const want = (table: Table, row: Row): void => { wanted.get(table)?.set(keyOf(table, row), row) }
  let [events, refused] = [0, 0]
  for (const { tenant, id } of addresses) {
    const log = await engine.readLog(tenant, id, 0)
    if (log === null || log.truncated || log.events.length !== log.job.seq) {
      violations.push(`${tenant}/${id}: Redis has ${log === null ? 'no such job' : `${log.events.length} of ${log.job.seq} events`}`)
      continue
    }
    const bad = log.events.filter(({ cid }) => cid === poison)
    want('bulk_jobs', { ...jobRowOf(log), history_truncated: bad.length > 0, ...UNASKED, ...apps?.jobs.get(`${tenant}/${id}`) })
    for (const row of itemRowsOf(log)) want('bulk_job_items', row)
    for (const event of log.events) want('job_events', eventRowOf(log, event, bad.includes(event)))
    want('headway.resume', { tenant_id: tenant, id, engine: await resumeOf(engine, log) })
    events += log.events.length
    refused += bad.length
  }
  for (const [key, row] of apps?.jobs ?? []) if (row['run'] === 0) wanted.get('bulk_jobs')?.set(key, row)
  for (const row of apps?.events.values() ?? []) want('job_events', row)
  for (const table of TABLES) {
    const rows = (await query(`select to_jsonb(x) as row from ${table} x`)).map(({ row }) => row as Row)
    const found = new Map(rows.map((row) => [keyOf(table, row), row]))
    violations.push(...differences(table, wanted.get(table) ?? new Map<string, Row>(), found))
  }
  return { violations, jobs: addresses.length, events, refused }
}

function jobRowOf ({ job, registration }: LogRead): Row {
  return { ...jobView(job, registration, job.updated_at), run: job.registered_epoch }
}

/** The newest record of each item that is settled, or is tried again. */
function itemRowsOf ({ job, events }: LogRead): Row[] {
  const rows = new Map<string, Row>()
  for (const event of events) {
    if (event.event !== 'item' || ['queued', 'started'].includes(event.name)) continue
    const place = { tenant_id: job.tenant_id, job_id: job.id, run: job.registered_epoch, epoch: job.epoch, seq: event.seq }
    rows.set(event.item.id, { ...place, ...itemView(event.item, 'running') })
  }
  return [...rows.values()]
}

function eventRowOf ({ job, registration }: LogRead, event: LoggedEvent, refused: boolean): Row {
  const { type, ts, correlation_id, seq, rev, data } = eventMessage(event, job, registration.item_kind, job.updated_at)
  const told = refused
    ? { type: 'history_truncated', correlation_id: `${job.epoch}.${seq}`, data: { from_seq: seq, to_seq: seq, reason: 'refused' } }
    : { type, correlation_id, data }
  const place = { tenant_id: job.tenant_id, job_id: job.id, run: job.registered_epoch, epoch: job.epoch, seq }
  return { ...place, rev, ts, ...told, origin: 'headway', handled_at: null, refused: null }
}

async function resumeOf (engine: Engine, { job }: LogRead): Promise<string> {
  const [header, record] = await engine.connections.command.hmget(engine.keys.job(job.tenant_id, job.id).key, '_', 'r')
  return packResume({ gap_ms: job.gap_ms, record: record ?? '', header: header ?? '' })
}

function * differences (table: Table, wanted: ReadonlyMap<string, Row>, found: ReadonlyMap<string, Row>): Generator<string> {
  for (const key of wanted.keys()) if (!found.has(key)) yield `${table} ${key}: there is no such row`
  for (const [key, row] of found) {
    const model = wanted.get(key)
    if (model === undefined) {
      yield `${table} ${key}: nobody wrote such a row`
      continue
    }
    for (const column of new Set([...Object.keys(row), ...Object.keys(model)])) {
      if (!(column in model)) yield `${table} ${key}: the judge does not know ${column}`
      else if (!(column in row)) yield `${table} ${key}: there is no ${column}`
      else if (!isAsWanted(row[column], model[column])) yield `${table} ${key}: ${column} is ${JSON.stringify(row[column])}, wanted ${said(model[column])}`
    }
  }
}

function isAsWanted (value: unknown, wanted: unknown): boolean {
  if (wanted instanceof Unforeseen) return wanted.holds(value)
  return isDeepStrictEqual(inMs(value), wanted)
}

/** The database writes +00:00 and as few digits as it can. What is finer than ms stays as it is: Headway writes no such time. */
function inMs (value: unknown): unknown {
  const time = typeof value === 'string' ? /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?[+-]\d\d:\d\d$/.exec(value) : null
  return time === null ? value : formatTimestamp(Date.parse(time[0]))
}

function said (wanted: unknown): string {
  return wanted instanceof Unforeseen ? wanted.why : JSON.stringify(wanted)
}
