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

/** What clients last saw of a job's metrics, as far as it does not move with time alone. */
export interface Shown {
  counters: string
  /** Whether processing time runs; it moves with the state, which has its own event. */
  clock: string
}

export function shownOf (job: StoredJob): Shown {
  const { counted: c, reported: r } = job
  return {
    counters: `${job.items_total},${c.completed},${c.failed},${c.retryable},${c.skipped},${c.canceled},${c.processing},${c.pending},` +
      `${job.partial},${r.completed},${r.failed},${r.skipped},${r.canceled},` +
      `${job.rate_limited},${job.retry_at},${job.stalled},${job.deadline_exceeded}`,
    clock: `${job.started_at},${job.proc_since === null}`
  }
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
 * @param before what clients last saw
 */
export function encodeUpdate (update: Update, itemKind: string, before: Shown): Encoded {
  const { job, events } = update
  // The newest instant that every gateway reads in the same message: all of them write the same text.
  const nowMs = job.updated_at
  const now = shownOf(job)
  const moved = now.counters !== before.counters
  const frames: Frame[] = []
  let items: readonly ProgressLine[] = update.progress
  let seq = update.seq_from - 1
  // `held`: there is progress older than the next event. `due`: clients have not seen the end's metrics yet.
  let held = moved && !events.some(({ event }) => event === 'item')
  let due = moved || now.clock !== before.clock

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
