// One message of a job's channel becomes the frames that every socket of the room gets: encoded once, in the order that
// clients rely on. The header is that of the drain's end, so progress sent in between carries the seq reached so far.
// Progress that no event waits for is not in them: it conflates (lane.ts).

import type { FeedMessage } from '../engine/engine.ts'
import type { ProgressLine } from '../engine/packed.ts'
import type { StoredJob } from '../protocol/job.ts'
import type { JobMessage } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import { eventMessage, itemProgressMessage, progressMessage } from '../protocol/view.ts'
import { type Frame, jobFrame } from './frame.ts'

export type Update = Extract<FeedMessage, { type: 'update' }>

/** Whether metrics have moved by more than time alone. */
function countersMoved (a: StoredJob, b: StoredJob): boolean {
  const [c, d, r, s] = [a.counted, b.counted, a.reported, b.reported]
  return a.items_total !== b.items_total || a.partial !== b.partial ||
    c.completed !== d.completed || c.failed !== d.failed || c.retryable !== d.retryable || c.skipped !== d.skipped ||
    c.canceled !== d.canceled || c.processing !== d.processing || c.pending !== d.pending ||
    r.completed !== s.completed || r.failed !== s.failed || r.skipped !== s.skipped || r.canceled !== s.canceled ||
    a.rate_limited !== b.rate_limited || a.retry_at !== b.retry_at || a.stalled !== b.stalled ||
    a.deadline_exceeded !== b.deadline_exceeded
}

/** Whether processing time runs now and did not, or the other way; it moves with the state, which has its own event. */
function clockMoved (a: StoredJob, b: StoredJob): boolean {
  return a.started_at !== b.started_at || (a.proc_since === null) !== (b.proc_since === null)
}

export interface Encoded {
  /** Events in order, and the progress that has to stand before a change of state. */
  frames: Frame[]
  /** Clients have not seen the end's metrics yet. */
  due: boolean
  /** Progress of items that is still to be shown. */
  items: readonly ProgressLine[]
}

/**
 * A state change first lets out the progress before it; item progress stands before the change that ends the job, as nothing may
 * follow a final event.
 * @param before what clients last saw; not kept
 */
export function encodeUpdate (update: Update, itemKind: string, before: StoredJob): Encoded {
  const { job, events } = update
  // The newest instant that every gateway reads in the same message: all of them write the same text.
  const nowMs = job.updated_at
  const moved = countersMoved(before, job)
  const frames: Frame[] = []
  let items: readonly ProgressLine[] = update.progress
  let seq = update.seq_from - 1
  // `held`: there is progress older than the next event. `due`: clients have not seen the end's metrics yet.
  let held = moved && !events.some(({ event }) => event === 'item')
  let due = moved || clockMoved(before, job)

  const send = (message: JobMessage) => frames.push(jobFrame(message))

  for (const event of events) {
    if (event.event === 'state_changed') {
      if (isTerminal(event.next)) {
        for (const line of items) send({ ...itemProgressMessage(job, itemKind, line), seq })
        items = []
      }
      if (held) {
        send({ ...progressMessage(job, nowMs), seq })
        held = due = false
      }
    }
    send(eventMessage(event, job, itemKind, nowMs))
    seq = event.seq
    if (event.event === 'item') held = due
    else if (event.event === 'final') due = false
  }
  return { frames, due, items }
}
