// Those of a room who stand where it stands, and those whose socket is behind. Events go to all at once; progress conflates, in one
// lane for each interval that somebody asked for.

import type { ProgressLine } from '../engine/packed.ts'
import type { Cursor } from '../protocol/cursor.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import { itemProgressMessage, progressMessage } from '../protocol/view.ts'
import { type Frame, jobFrame } from './frame.ts'
import { createLane, type Held, type Lane } from './lane.ts'
import type { Rounds } from './rounds.ts'
import type { Seat } from './seats.ts'
import type { Tally } from './tally.ts'

/** The cursor of a member that is to get a snapshot with `reset: true`: no epoch is that old. */
const LOST: Cursor = { epoch: 0, seq: 0 }

export interface Audience {
  readonly live: ReadonlySet<Seat>
  /** With those that are behind. */
  readonly size: number
  /** The seat is live from now on. */
  add: (seat: Seat) => void
  delete: (seat: Seat) => void
  /** It is behind no longer, and to be seated again. @returns false when it was not */
  recall: (seat: Seat) => boolean
  /**
   * Right away, behind nothing: for who has just been seated.
   * @returns false when the socket is behind; the seat then waits with the position it had
   */
  tell: (seat: Seat, frames: readonly Frame[]) => boolean
  /** To all that are live, in slices when they are many. @param framesOf what a seat gets; empty = nothing */
  tellAll: (framesOf: (seat: Seat) => readonly Frame[]) => void
  /** The same for what is of this rev: who joined from a newer read has it already. */
  tellNewer: (frames: readonly Frame[], rev: number) => void
  /** All that was said is told now. */
  finish: () => void
  /** Progress that is older than these events goes out before them, or not at all. */
  precede: (events: readonly LoggedEvent[]) => void
  hold: (due: boolean, items: readonly ProgressLine[]) => void
  /** Forgets what is held. */
  clear: () => void
  /** Empties it. @returns who was there */
  takeAll: () => Set<Seat>
}

/** Up to so many are told at once. */
const AT_ONCE_MAX = 1_000
const NOTHING: readonly Frame[] = []

/** @param known where the room stands */
export function createAudience (
  known: () => { job: StoredJob, registration: Registration } | null, tally: Tally, rounds: Rounds
): Audience {
  const live = new Set<Seat>()
  const behind = new Set<Seat>()
  /** By interval. */
  const lanes = new Map<number, Lane>()
  /** Rounds so far: who is seated now has had all of them. */
  let said = 0

  const epochOf = (): number | undefined => known()?.job.epoch

  function tell (seat: Seat, frames: readonly Frame[], epoch = epochOf()): boolean {
    for (const frame of frames) {
      if (seat.member.send(frame)) continue
      if (live.delete(seat)) lanes.get(seat.interval_ms)?.seats.delete(seat)
      seat.since = frame.before_seq === null || epoch === undefined ? LOST : { epoch, seq: frame.before_seq }
      behind.add(seat)
      tally.behind++
      return false
    }
    return true
  }

  /** Order: a round waits behind those that wait, and is of the epoch in which it was said, whatever comes before it is told. */
  function tellMany (seats: ReadonlySet<Seat>, framesOf: (seat: Seat) => readonly Frame[]): void {
    const epoch = epochOf()
    const round = ++said
    const tellOne = (seat: Seat): void => {
      const frames = framesOf(seat)
      if (frames.length > 0) tell(seat, frames, epoch)
    }
    if (isQuick(seats)) {
      for (const seat of seats) tellOne(seat)
      return
    }
    rounds.add(live, [...seats], seat => { if (live.has(seat) && seat.seated_in < round) tellOne(seat) })
  }

  /** Mostly few are told the same at once, and nothing has to be remembered for that. */
  function tellNewer (seats: ReadonlySet<Seat>, frames: readonly Frame[], rev: number): void {
    if (frames.length === 0) return
    if (!isQuick(seats)) return tellMany(seats, seat => rev > seat.covered_rev ? frames : NOTHING)
    said++
    const epoch = epochOf()
    for (const seat of seats) if (rev > seat.covered_rev) tell(seat, frames, epoch)
  }

  function isQuick (seats: ReadonlySet<Seat>): boolean {
    return seats.size <= AT_ONCE_MAX && !rounds.waits(live)
  }

  function laneOf (intervalMs: number): Lane {
    const found = lanes.get(intervalMs)
    if (found !== undefined) return found
    const lane = createLane({ interval_ms: intervalMs, write: sayProgress, onConflated: () => { tally.conflated++ } })
    lanes.set(intervalMs, lane)
    return lane
  }

  /** Of the job as it stands now, so nothing that goes out is older than an event before it. */
  function sayProgress (seats: Set<Seat>, held: Held): void {
    const stands = known()
    if (stands === null || seats.size === 0) return
    const { job, registration: { item_kind: kind } } = stands
    const frames: Frame[] = []
    for (const line of held.items) frames.push(jobFrame(itemProgressMessage(job, kind, line)))
    if (held.job) frames.push(jobFrame(progressMessage(job, job.updated_at)))
    tellNewer(seats, frames, job.rev)
  }

  function clear (): void {
    for (const lane of lanes.values()) lane.clear()
  }

  return {
    live,
    get size () { return live.size + behind.size },
    add (seat) {
      seat.seated_in = said
      live.add(seat)
      laneOf(seat.interval_ms).seats.add(seat)
    },
    delete (seat) {
      live.delete(seat)
      lanes.get(seat.interval_ms)?.seats.delete(seat)
      behind.delete(seat)
    },
    recall: seat => behind.delete(seat),
    tell: (seat, frames) => tell(seat, frames),
    tellAll: framesOf => tellMany(live, framesOf),
    tellNewer: (frames, rev) => tellNewer(live, frames, rev),
    finish: () => rounds.finish(live),
    precede (events) {
      const changes = events.some(({ event }) => event === 'state_changed')
      for (const lane of lanes.values()) {
        if (changes) lane.flush() // still of the job before the change
        for (const event of events) if (event.event === 'item') lane.discardItem(event.item.id)
      }
    },
    hold (due, items) {
      for (const lane of lanes.values()) lane.hold(due, items)
    },
    clear,
    takeAll () {
      rounds.finish(live)
      const all = new Set([...live, ...behind])
      clear()
      for (const lane of lanes.values()) lane.seats.clear()
      live.clear()
      behind.clear()
      return all
    }
  }
}
