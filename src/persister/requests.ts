// What an app wrote about one job, told to the reducer: each row takes effect once, however often and by however many persisters it is
// told, because its entry carries an identity that the reducer remembers. Nothing is confirmed here.

import { HeadwayError, ERRORS, isErrorCode } from '../protocol/errors.ts'
import type { RegisterData, WorkerEvent } from '../protocol/worker-events.ts'
import type { Engine } from '../engine/engine.ts'
import type { Confirmed, PendingEvent, PendingRequest, Refusal } from './inbox.ts'

/** All of one page that concerns a job. */
export interface JobInbox { tenant_id: string, job_id: string, request: PendingRequest | null, events: PendingEvent[] }

export type Kind = 'register' | 'control' | 'event'
export type Outcome = 'applied' | 'repeat' | 'ignored' | 'refused'

export interface TellParams {
  engine: Pick<Engine, 'submit' | 'outbox'>
  /** Of each row that took effect, or was refused. */
  count: (kind: Kind, outcome: Outcome) => void
}

type Told = { taken: true, refused: Refusal | null } | { taken: false }

/** `last`: with it its row is done. */
interface Step { at: number, of: PendingRequest | PendingEvent, tell: () => Promise<Told>, last: boolean }

const NOT_TAKEN: Told = { taken: false }

export type TellJob = (job: JobInbox, isFresh: () => boolean) => Promise<Confirmed>

/**
 * @returns a function that tells a job's rows in order, up to the first whose effect was not seen, or until they are no longer fresh: what
 * is left stays
 */
export function createTellJob ({ engine, count }: TellParams): TellJob {
  async function tell (kind: Kind, action: string, identity: string, event: WorkerEvent): Promise<Told> {
    const refuse = (code: string, detail: string): Told => {
      count(kind, 'refused')
      return { taken: true, refused: { code, detail, action, at: new Date().toISOString() } }
    }
    try {
      const result = await engine.submit(event, { request_id: identity, once: true })
      if (result.outcome === 'unconfirmed') return NOT_TAKEN
      if (result.outcome === 'refused') return ERRORS[result.code].temporary ? NOT_TAKEN : refuse(result.code, result.detail)
      // Told before, by somebody who died before confirming it: what was refused then stands among the dead letters.
      const letter = result.effect === 'repeat' ? await engine.outbox.findDeadLetter(event.tenant, event.job, identity) : null
      if (letter !== null) return refuse(letter.code, letter.detail)
      count(kind, result.effect)
      return { taken: true, refused: null }
    } catch (error) {
      // Refused before it was sent: it has no form that the reducer would understand.
      if (!(error instanceof HeadwayError) || error.temporary || !isErrorCode(error.code)) throw error
      const { type, tenant, job, data } = event
      const letter = { entry: identity, code: error.code, detail: error.message, type, data: JSON.stringify(data) }
      await engine.outbox.deadLetter(tenant, job, letter)
      return refuse(error.code, error.message)
    }
  }

  const identity = ({ request_key: key }: PendingRequest, rev: number): string => `${key}:${rev}`

  async function register (request: PendingRequest): Promise<Told> {
    const { tenant_id: tenant, id: job } = request
    return await tell('register', 'register', identity(request, 1), { type: 'job.register', tenant, job, data: registrationOf(request) })
  }

  async function control (request: PendingRequest): Promise<Told> {
    const { tenant_id: tenant, id: job, requested_state: action, requested_rev: rev } = request
    if (action === null) return { taken: true, refused: null }
    return await tell('control', action, identity(request, rev), { type: 'job.control', tenant, job, data: { action } })
  }

  async function tellEvent ({ tenant_id: tenant, job_id: job, seq, type, data, correlation_id: cid }: PendingEvent): Promise<Told> {
    const event = { type, tenant, job, data, ...cid !== null && { cid } } as unknown as WorkerEvent
    return await tell('event', type, `app:${seq}`, event)
  }

  return async ({ request, events }, isFresh) => {
    const done: Confirmed = { requests: [], events: [] }
    const steps: Step[] = events.map((event) => ({ at: event.seq, of: event, tell: async () => await tellEvent(event), last: true }))
    if (request !== null) {
      const isFirst = request.handled_rev === 0 && request.run === 0
      const asks = request.requested_state !== null || !isFirst
      // Registered before anything else; what is asked for comes behind the events that were written before it.
      if (isFirst) steps.push({ at: 0, of: request, tell: async () => await register(request), last: !asks })
      const isNext = request.behind_seq === null || events.some(({ seq }) => seq === request.behind_seq)
      if (asks && isNext) steps.push({ at: request.request_seq, of: request, tell: async () => await control(request), last: true })
    }
    for (const { of, tell, last } of steps.sort((a, b) => a.at - b.at)) {
      // A job that is refused is not asked for anything.
      if (of === request && done.requests.length > 0) continue
      if (!isFresh()) break
      const told = await tell()
      if (!told.taken) break
      const { refused } = told
      const { tenant_id } = of
      if ('seq' in of) done.events.push({ tenant_id, job_id: of.job_id, seq: of.seq, refused })
      else if (last || refused !== null) done.requests.push({ tenant_id, id: of.id, requested_rev: of.requested_rev, refused })
    }
    return done
  }
}

function registrationOf (row: PendingRequest): RegisterData {
  const { title, job_kind, item_kind, items_total, concurrency, auto_complete, fail_on_deadline, metadata, created_ms: created_at } = row
  const { processing_deadline_ms } = row
  return {
    title, job_kind, item_kind, items_total, concurrency, processing_deadline_ms, auto_complete, fail_on_deadline, metadata, created_at
  }
}
