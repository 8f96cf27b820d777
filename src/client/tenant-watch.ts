// The tenant's stream on the one socket: one subscription, however many handles share it. After every reconnection the list
// comes again, so there is no cursor and nothing to resume.

import { ERRORS, isErrorCode } from '../protocol/errors.ts'
import type { HeadwayError } from '../protocol/errors.ts'
import type { AckMessage, ClientMessage, ErrorMessage } from '../protocol/messages.ts'
import type { TenantMessage } from '../protocol/tenant-messages.ts'
import { createBackoff } from './backoff.ts'
import { createListeners } from './listeners.ts'
import type { Clock } from './platform.ts'
import { toError } from './requests.ts'
import { applyTenantMessage, EMPTY_TENANT } from './tenant-view.ts'
import type { TenantView } from './tenant-view.ts'
import type { Connection } from './view.ts'
import { createHooks } from './watch.ts'

export interface TenantWatch {
  /** Called after each change. Fits React's useSyncExternalStore. @returns unsubscribe */
  subscribe (listener: () => void): () => void
  /** The same object until something changes. */
  getSnapshot (): TenantView
  /** Ends it for this handle; the last one ends the subscription. Idempotent. */
  close (): void
}

export interface TenantSubscription {
  /** Whether it wants messages. */
  readonly active: boolean
  watch (): TenantWatch
  /** The socket is open. */
  subscribe (): void
  receive (message: TenantMessage): void
  /** @returns whether it was about this */
  answer (message: AckMessage | ErrorMessage): boolean
  /** The connection is lost. */
  interrupt (): void
  refuse (why: HeadwayError): void
  close (): void
}

export function createTenantSubscription ({ send, isOpen, nextId, clock, random, report, onChange }: {
  send: (message: ClientMessage) => boolean
  isOpen: () => boolean
  nextId: () => string
  clock: Clock
  random: () => number
  report: (error: unknown) => void
  onChange: () => void
}): TenantSubscription {
  let listeners = createListeners<[]>(report)
  const backoff = createBackoff({ random })
  let view = EMPTY_TENANT
  let handles = 0
  let request: string | null = null
  /** Before the list nothing is believed: it may belong to an older subscription. */
  let synced = false
  let retry: unknown

  const isActive = (): boolean => handles > 0 && view.error === null && view.connection !== 'closed'

  function set (next: TenantView): void {
    if (next === view) return
    view = next
    listeners.call()
  }

  function subscribe (): void {
    if (!isActive()) return
    synced = false
    request = nextId()
    send({ action: 'subscribe_tenant', id: request })
  }

  function interrupt (): void {
    clock.clearTimeout(retry)
    request = null
    synced = false
    if (view.connection === 'live') set({ ...view, connection: 'reconnecting' })
  }

  function finish (connection: Connection, error: TenantView['error'] = null): void {
    clock.clearTimeout(retry)
    if (isActive()) set({ ...view, connection, error })
  }

  return {
    get active () { return isActive() },

    watch () {
      if (!isActive()) { // one that was refused or closed is not shared: watching again begins anew
        view = EMPTY_TENANT
        listeners = createListeners(report)
        handles = 1
        if (isOpen()) subscribe()
      } else handles++
      onChange()
      const own = listeners
      let ended: TenantView | null = null
      const { hook, close } = createHooks(() => {
        ended = { ...current(), connection: 'closed' }
        if (own !== listeners || --handles > 0) return
        clock.clearTimeout(retry)
        if (request !== null) send({ action: 'unsubscribe_tenant' })
        request = null
        onChange()
      })
      let shown = view
      /** A later watch begins anew and is none of this one's business. */
      const current = (): TenantView => ended ?? (own === listeners ? (shown = view) : shown)
      return { subscribe: listener => hook(own.add(listener)), getSnapshot: current, close }
    },

    subscribe,

    receive (message) {
      const isList = message.type === 'tenant.snapshot'
      if (request === null || (!synced && !isList)) return
      synced = true
      backoff.reset()
      const next = applyTenantMessage(view, message)
      set(next.connection === 'live' ? next : { ...next, connection: 'live' })
    },

    answer (message) {
      if (request === null || (message.id !== request && (message.id !== null || message.type === 'ack' || message.job_id !== undefined))) return false
      if (message.type === 'ack') return true
      if (isErrorCode(message.code) && ERRORS[message.code].temporary) {
        interrupt()
        retry = clock.setTimeout(() => { if (isOpen()) subscribe() }, backoff.next())
      } else {
        const { code, message: detail } = toError(message)
        finish('stopped', { code, detail })
        onChange()
      }
      return true
    },

    interrupt,
    refuse: ({ code, message }) => finish('stopped', { code, detail: message }),
    close: () => finish('closed')
  }
}
