// One watched job: its view, who listens, and what it wants of the connection. Many handles may share it.

import type { ErrorCode, HeadwayError } from '../protocol/errors.ts'
import { formatCursor } from '../protocol/cursor.ts'
import type { JobMessage } from '../protocol/messages.ts'
import type { EventOf, EventType } from './events.ts'
import { createListeners } from './listeners.ts'
import { applyMessage, EMPTY_VIEW } from './view.ts'
import type { Connection, Verdict, WatchView } from './view.ts'

export interface Watch {
  readonly job_id: string
  /** How long a job that is not registered yet is waited for, ms; 0 = it is refused as unknown. */
  readonly wait_ms: number
  /** Whether it wants messages: not after its end, a refusal or close(). */
  readonly active: boolean
  /** At least so long between two `job.progress`, ms: the least that any handle asked for. 0 = as the server sends them. */
  min_interval_ms: number
  /** Where it can go on: its epoch and the last event it has seen. Null before the first snapshot. */
  readonly cursor: string | null
  /** Request id of the newest subscription, to know its answer; null = there is none. */
  readonly request: string | null
  /** Gaps in a row, with no event between them. */
  gaps: number
  /** Waits before it subscribes again; null = does not. */
  retry: unknown
  getView (): WatchView
  /** Subscribed, or not any more: what comes before the answer belongs to an older subscription. */
  ask (request: string | null): void
  /** @param resumed what was missed follows; otherwise a snapshot does */
  acknowledge (resumed: boolean): void
  /** @returns what the message was to the view; 'ignored' when it belongs to an older subscription */
  receive (message: JobMessage): Verdict
  /** The connection is gone or an event is missing: shows the last known state. */
  interrupt (): void
  refuse (why: HeadwayError): void
  close (): void
  onView (listener: () => void): () => void
  onMessage (listener: (message: JobMessage) => void): () => void
}

/** @param report gets what a listener throws: one bad listener must not silence the others */
export function createWatch (jobId: string, { wait_ms: waitMs, min_interval_ms: minIntervalMs }: {
  wait_ms: number
  min_interval_ms: number
}, report: (error: unknown) => void): Watch {
  const viewListeners = createListeners<[]>(report)
  const messageListeners = createListeners<[JobMessage]>(report)
  let view: WatchView = EMPTY_VIEW
  let request: string | null = null
  let stage: 'asked' | 'acknowledged' | 'synced' = 'asked'

  function set (next: WatchView): void {
    if (next === view) return
    view = next
    viewListeners.call()
  }

  const isActive = (): boolean => view.connection === 'connecting' || view.connection === 'live' || view.connection === 'reconnecting'

  function finish (connection: Connection, error: { code: ErrorCode, detail: string } | null = null): void {
    if (isActive()) set({ ...view, connection, error })
  }

  const watch: Watch = {
    job_id: jobId,
    wait_ms: waitMs,
    min_interval_ms: minIntervalMs,
    get active () { return isActive() },
    get cursor () { return view.job === null ? null : formatCursor(view.job) },
    get request () { return request },
    gaps: 0,
    retry: null,
    getView: () => view,

    ask (id) {
      request = id
      stage = 'asked'
    },

    acknowledge (resumed) {
      if (!isActive() || stage !== 'asked') return
      stage = resumed && view.job !== null ? 'synced' : 'acknowledged'
      if (stage === 'synced' && view.connection !== 'live') set({ ...view, connection: 'live' })
    },

    receive (message) {
      const isSnapshot = message.type === 'job.snapshot'
      if (!isActive() || stage === 'asked' || (stage === 'acknowledged' && !isSnapshot)) return 'ignored'
      const { view: next, verdict } = applyMessage(view, message)
      if (verdict === 'gap') watch.gaps++
      if (verdict === 'gap' || verdict === 'ignored') return verdict
      if (isSnapshot || next.job?.seq !== view.job?.seq) watch.gaps = 0
      stage = 'synced'
      const connection = verdict === 'ended' ? 'ended' : 'live'
      const shown = next !== view
      set(next.connection === connection ? next : { ...next, connection })
      if (shown) messageListeners.call(message)
      return verdict
    },

    interrupt () {
      watch.ask(null)
      if (view.connection === 'live') set({ ...view, connection: 'reconnecting' })
    },

    refuse: ({ code, message }) => finish('stopped', { code, detail: message }),
    close: () => finish('closed'),

    onView: viewListeners.add,
    onMessage: messageListeners.add
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
  const { hook, close } = createHooks(onClose)
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
    close
  }
}

/** What one handle listens to, so that its end is the end of all of it. */
export function createHooks (onClose: () => void): { hook: (unhook: () => void) => () => void, close: () => void } {
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
    hook,
    close () {
      if (closed) return
      closed = true
      for (const unhook of hooks) unhook()
      hooks.clear()
      onClose()
    }
  }
}
