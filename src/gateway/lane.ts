// Conflation: the sockets of a room that want progress equally often, and the progress that they have not been sent yet.
// Only that something is new is held, and the newest state of each item; what the job's progress says is read when it goes out.
// Progress whose time has come waits a little longer for an event to go with, in the same write: to a thousand sockets that is a
// thousand writes less.

import type { ProgressLine } from '../engine/packed.ts'
import type { Seat } from './seats.ts'

/** Items whose progress is held; at the bound all of it goes out at once. */
const HELD_ITEMS_MAX = 256
/** How much longer at most, ms; of a short interval a quarter. */
const COMPANY_MS_MAX = 25
const NOTHING: readonly ProgressLine[] = []

export interface Held {
  /** The job's metrics have moved. */
  job: boolean
  items: Iterable<ProgressLine>
}

export interface Lane {
  readonly seats: Set<Seat>
  /** Called with every message, after its events: with nothing new too, as they may be what something held has waited for. */
  hold: (job: boolean, items: readonly ProgressLine[]) => void
  /** An item's lifecycle event says more than its progress did. */
  discardItem: (id: string) => void
  /** What is held goes out now. */
  flush: () => void
  /** What is held is covered by something else, or nothing may follow. */
  clear: () => void
}

export interface LaneOptions {
  /** 0 = nothing is held. */
  interval_ms: number
  write: (seats: Set<Seat>, held: Held) => void
  /** Progress of the job was held already: the newer one takes its place. */
  onConflated?: () => void
}

export function createLane ({ interval_ms: intervalMs, write, onConflated = () => {} }: LaneOptions): Lane {
  const seats = new Set<Seat>()
  let heldJob = false
  /** By id; null = none, as in most rooms at most times. */
  let heldItems: Map<string, ProgressLine> | null = null
  let sentAt = -Infinity
  let timer: NodeJS.Timeout | undefined

  function clear (): void {
    clearTimeout(timer)
    timer = undefined
    heldJob = false
    heldItems = null
  }

  function flush (): void {
    const due = { job: heldJob, items: heldItems?.values() ?? NOTHING }
    const isDue = heldJob || (heldItems?.size ?? 0) > 0
    clear()
    if (!isDue) return
    sentAt = performance.now()
    write(seats, due)
  }

  return {
    seats,
    hold (job, items) {
      if (!heldJob && heldItems === null && !job && items.length === 0) return
      if (job && heldJob) onConflated()
      heldJob ||= job
      if (items.length > 0) {
        heldItems ??= new Map()
        for (const line of items) heldItems.set(line.item.id, line)
      }
      const wait = sentAt + intervalMs - performance.now()
      if (wait <= 0 || (heldItems?.size ?? 0) > HELD_ITEMS_MAX) flush()
      else timer ??= setTimeout(flush, wait + Math.min(COMPANY_MS_MAX, intervalMs / 4))
    },
    discardItem (id) { heldItems?.delete(id) },
    flush,
    clear
  }
}

/** @returns the room's interval doubled until it is long enough, so that a room has few lanes */
export function laneInterval (roomMs: number, wantedMs: number): number {
  let intervalMs = roomMs
  while (intervalMs < wantedMs) intervalMs = Math.max(1, intervalMs * 2)
  return intervalMs
}
