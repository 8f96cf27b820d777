// What a watcher sees of a job, built by applying its messages in order. Pure: (view, message) → (view, verdict).
//
// (epoch, rev) orders states and seq the logged events. A repeat is ignored; a jump in seq is a gap, which Headway does
// not let happen, so whoever sees one takes a new snapshot. Views are immutable: what did not change stays the same object.

import { applyToJob, isFinal, isProgress } from '../protocol/apply.ts'
import type { ItemEventName, ItemView, JobMessage, JobView, SnapshotData } from '../protocol/messages.ts'
import type { ErrorCode } from '../protocol/errors.ts'

/**
 * connecting: no snapshot yet. live: up to date. reconnecting: shows the last known state. ended: the job has ended and
 * so has the watch. stopped: the server refused, see `error`; watch again to try again. closed: by close().
 */
export type Connection = 'connecting' | 'live' | 'reconnecting' | 'ended' | 'stopped' | 'closed'

export interface WatchView {
  readonly connection: Connection
  /** Null before the first snapshot. */
  readonly job: JobView | null
  /** Items of the snapshot and those heard of since, last logged first; at most `ITEMS_MAX`. */
  readonly items: readonly ItemView[]
  /** Distinct items seen by the job; when not all of them are in `items`, at least so many. */
  readonly items_seen: number
  /** The last messages, newest last; at most `MESSAGES_MAX`. */
  readonly messages: readonly JobMessage[]
  /** Why the watch was stopped. */
  readonly error: { readonly code: ErrorCode, readonly detail: string } | null
}

/**
 * applied: the view shows it. ignored: older than the view, or before a snapshot. gap: something is missing, take a
 * snapshot. ended: applied, and nothing follows.
 */
export type Verdict = 'applied' | 'ignored' | 'gap' | 'ended'

export const ITEMS_MAX = 500
export const MESSAGES_MAX = 50

export const EMPTY_VIEW: WatchView = { connection: 'connecting', job: null, items: [], items_seen: 0, messages: [], error: null }

type Applied = { view: WatchView, verdict: Verdict }

/** @param message of this job; of a type that is not known only the position counts */
export function applyMessage (view: WatchView, message: JobMessage): Applied {
  if (message.type === 'job.snapshot') return applySnapshot(view, message as JobMessage & { data: SnapshotData })
  const { job } = view
  if (job === null) return { view, verdict: 'ignored' }
  if (isProgress(message.type)) {
    if (message.seq > job.seq) return { view, verdict: 'gap' }
    if (message.seq < job.seq || message.rev < job.rev) return { view, verdict: 'ignored' }
  } else {
    if (message.seq <= job.seq) return { view, verdict: 'ignored' }
    if (message.seq > job.seq + 1) return { view, verdict: 'gap' }
  }
  const isItem = !message.type.startsWith('job.')
  return {
    view: {
      ...view,
      job: applyToJob(job, message),
      ...(isItem ? itemChanges(view, message) : {}),
      messages: appended(view.messages, message)
    },
    verdict: isFinal(message.type) ? 'ended' : 'applied'
  }
}

function applySnapshot (view: WatchView, message: JobMessage & { data: SnapshotData }): Applied {
  const { data } = message
  const known = view.job
  if (known !== null && !data.reset) {
    // From a node that lags behind: its events up to here are known and will be ignored, or it belongs to a lost past.
    if (data.job.epoch < known.epoch) return { view, verdict: 'gap' }
    if (data.job.epoch === known.epoch && data.job.rev < known.rev) return { view, verdict: 'applied' }
  }
  return {
    view: {
      ...view,
      job: data.job,
      items: data.items,
      items_seen: data.items_seen,
      messages: appended(view.messages, message)
    },
    verdict: data.job.ended_at !== null || isFinal(`job.${data.job.state}`) ? 'ended' : 'applied'
  }
}

const ITEM_EVENTS: Record<ItemEventName, true> = {
  queued: true, started: true, progress: true, completed: true, failed: true, skipped: true, canceled: true, retrying: true
}

function itemChanges (view: WatchView, message: JobMessage): Partial<WatchView> {
  const name = message.type.slice(message.type.indexOf('.') + 1)
  if (!Object.hasOwn(ITEM_EVENTS, name)) return {}
  const item = message.data as ItemView
  const index = view.items.findIndex(({ id }) => id === item.id)
  if (name === 'progress' && index >= 0) return { items: view.items.with(index, item) }
  const others = index < 0 ? view.items : view.items.filter((_, i) => i !== index)
  // An item that is not in the list is a new one if the list was complete, and surely when it was queued.
  const isNew = index < 0 && (name === 'queued' || view.items.length === view.items_seen)
  return { items: [item, ...others].slice(0, ITEMS_MAX), items_seen: view.items_seen + (isNew ? 1 : 0) }
}

function appended (messages: readonly JobMessage[], message: JobMessage): readonly JobMessage[] {
  return [...messages.slice(1 - MESSAGES_MAX), message]
}
