// From the database to the jobs: what apps wrote is read, told to the reducer and confirmed, page by page, until nothing waits; then
// again when the bell rings, and every few seconds in any case. A persister that dies in between leaves rows that wait; telling them
// again has no effect. So any number may do it at once: only the one that holds the first partition does, to save work.

import { setTimeout as delay } from 'node:timers/promises'
import type { Engine, Log } from '../engine/engine.ts'
import { createBackoff } from './backoff.ts'
import type { Confirmed, Inbox, Pending } from './inbox.ts'
import type { Meters } from './meters.ts'
import { createTellJob, type JobInbox } from './requests.ts'
import type { PersisterSettings } from './settings.ts'
import { SinkError } from './sink.ts'

export interface InboundParams {
  inbox: Inbox
  engine: Pick<Engine, 'submit' | 'outbox'>
  settings: PersisterSettings
  meters: Meters
  log: Log
  /** Whether this persister does the work now. */
  leads: () => boolean
  stop: AbortSignal
}

export interface Inbound {
  /** Resolves when told to stop. */
  run (): Promise<void>
}

const JOBS_AT_ONCE = 16
const NOTHING: Confirmed = { requests: [], events: [] }
/** In a page read longer ago than half a lease, a request may have been replaced and its successor taken by another persister. */
const PAGE_AGE_LEAST_MS = 1_000

export function createInbound ({ inbox, engine, settings, meters, log, leads, stop }: InboundParams): Inbound {
  const backoff = createBackoff(settings.retry_first_ms, settings.retry_max_ms)
  const pageAgeMaxMs = Math.max(PAGE_AGE_LEAST_MS, settings.lease_ms / 2)
  const tellJob = createTellJob({ engine, count: meters.inbound })
  let rung = false
  let rings = 0
  let nap = new AbortController()
  /** Told, and not confirmed yet. At most a page: it is confirmed before another is read, or the reducer might have forgotten it. */
  let owed = NOTHING
  const bell = inbox.createBell({
    ring () {
      rings++
      rung = true
      meters.rang()
      nap.abort()
    },
    onRenewal (why) {
      log.info({ event: 'doorbell_renewed', reason: why.slice(0, 200) }, 'the doorbell of the database is hung anew; rows are looked for meanwhile')
    }
  })
  meters.doorbell(bell)

  const signal = (): AbortSignal => AbortSignal.any([stop, AbortSignal.timeout(settings.timeout_ms)])

  /** @param heedBell false = after a failure the bell does not shorten the wait */
  async function pause (ms: number, heedBell: boolean): Promise<void> {
    nap = new AbortController()
    if (heedBell && rung) return
    await delay(ms, undefined, { signal: heedBell ? AbortSignal.any([stop, nap.signal]) : stop }).catch(() => {})
  }

  /** @returns how many rows were told and confirmed, and whether there may be more */
  async function page (): Promise<{ done: number, more: boolean }> {
    await confirm([])
    const readAt = performance.now()
    const isFresh = (): boolean => performance.now() - readAt < pageAgeMaxMs
    const pending = await inbox.pending(settings.inbound_rows_max, signal())
    const results: Confirmed[] = []
    const queue = [...byJob(pending).values()]
    const failures: unknown[] = []
    const work = async (): Promise<void> => {
      for (let job = queue.shift(); job !== undefined && !stop.aborted && failures.length === 0 && isFresh(); job = queue.shift()) {
        try {
          results.push(await tellJob(job, isFresh))
        } catch (error) {
          failures.push(error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(JOBS_AT_ONCE, queue.length) }, work))
    // What was told before something failed is confirmed all the same.
    await confirm(results)
    if (failures.length > 0) throw failures[0]
    const done = results.reduce((sum, { requests, events }) => sum + requests.length + events.length, 0)
    const rows = pending.requests.length + pending.events.length
    meters.inboundWaiting(rows - done)
    const full = Math.max(pending.requests.length, pending.events.length) >= settings.inbound_rows_max
    return { done, more: full || (done > 0 && done < rows && !isFresh()) }
  }

  async function confirm (results: readonly Confirmed[]): Promise<void> {
    const all = [owed, ...results]
    owed = { requests: all.flatMap((one) => one.requests), events: all.flatMap((one) => one.events) }
    if (owed.requests.length + owed.events.length > 0) await inbox.confirm(owed, signal())
    owed = NOTHING
  }

  /** @returns rows that were taken */
  async function drain (): Promise<number> {
    let all = 0
    while (!stop.aborted) {
      rung = false
      const { done, more } = await page()
      all += done
      if (done === 0 || (!more && !rung)) return all
    }
    return all
  }

  function tell (error: unknown): number {
    if (error instanceof SinkError) meters.failing('inbound', error.fault)
    if (error instanceof SinkError && error.fault === 'configuration') {
      const { code, status, message } = error
      log.error({ event: 'inbound_misconfigured', code, status }, `what apps write cannot be read until this is mended: ${message}`)
      return settings.configuration_retry_ms
    }
    const ms = backoff.next()
    const reason = error instanceof Error ? error.message : String(error)
    log.warn({ event: 'inbound_retry', wait_ms: ms, reason }, 'what apps wrote was not taken; it waits, and is tried again')
    return ms
  }

  /** Rows that a look found without a ring: if none comes after all, the bell is dead and does not know. */
  function suspect (): void {
    const before = rings
    setTimeout(() => { if (!stop.aborted && bell.live && rings === before) bell.missed() }, settings.inbound_grace_ms).unref()
  }

  return {
    async run () {
      bell.start()
      let wait = 0
      let failing = false
      let barred = false
      while (!stop.aborted) {
        await pause(wait, !failing)
        if (stop.aborted) break
        const heard = rung
        wait = settings.inbound_poll_ms * (0.9 + Math.random() * 0.2)
        // Who may not read leaves the work to others (holder.ts), and asks on by itself, or would never hear that it may again.
        if (!leads() && owed === NOTHING && !barred) {
          rung = false
          meters.failing('inbound', null)
          meters.inboundWaiting(0)
          wait = Math.min(wait, settings.lease_ms / 3)
          continue
        }
        try {
          const live = bell.live
          const taken = await drain()
          backoff.reset()
          failing = false
          barred = false
          meters.failing('inbound', null)
          if (taken > 0 && live && !heard) suspect()
        } catch (error) {
          if (stop.aborted) break
          failing = true
          barred = error instanceof SinkError && error.fault === 'configuration'
          wait = tell(error)
        }
      }
      await bell.stop()
    }
  }
}

function byJob ({ requests, events }: Pending): Map<string, JobInbox> {
  const jobs = new Map<string, JobInbox>()
  const of = (tenant: string, id: string): JobInbox => {
    const key = `${tenant}/${id}`
    const job = jobs.get(key) ?? { tenant_id: tenant, job_id: id, request: null, events: [] }
    jobs.set(key, job)
    return job
  }
  for (const request of requests) of(request.tenant_id, request.id).request = request
  for (const event of events) of(event.tenant_id, event.job_id).events.push(event)
  return jobs
}
