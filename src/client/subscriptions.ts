// The jobs that are watched on the one socket: who shares which, when each subscribes, and where it goes on.
//
// A watch that has a view subscribes with its cursor, so that after a cut line it gets what it missed and no snapshot. So is
// a gap repaired, from the log; one that stays is given up for a snapshot.

import { ERRORS, HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { AckMessage, ClientMessage, ErrorMessage, JobMessage } from '../protocol/messages.ts'
import { createBackoff } from './backoff.ts'
import type { Backoff } from './backoff.ts'
import type { Clock } from './platform.ts'
import { toError } from './requests.ts'
import { createHandle, createWatch } from './watch.ts'
import type { JobWatch, Watch } from './watch.ts'

export interface WatchOptions {
  /** How long a job that is not registered yet is waited for, ms, at most 60,000; default 0. */
  wait_ms?: number
  /** At least so long between two `job.progress`, ms; default 0: as the server sends them. Of several watches the least counts. */
  min_interval_ms?: number
}

export interface Subscriptions {
  /** One that wants messages. */
  active (): Watch | undefined
  watch (jobId: string, options: WatchOptions): JobWatch
  /** The socket is open. */
  subscribeAll (): void
  receive (message: JobMessage): void
  /** An ack or error that answers no other request. */
  answer (message: AckMessage | ErrorMessage): void
  /** The connection is lost. */
  interrupt (): void
  refuse (why: HeadwayError): void
  close (): void
}

interface Entry { watch: Watch, handles: number, backoff: Backoff }

/** So many gaps in a row and the log cannot repair it. */
const GAPS_MAX = 3

export function createSubscriptions ({ send, isOpen, nextId, clock, random, report, onChange }: {
  send: (message: ClientMessage) => boolean
  isOpen: () => boolean
  nextId: () => string
  clock: Clock
  random: () => number
  report: (error: unknown) => void
  /** A watch has begun or ended. */
  onChange: () => void
}): Subscriptions {
  const entries = new Map<string, Entry>()

  function subscribe (watch: Watch): void {
    if (!watch.active) return
    const id = nextId()
    watch.ask(id)
    const { job_id: jobId, wait_ms: waitMs, min_interval_ms: minIntervalMs } = watch
    const since = watch.gaps < GAPS_MAX ? watch.cursor : null
    send({
      action: 'subscribe',
      job_id: jobId,
      id,
      ...(since === null ? {} : { since }),
      ...(waitMs > 0 ? { wait_ms: waitMs } : {}),
      ...(minIntervalMs > 0 ? { min_interval_ms: minIntervalMs } : {})
    })
  }

  function unsubscribe (watch: Watch): void {
    clock.clearTimeout(watch.retry)
    watch.ask(null)
    send({ action: 'unsubscribe', job_id: watch.job_id })
  }

  function interrupt (watch: Watch): void {
    clock.clearTimeout(watch.retry)
    watch.interrupt()
  }

  /** An event is missing or the server could not: again, a little later. */
  function subscribeLater ({ watch, backoff }: Entry): void {
    interrupt(watch)
    unsubscribe(watch)
    watch.retry = clock.setTimeout(() => { if (isOpen()) subscribe(watch) }, backoff.next())
  }

  function finish (watch: Watch): void {
    unsubscribe(watch)
    onChange()
  }

  /** A watch that has ended is not shared: watching again begins anew. */
  function entryOf (jobId: string, { wait_ms: waitMs = 0, min_interval_ms: minIntervalMs = 0 }: WatchOptions): Entry {
    const known = entries.get(jobId)
    if (known?.watch.active) {
      if (minIntervalMs < known.watch.min_interval_ms) hasten(known.watch, minIntervalMs)
      return known
    }
    const watch = createWatch(jobId, { wait_ms: waitMs, min_interval_ms: minIntervalMs }, report)
    const entry = { watch, handles: 0, backoff: createBackoff({ random }) }
    entries.set(jobId, entry)
    if (isOpen()) subscribe(watch)
    return entry
  }

  /** Nothing is lost by subscribing again: it goes on where it was. */
  function hasten (watch: Watch, minIntervalMs: number): void {
    watch.min_interval_ms = minIntervalMs
    if (watch.request === null) return // it will subscribe anyway
    unsubscribe(watch)
    subscribe(watch)
  }

  return {
    active: () => [...entries.values()].find(({ watch }) => watch.active)?.watch,

    watch (jobId, options) {
      const entry = entryOf(jobId, options)
      entry.handles++
      onChange()
      return createHandle(entry.watch, () => {
        if (--entry.handles > 0) return
        if (entry.watch.active) unsubscribe(entry.watch)
        entry.watch.close()
        if (entries.get(jobId) === entry) entries.delete(jobId)
        onChange()
      })
    },

    subscribeAll () {
      for (const { watch } of entries.values()) subscribe(watch)
    },

    receive (message) {
      const entry = entries.get(message.job_id)
      if (entry === undefined) return
      const { watch, backoff } = entry
      const verdict = watch.receive(message)
      if (verdict === 'gap') subscribeLater(entry)
      else if (verdict === 'ended') finish(watch)
      else if (verdict === 'applied' && watch.gaps === 0) backoff.reset()
    },

    answer (message) {
      if (message.type === 'ack') {
        const asked = [...entries.values()].find(({ watch }) => watch.request !== null && watch.request === message.id)
        asked?.watch.acknowledge(message.data?.['resumed'] === true)
        return
      }
      // An error that answers no request is about the subscription of its job.
      const entry = message.job_id === undefined ? undefined : entries.get(message.job_id)
      if (entry === undefined || !entry.watch.active || (message.id !== null && message.id !== entry.watch.request)) return
      if (isErrorCode(message.code) && ERRORS[message.code].temporary) return subscribeLater(entry)
      entry.watch.refuse(toError(message))
      onChange()
    },

    interrupt () {
      for (const { watch } of entries.values()) interrupt(watch)
    },

    refuse (why) {
      for (const { watch } of entries.values()) watch.refuse(why)
    },

    close () {
      for (const { watch } of entries.values()) {
        clock.clearTimeout(watch.retry)
        watch.close()
      }
      entries.clear()
    }
  }
}
