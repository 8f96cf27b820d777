// The engine as a gateway uses it. What fails there and is no refusal means that Redis does not answer as it should, which
// clients hear as redis_unavailable: 503, come back.

import type { Engine } from '../engine/engine.ts'
import { HeadwayError } from '../protocol/errors.ts'

export type Reach = Pick<
  Engine, 'submit' | 'submitAll' | 'readJob' | 'readItems' | 'readLog' | 'listJobs' | 'subscribe' | 'subscribeTenant' | 'onInterrupted' | 'onEpoch' | 'partitionOf' |
  'beginOnce' | 'issueTicket' | 'redeemTicket' | 'ping' | 'hearing' | 'doubt'
>

const SUBSCRIBE_MS_MAX = 2_000

/** Faults of this program, not of Redis. */
const OWN_FAULTS = [TypeError, RangeError, ReferenceError, SyntaxError]

export function createReach (engine: Engine): Reach {
  return {
    submit: (event, options) => engine.submit(event, options).catch(unavailable),
    // Whether Redis failed is told event by event.
    submitAll: (events, options) => engine.submitAll(events, options).catch(unavailable),
    readJob: (tenant, id, after) => engine.readJob(tenant, id, after).catch(unavailable),
    readItems: (tenant, id, query) => engine.readItems(tenant, id, query).catch(unavailable),
    readLog: (tenant, id, after, max) => engine.readLog(tenant, id, after, max).catch(unavailable),
    beginOnce: (tenant, key, fingerprint) => engine.beginOnce(tenant, key, fingerprint).catch(unavailable),
    issueTicket: text => engine.issueTicket(text).catch(unavailable),
    redeemTicket: ticket => engine.redeemTicket(ticket).catch(unavailable),
    listJobs: (tenant, query) => engine.listJobs(tenant, query).catch(unavailable),
    subscribe: (tenant, id, listener) => inTime(engine.subscribe(tenant, id, listener)).catch(unavailable),
    subscribeTenant: (tenant, listener) => inTime(engine.subscribeTenant(tenant, listener)).catch(unavailable),
    onInterrupted: listener => engine.onInterrupted(listener),
    onEpoch: listener => engine.onEpoch(listener),
    partitionOf: (tenant, id) => engine.partitionOf(tenant, id),
    ping: () => engine.ping(),
    hearing: () => engine.hearing(),
    doubt: () => engine.doubt()
  }
}

/** The engine waits for Redis for as long as it takes to subscribe; a handshake cannot. What comes too late is left again. */
async function inTime (subscribing: Promise<() => void>): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>(resolve => { timer = setTimeout(resolve, SUBSCRIBE_MS_MAX, null) })
  const leave = await Promise.race([subscribing, late]).finally(() => clearTimeout(timer))
  if (leave !== null) return leave
  subscribing.then(leave => leave(), () => {})
  throw new HeadwayError('redis_unavailable', `Redis did not confirm a channel within ${SUBSCRIBE_MS_MAX} ms; repeat the request in a moment.`)
}

function unavailable (error: unknown): never {
  if (error instanceof HeadwayError || OWN_FAULTS.some(kind => error instanceof kind)) throw error
  throw new HeadwayError('redis_unavailable', 'Redis does not answer; repeat the request in a moment.', { cause: error })
}
