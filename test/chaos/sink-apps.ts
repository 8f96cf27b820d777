// Apps that know their own tables alone, with unmodified supabase-js: users of two tenants by their tokens, and a server by its secret
// key. Each writes the life of some jobs, row by row, and knows what must come of every row: none of them is without effect when it is
// told a second time, or out of its turn.

import { setTimeout as pause } from 'node:timers/promises'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { Engine } from '../../src/engine/engine.ts'
import type { LoggedEvent } from '../../src/protocol/logged-event.ts'
import type { RestGateway } from '../support/rest.ts'
import { until } from '../support/wait.ts'
import { between, type Random } from './plan.ts'
import { Unforeseen, type AppRows, type Row } from './sink-judge.ts'

type Kind = 'worked' | 'paused' | 'canceled' | 'refused'
const KINDS: readonly Kind[] = ['worked', 'paused', 'canceled', 'refused']
const TAKEN_WITHIN_MS = 180_000

interface AppJob {
  tenant: string
  id: string
  kind: Kind
  /** What its log must come to, in words. */
  history: string[]
}

export interface AppsParams { engine: Engine, rest: RestGateway, random: Random, jobs: number, spread_ms: number }

export interface Apps extends AppRows {
  /** Resolves when all is written, and what is waited for was taken. */
  play (): Promise<void>
  /** One job more, taken by whoever is there. */
  probe (id: string): Promise<void>
  /** Those that became jobs. */
  addresses (): { tenant: string, id: string }[]
  /** @returns what took effect otherwise than once and in order */
  judge (): Promise<string[]>
}

const isTime = (value: unknown): boolean => typeof value === 'string' && !Number.isNaN(Date.parse(value))
const TIME = new Unforeseen('a time of the database', isTime)
const KEY = new Unforeseen('a random key', (value) => typeof value === 'string' && /^[0-9a-f-]{36}$/.test(value))
const PLACE = new Unforeseen('a place in the order of writing', (value) => Number(value) > 1e15)
const refusal = (code: string, action: string): Unforeseen => new Unforeseen(`refused as ${code}, with a text and a time`, (value) => {
  const { code: is, action: of, detail, at, ...more } = value as Row
  return is === code && of === action && typeof detail === 'string' && detail !== '' && isTime(at) && Object.keys(more).length === 0
})

/** A row that is no job: as the database made it. */
const NEVER_A_JOB: Row = {
  run: 0,
  epoch: 0,
  rev: 0,
  seq: 0,
  title: null,
  job_kind: null,
  item_kind: 'video',
  state: 'pending',
  reason: null,
  auto_complete: false,
  fail_on_deadline: false,
  metadata: null,
  created_at: TIME,
  started_at: null,
  updated_at: TIME,
  ended_at: null,
  control: null,
  items_total: 0,
  items_completed: 0,
  items_failed: 0,
  items_skipped: 0,
  items_canceled: 0,
  items_pending: 0,
  items_processing: 0,
  percent_complete: 0,
  percent_in_progress: 0,
  time_to_start_ms: null,
  time_processing_ms: 0,
  average_duration_ms_per_item: null,
  throughput_per_min: null,
  eta_ms: null,
  eta_low_ms: null,
  eta_high_ms: null,
  eta_confidence: 0,
  eta_reason: null,
  finish_at: null,
  rate_limited: false,
  retry_at: null,
  stalled: false,
  processing_deadline_ms: null,
  deadline_exceeded: false,
  deadline_at_risk: false,
  history_truncated: false
}

