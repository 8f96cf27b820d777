// What the users of a job want, as its worker sees it: read every quarter of a second, confirmed when it is new.

import { setTimeout as delay } from 'node:timers/promises'
import type { ProgressMonitor } from '../worker/index.ts'

const POLL_MS = 250
const HEARTBEAT_MS = 5000

/** `over`: the job has ended, or the worker has to go. */
export type Wish = 'go' | 'hold' | 'cancel' | 'over'

export interface Wishes {
  current (): Wish
  /** State of the job when last read; `gone` when it has left Redis. */
  state (): string
  /** Resolves when the wish is `over`. */
  readonly over: Promise<void>
}

export interface WishesOptions {
  monitor: ProgressMonitor
  job_id: string
  signal: AbortSignal
  onCancel: () => void
}

/** Also keeps the job alive by heartbeats. */
export function followWishes ({ monitor, job_id: jobId, signal, onCancel }: WishesOptions): Wishes {
  let state = 'running'
  let known = false
  let wish: Wish = 'go'
  let confirmed: string | null = null
  let nextBeat = 0

  async function look (): Promise<void> {
    const control = await monitor.control(jobId).catch(() => null)
    if (control === null) return // Redis is away: what was asked last still holds
    if (control.state === null && !known) return // the registration is stored, and about to be applied
    known = true
    state = control.state ?? 'gone'
    wish = wishOf(state)
    if (control.request_id !== null && control.request_id !== confirmed) {
      confirmed = control.request_id
      void monitor.acknowledge(jobId, confirmed)
    }
    if (wish === 'cancel') onCancel()
  }

  async function follow (): Promise<void> {
    while (wish !== 'over' && !signal.aborted) {
      await look()
      if (performance.now() >= nextBeat) {
        nextBeat = performance.now() + HEARTBEAT_MS
        void monitor.heartbeat(jobId)
      }
      await delay(POLL_MS, undefined, { signal }).catch(() => {})
    }
    wish = 'over'
  }

  return { current: () => wish, state: () => state, over: follow() }
}

function wishOf (state: string): Wish {
  if (state === 'pausing' || state === 'paused') return 'hold'
  if (state === 'canceling') return 'cancel'
  return state === 'running' || state === 'pending' || state === 'completing' ? 'go' : 'over'
}
