// Who watches a job, and those who wait for one that is not registered yet.

import type { Cursor } from '../protocol/cursor.ts'
import { HeadwayError } from '../protocol/errors.ts'
import type { Frame } from './frame.ts'

export interface Member {
  /**
   * Called once, right before the first message.
   * @param resumed what follows continues the cursor, no snapshot comes
   * @param over nothing follows: the job had ended where the cursor stands
   */
  joined: (resumed: boolean, over: boolean) => void
  /** The same frame goes to every member. @returns false when the socket is behind: it gets nothing until it calls `resume` */
  send: (frame: Frame) => boolean
  /** Nothing more will come: null when a job that was watched to its end has left Redis, else why it cannot be watched (any more). */
  ended: (why: HeadwayError | null) => void
}

export interface JoinOptions {
  /** How long a job that is not registered yet is waited for; 0 = it is unknown. */
  wait_ms?: number
  /** Null = a snapshot. */
  since?: Cursor | null
  /** Progress at most so often; the room's own interval is the least. */
  min_interval_ms?: number
}

export interface Place {
  /** The member hears nothing of it. */
  leave: () => void
  /** Its socket is behind no longer: it gets what it missed. */
  resume: () => void
}

export interface Seat {
  member: Member
  /** Where it stands while it is not live; null = it needs a snapshot. An epoch of 0 is none: the snapshot is a reset. */
  since: Cursor | null
  /** It has heard `joined`. */
  joined: boolean
  /** Progress at most so often, ms. */
  interval_ms: number
  /** A joiner whose snapshot was ahead of the room skips what it holds already: messages up to this rev. */
  covered_rev: number
  /** The position of that snapshot; null before it. */
  covered_at: Cursor | null
  /** The newest round that was said when it was seated: it has had that one and all before (audience.ts). */
  seated_in: number
  /** Monotonic ms until which a cursor ahead of Redis is not yet given up; 0 = none was. */
  patient_until: number
  /** Monotonic ms until which an unknown job is waited for. */
  wait_until: number
}

export function createSeat (member: Member, since: Cursor | null, intervalMs: number, waitMs: number): Seat {
  return {
    member,
    since,
    joined: false,
    interval_ms: intervalMs,
    covered_rev: 0,
    covered_at: null,
    seated_in: 0,
    patient_until: 0,
    wait_until: performance.now() + waitMs
  }
}

/** Empties `seats` first: a member may join or leave again from within. */
export function endAll (seats: Set<Seat>, why: HeadwayError | null): void {
  const ending = [...seats]
  seats.clear()
  for (const { member } of ending) member.ended(why)
}

export function unknownJob (id: string): HeadwayError {
  return new HeadwayError('unknown_job', `There is no job ${id}.`)
}

export interface WaitingRoom {
  readonly size: number
  /** @returns false when the seat's time is up */
  add: (seat: Seat) => boolean
  delete: (seat: Seat) => void
  /** Everybody, to be seated now; waiting goes on where it stopped when they come back. */
  take: () => Set<Seat>
  close: () => void
}

/** @param onGaveUp a member has heard unknown_job, because its time was up */
export function createWaitingRoom ({ job_id: id, onGaveUp }: { job_id: string, onGaveUp: () => void }): WaitingRoom {
  const timers = new Map<Seat, NodeJS.Timeout>()

  function remove (seat: Seat): void {
    clearTimeout(timers.get(seat))
    timers.delete(seat)
  }

  function take (): Set<Seat> {
    const seats = new Set(timers.keys())
    for (const seat of seats) remove(seat)
    return seats
  }

  return {
    get size () { return timers.size },
    add (seat) {
      const left = seat.wait_until - performance.now()
      if (left <= 0) return false
      timers.set(seat, setTimeout(() => {
        timers.delete(seat)
        seat.member.ended(unknownJob(id))
        onGaveUp()
      }, left))
      return true
    },
    delete: remove,
    take,
    close: take
  }
}
