// One watched job: its view, who listens, and what it wants of the connection. Many handles may share it.

import type { ErrorCode, HeadwayError } from '../protocol/errors.ts'
import type { JobMessage } from '../protocol/messages.ts'
import type { EventOf, EventType } from './events.ts'
import { applyMessage, EMPTY_VIEW } from './view.ts'
import type { Connection, Verdict, WatchView } from './view.ts'

export interface Watch {
  readonly job_id: string
  /** How long a job that is not registered yet is waited for, ms; 0 = it is refused as unknown. */
  readonly wait_ms: number
  /** Whether it wants messages: not after its end, a refusal or close(). */
  readonly active: boolean
  /** False from a subscription on until its snapshot: messages between belong to an older one. */
  synced: boolean
  /** Request id of the newest subscription, to know its error. */
  request: string | null
  /** Waits before it subscribes again; null = does not. */
  retry: unknown
  getView (): WatchView
  /** @returns what the message was to the view; 'ignored' while not synced */
  receive (message: JobMessage): Verdict
  /** The connection is gone or the position lost; a snapshot will follow. */
  interrupt (): void
  refuse (why: HeadwayError): void
  close (): void
  onView (listener: () => void): () => void
  onMessage (listener: (message: JobMessage) => void): () => void
}

/** @param report gets what a listener throws: one bad listener must not silence the others */
export function createWatch (jobId: string, waitMs: number, report: (error: unknown) => void): Watch {
  const viewListeners = new Set<() => void>()
  const messageListeners = new Set<(message: JobMessage) => void>()
  let view: WatchView = EMPTY_VIEW

  function call<A extends unknown[]> (listeners: Set<(...args: A) => void>, ...args: A): void {
    for (const listener of [...listeners]) {
      try {
        listener(...args)
      } catch (error) {
        report(error)
      }
    }
  }

  function set (next: WatchView): void {
    if (next === view) return
    view = next
    call(viewListeners)
  }

  const isActive = (): boolean => view.connection === 'connecting' || view.connection === 'live' || view.connection === 'reconnecting'

  function finish (connection: Connection, error: { code: ErrorCode, detail: string } | null = null): void {
    if (isActive()) set({ ...view, connection, error })
  }

  const watch: Watch = {
    job_id: jobId,
    wait_ms: waitMs,
    get active () { return isActive() },
    synced: false,
    request: null,
    retry: null,
    getView: () => view,

    receive (message) {
      if (!isActive() || (!watch.synced && message.type !== 'job.snapshot')) return 'ignored'
      const { view: next, verdict } = applyMessage(view, message)
      if (verdict === 'gap' || verdict === 'ignored') return verdict
      watch.synced = true
      const connection = verdict === 'ended' ? 'ended' : 'live'
      const shown = next !== view
      set(next.connection === connection ? next : { ...next, connection })
      if (shown) call(messageListeners, message)
      return verdict
    },

    interrupt () {
      watch.synced = false
      if (view.connection === 'live') set({ ...view, connection: 'reconnecting' })
    },

    refuse: ({ code, message }) => finish('stopped', { code, detail: message }),
    close: () => finish('closed'),

    onView (listener) {
      const own = (): void => listener() // so that the same function may listen twice
      viewListeners.add(own)
      return () => { viewListeners.delete(own) }
    },

    onMessage (listener) {
      const own = (message: JobMessage): void => listener(message)
      messageListeners.add(own)
      return () => { messageListeners.delete(own) }
    }
  }
  return watch
}

/** What an application holds. Every handle has listeners of its own. */
export interface JobWatch {
  readonly job_id: string
  /** Called after each change of the view. Fits React's useSyncExternalStore. @returns unsubscribe */
  subscribe (listener: () => void): () => void
  /** The same object until something changes. */
  getSnapshot (): WatchView
  /** Each message that the view took, after it did; `type` is checked by the compiler. @returns unsubscribe */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void
  /** The same for messages of every type. */
  onMessage (listener: (message: JobMessage) => void): () => void
  /** Ends it for this handle; the last one ends the subscription. Idempotent. */
  close (): void
}

/** @param onClose called once, at the first close() */
export function createHandle (watch: Watch, onClose: () => void): JobWatch {
  const hooks = new Set<() => void>()
  let closed = false

  function hook (unhook: () => void): () => void {
    if (closed) {
      unhook()
      return () => {}
    }
    hooks.add(unhook)
    return () => {
      hooks.delete(unhook)
      unhook()
    }
  }

  return {
    job_id: watch.job_id,
    subscribe: listener => hook(watch.onView(listener)),
    getSnapshot: watch.getView,
    on (type, listener) {
      return hook(watch.onMessage(message => {
        if (message.type === type) listener(message as unknown as Parameters<typeof listener>[0])
      }))
    },
    onMessage: listener => hook(watch.onMessage(listener)),
    close () {
      if (closed) return
      closed = true
      for (const unhook of hooks) unhook()
      hooks.clear()
      onClose()
    }
  }
}
