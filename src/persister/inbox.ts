// What apps wrote into the database, as the persister sees it: rows that wait, and a bell that rings when there may be new ones. The
// table is the truth; a bell only saves waiting for the next look.

import { SinkError } from './sink.ts'

/** A job's row with a request of the app: to be registered, if Headway has not seen it yet, and then what requested_state says. */
export interface PendingRequest {
  tenant_id: string
  id: string
  /** 0 = no run is known of it. */
  run: number
  /** With requested_rev the request's identity, however often it is fetched. */
  request_key: string
  /** Place among all that apps wrote. */
  request_seq: number
  /** Last event of the job that was written before it and waits as well; null = none. */
  behind_seq: number | null
  requested_rev: number
  /** 0 = nothing was taken yet. */
  handled_rev: number
  requested_state: 'pause' | 'resume' | 'cancel' | null
  title: string | null
  job_kind: string | null
  item_kind: string
  items_total: number
  concurrency: number | null
  processing_deadline_ms: number | null
  auto_complete: boolean
  fail_on_deadline: boolean
  metadata: Record<string, unknown> | null
  created_ms: number
}

export interface PendingEvent {
  tenant_id: string
  job_id: string
  seq: number
  type: string
  data: Record<string, unknown>
  correlation_id: string | null
}

export interface Pending { requests: PendingRequest[], events: PendingEvent[] }

/** Why a row was not taken; stands in its column `refused`. */
export interface Refusal { code: string, detail: string, action: string, at: string }

/** Refused null = taken. */
export interface Confirmed {
  requests: (Pick<PendingRequest, 'tenant_id' | 'id' | 'requested_rev'> & { refused: Refusal | null })[]
  events: (Pick<PendingEvent, 'tenant_id' | 'job_id' | 'seq'> & { refused: Refusal | null })[]
}

export interface Doorbell {
  start (): void
  /** Idempotent. */
  stop (): Promise<void>
  /** It would ring now. */
  readonly live: boolean
  /** How often it was hung anew. */
  readonly renewals: number
  /** Rows were found that it should have rung for and did not: it only looks alive. */
  missed (): void
}

export interface BellParams {
  ring: () => void
  /** It was found dead and is hung anew. */
  onRenewal: (why: string) => void
}

export interface Inbox {
  /** At most `limit` requests and as many events, in the order in which they were made. */
  pending (limit: number, signal: AbortSignal): Promise<Pending>
  /** Idempotent. */
  confirm (done: Confirmed, signal: AbortSignal): Promise<void>
  maintain (signal: AbortSignal): Promise<void>
  createBell (params: BellParams): Doorbell
}

export interface InboxParams {
  /** One function of one JSON argument. @throws SinkError */
  call: (name: string, argument: 'page' | 'done' | null, value: unknown, signal: AbortSignal) => Promise<unknown>
  createBell: Inbox['createBell']
}

/** Whatever speaks to the functions of deploy/supabase. */
export function createInbox ({ call, createBell }: InboxParams): Inbox {
  return {
    async pending (limit, signal) {
      const answer = await call('headway_pending', 'page', { limit }, signal) as Partial<Pending> | null
      if (Array.isArray(answer?.requests) && Array.isArray(answer.events)) return answer as Pending
      throw new SinkError('configuration', 'headway_pending answered no lists: something else answers at this address')
    },
    async confirm (done, signal) {
      const answer = await call('headway_confirm', 'done', done, signal) as { requests?: number, events?: number } | null
      if (answer?.requests === done.requests.length && answer.events === done.events.length) return
      throw new SinkError('configuration', 'headway_confirm does not say what it was sent: something else answers at this address')
    },
    async maintain (signal) { await call('headway_maintain_inbound', null, undefined, signal) },
    createBell
  }
}
