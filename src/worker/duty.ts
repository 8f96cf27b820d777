// What a worker owes a job it works on: signs of life, so that a dead worker is noticed, and the acknowledgement of what users
// ask for, once the application obeys (job.ts).
//
// In pausing and canceling signs of life are given only while an item of this worker is in process: without one it has done what
// was asked, or never will, and the system's time-outs decide.

import type { JobView } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import type { ItemData, StateData } from '../protocol/worker-events.ts'
import type { JobHandle } from './job.ts'

/** Items in process that one worker is known for; beyond, they count no more. */
const ITEMS_MAX = 10_000

export interface DutyParams {
  /** Whether signs of life are given by themselves. */
  beats: boolean
  /** @param ack request that is acknowledged */
  heartbeat: (ack: string | null) => Promise<void>
  sayPaused: () => Promise<void>
}

export interface Duty {
  handle: JobHandle | null
  /** An item of this worker is in process, or the application obeys. */
  readonly holds: boolean
  /** What the worker itself says. @param stored rejects when it had no effect */
  saidState (state: StateData['state']): void
  saidItem (item: ItemData, stored: Promise<void>): void
  /** How the job stands now, or what the application wants has changed. @param view null = not known */
  heed (view: JobView | null): void
  beat (view: JobView | null): void
  release (): void
}

export function createDuty ({ beats, heartbeat, sayPaused }: DutyParams): Duty {
  const items = new Set<string>()
  /** It has items that the system sees enter and leave process. */
  let begins = false
  let claimed = false
  let beating = false
  let begun = false
  let acknowledged: string | null = null
  let pausedSaid = false

  function obeys (): boolean {
    return duty.handle !== null && duty.handle.obeysCancel
  }

  function owesLife (view: JobView | null): view is JobView {
    if (view === null || isTerminal(view.state) || view.state === 'pending') return false
    if (view.state === 'pausing' || view.state === 'canceling') return items.size > 0
    return claimed || items.size > 0 || obeys()
  }

  function acknowledge ({ control }: JobView): void {
    const { request_id: request, action } = control
    if (request === null || request === acknowledged || duty.handle === null) return
    if (!(action === 'pause' ? duty.handle.obeysPause : duty.handle.obeysCancel)) return
    acknowledged = request
    heartbeat(request).catch(() => { acknowledged = null })
  }

  /** The system sees by items in process when a worker has stopped; of one that reports none, the wait is its word. */
  function tellPaused (view: JobView): void {
    if (view.state !== 'pausing') {
      pausedSaid = false
      return
    }
    const waiting = duty.handle?.waiting ?? 0
    if (pausedSaid || begins || view.items_processing > 0 || waiting < Math.max(1, view.concurrency ?? 1)) return
    pausedSaid = true
    sayPaused().catch(() => { pausedSaid = false })
  }

  const duty: Duty = {
    handle: null,
    get holds () { return items.size > 0 || obeys() },

    saidState (state) {
      if (state === 'running' || state === 'completing') claimed = true
    },

    saidItem ({ id, state }, stored) {
      if (state === 'processing') {
        begins = true
        if (items.size < ITEMS_MAX) items.add(id)
        stored.catch(() => { items.delete(id) })
      } else if (state !== undefined) {
        items.delete(id)
      }
    },

    heed (view) {
      if (view === null) return
      if (isTerminal(view.state)) {
        items.clear()
        claimed = begun = false
        return
      }
      acknowledge(view)
      tellPaused(view)
      if (!begun) duty.beat(view) // only who has sent one is missed
    },

    beat (view) {
      if (!beats || beating || !owesLife(view)) return
      begun = beating = true
      heartbeat(null).catch(() => {}).finally(() => { beating = false })
    },

    release () {
      items.clear()
      claimed = begun = false
    }
  }
  return duty
}
