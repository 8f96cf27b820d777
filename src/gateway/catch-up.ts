// What one read of a job says to a member that stood somewhere: what it missed, or that it has to begin anew.

import type { JobRead } from '../engine/engine.ts'
import type { Cursor } from '../protocol/cursor.ts'
import { isTerminal } from '../protocol/states.ts'
import { eventMessage, itemProgressMessage, progressMessage, snapshotMessage } from '../protocol/view.ts'
import { type Frame, jobFrame } from './frame.ts'

/**
 * Whether a read can tell what became of a cursor: it did not begin behind it, or the cursor is of no use anyway.
 * @param after seq behind which the log was read; null = it was not
 */
export function covers (since: Cursor, after: number | null, { job }: JobRead): boolean {
  return since.epoch !== job.epoch || (after !== null && after <= since.seq)
}

/** @returns what was logged after the cursor and the progress as it stands; null when the log does not continue it */
export function framesAfter (since: Cursor, after: number | null, found: JobRead): Frame[] | null {
  const { job, registration, items, events, truncated } = found
  if (since.epoch !== job.epoch || truncated || since.seq > job.seq || !covers(since, after, found)) return null
  const kind = registration.item_kind
  const frames = events.filter(({ seq }) => seq > since.seq).map(event => jobFrame(eventMessage(event, job, kind, job.updated_at)))
  if (isTerminal(job.state)) return frames // nothing may follow the end
  for (const item of items) {
    if (item.state !== 'processing' || item.percent_complete === 0) continue
    frames.push(jobFrame(itemProgressMessage(job, kind, { ts: item.updated_at, cid: `${job.epoch}.${job.seq}`, item })))
  }
  frames.push(jobFrame(progressMessage(job, job.updated_at)))
  return frames
}

/** @param reset it replaces a position that cannot be continued */
export function snapshotFrame ({ job, registration, items, items_seen: seen, now_ms: now }: JobRead, reset: boolean): Frame {
  return jobFrame(snapshotMessage(job, registration, items, seen, now, reset))
}