export async function createApps ({ engine, rest, random, jobs: count, spread_ms: spreadMs }: AppsParams): Promise<Apps> {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }
  const server = createClient(rest.url, rest.key, { auth })
  const users = new Map<string, SupabaseClient>()
  for (const tenant of ['acme', 'umbrella']) {
    const token = await rest.token({ role: 'authenticated', sub: `${tenant}-user`, app_metadata: { tenant_id: tenant } })
    users.set(tenant, createClient(rest.url, rest.publishable_key, { accessToken: async () => token }))
  }
  const rows = new Map<string, Row>()
  const events = new Map<string, Row>()
  const jobs = Array.from({ length: count }, (_, n): AppJob => (
    { tenant: n % 2 === 0 ? 'acme' : 'umbrella', id: `app_${n}`, kind: KINDS[(n >> 1) % KINDS.length] as Kind, history: [] }))
  const clientOf = (job: AppJob): SupabaseClient => random() < 0.25 ? server : users.get(job.tenant) as SupabaseClient
  const breathe = async (): Promise<void> => { if (spreadMs > 0) await pause(between(random, 0, spreadMs / 8)) }

  async function insert (job: AppJob, registration: object): Promise<void> {
    await clientOf(job).from('bulk_jobs').insert({ tenant_id: job.tenant, id: job.id, ...registration }).throwOnError()
    const answered = { requested_state: null, requested_rev: 1, handled_rev: 1, handled_at: TIME, pending: false, refused: null }
    const asked = { ...answered, request_key: KEY, request_seq: PLACE }
    rows.set(`${job.tenant}/${job.id}`, asked)
    await breathe()
  }

  async function taken ({ tenant, id }: AppJob): Promise<void> {
    await until(async () => {
      const { data } = await server.from('bulk_jobs').select('pending').eq('tenant_id', tenant).eq('id', id).single().throwOnError()
      return !data.pending
    }, { timeout_ms: TAKEN_WITHIN_MS, interval_ms: 50, what: `what was asked of ${id} is taken` })
    await breathe()
  }

  /** @param refused the code with which it must be refused; null = taken */
  async function ask (job: AppJob, requested_state: string, refused: string | null = null): Promise<void> {
    const own = clientOf(job)
    const { data } = await own.from('bulk_jobs').update({ requested_state }).eq('tenant_id', job.tenant).eq('id', job.id).select('requested_rev').single().throwOnError()
    const row = rows.get(`${job.tenant}/${job.id}`) as Row
    Object.assign(row, {
      requested_rev: Number(row['requested_rev']) + 1,
      handled_rev: Number(row['handled_rev']) + 1,
      refused: refused === null ? null : refusal(refused, requested_state)
    })
    if (data.requested_rev !== row['requested_rev']) throw new Error(`${job.id}: request ${String(data.requested_rev)} of ${String(row['requested_rev'])}`)
    await taken(job)
  }

  async function tell (job: AppJob, type: string, data: object, refused: string | null = null): Promise<void> {
    const event = { tenant_id: job.tenant, job_id: job.id, type, data, origin: 'app', correlation_id: random() < 0.5 ? `of ${job.id}` : null }
    const reply = await clientOf(job).from('job_events').insert(event).select('seq').single().throwOnError()
    const seq = reply.data.seq as number
    const answered = { handled_at: TIME, refused: refused === null ? null : refusal(refused, type) }
    events.set(`${job.tenant}/${job.id}/0/${seq}`, { ...event, epoch: 0, run: 0, rev: 0, seq, ts: TIME, ...answered })
    await breathe()
  }

  const state = async (job: AppJob, next: string): Promise<void> => { await tell(job, 'job.state', { state: next }) }
  const item = async (job: AppJob, id: string, next: string, more: object = {}): Promise<void> => {
    await tell(job, 'item.update', { id, state: next, ...more })
  }

  const lives: Record<Kind, (job: AppJob) => Promise<void>> = {
    async worked (job) {
      await insert(job, { title: `Item of ${job.id}`, job_kind: 'app', item_kind: 'photo', items_total: 4, metadata: { of: [job.id] } })
      await state(job, 'running')
      for (const id of ['i1', 'i2', 'i3']) {
        await item(job, id, 'failed', { error: { code: 'odd' } })
        await item(job, id, 'processing')
        await item(job, id, 'failed')
        await item(job, id, 'processing')
        await item(job, id, 'completed', { result: { of: id } })
        job.history.push(...['failed', 'retrying', 'failed', 'retrying', 'completed'].map((name) => `${id} ${name}`))
      }
      await tell(job, 'item.update', { id: 'i4', state: 'no such state' }, 'invalid_field')
      await state(job, 'completed')
      job.history.unshift('pending>running')
      job.history.push('running>completed', 'final')
      await tell(job, 'item.update', { id: 'i4', state: 'completed' }, 'job_ended')
      await ask(job, 'resume', 'invalid_transition')
    },
    async paused (job) {
      await insert(job, { items_total: 3, concurrency: 2 })
      await state(job, 'running')
      job.history.push('pending>running')
      for (const id of ['i1', 'i2', 'i3']) {
        await ask(job, 'pause')
        await item(job, id, 'completed')
        await ask(job, 'resume')
        job.history.push('running>pausing', `${id} completed`, 'pausing>running')
      }
      await state(job, 'failed')
      job.history.push('running>failed', 'final')
    },
    async canceled (job) {
      await insert(job, { items_total: 5, processing_deadline_ms: 3_600_000, fail_on_deadline: true })
      await state(job, 'running')
      await item(job, 'i1', 'skipped')
      await ask(job, 'cancel')
      await tell(job, 'job.state', { state: 'canceled', reason: 'as it was asked' })
      job.history.push('pending>running', 'i1 skipped', 'running>canceling', 'canceling>canceled', 'final')
    },
    async refused (job) {
      await insert(job, { concurrency: -1 })
      const row = rows.get(`${job.tenant}/${job.id}`) as Row
      rows.set(`${job.tenant}/${job.id}`, { tenant_id: job.tenant, id: job.id, ...NEVER_A_JOB, concurrency: -1, ...row, refused: refusal('invalid_field', 'register') })
      await tell(job, 'item.update', { id: 'i', state: 'completed' }, 'unknown_job')
      await taken(job) // or the refused registration would answer for what is asked
      if (random() < 0.5) await ask(job, 'pause', 'unknown_job')
    }
  }

  async function historyOf ({ tenant, id }: AppJob): Promise<string[]> {
    const { events: logged = [] } = await engine.readLog(tenant, id, 0) ?? {}
    return logged.map(wordOf)
  }

  return {
    jobs: rows,
    events,
    async play () { await Promise.all(jobs.map((job) => lives[job.kind](job))) },
    async probe (id) {
      const job: AppJob = { tenant: 'acme', id, kind: 'worked', history: [] }
      await insert(job, {})
      jobs.push(job)
      await until(async () => {
        const { data } = await server.from('bulk_jobs').select('pending, run').eq('id', id).single().throwOnError()
        return data.pending === false && data.run > 0
      }, { timeout_ms: TAKEN_WITHIN_MS, interval_ms: 50, what: `${id} is taken` })
    },
    addresses: () => jobs.filter(({ kind }) => kind !== 'refused').map(({ tenant, id }) => ({ tenant, id })),
    async judge () {
      const found: string[] = []
      for (const job of jobs) {
        const history = await historyOf(job)
        if (history.join() !== job.history.join()) found.push(`${job.tenant}/${job.id}: ${history.join(', ')}; its app wrote ${job.history.join(', ')}`)
      }
      return found
    }
  }
}

function wordOf (event: LoggedEvent): string {
  if (event.event === 'state_changed') return `${event.prior}>${event.next}`
  return event.event === 'item' ? `${event.item.id} ${event.name}` : event.event
}
