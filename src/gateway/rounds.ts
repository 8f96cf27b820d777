// Large rooms are told in slices, so that the event loop is never held for long: what is said to all of them waits in order, and
// every turn tells a part. A round is told to those who were there when it was said; who came since has had it already.

import type { Seat } from './seats.ts'

/** How long one slice may take, ms; the sockets' own writes come on top (post.ts). */
const SLICE_MS_MAX = 3
/** Seats between two looks at the clock. */
const SLICE_STEP = 64
/** Rounds that wait, of all rooms. Beyond: the oldest is told in one go, so that who says too much is held up rather than remembered. */
const ROUNDS_MAX = 64

export interface Rounds {
  /** @param owner whose rounds keep their order */
  add: (owner: object, seats: readonly Seat[], tell: (seat: Seat) => void) => void
  /** Whether something of it waits: what it says now has to wait behind that. */
  waits: (owner: object) => boolean
  /** All of it is told now. */
  finish: (owner: object) => void
}

interface Round { owner: object, seats: readonly Seat[], tell: (seat: Seat) => void, at: number }

/** @param now monotonic ms, for tests */
export function createRounds (now: () => number = () => performance.now()): Rounds {
  const waiting: Round[] = []
  let scheduled = false

  /** @returns false when its time was up before */
  function tell (round: Round, until: number): boolean {
    const { seats } = round
    while (round.at < seats.length) {
      if (round.at % SLICE_STEP === SLICE_STEP - 1 && now() >= until) {
        // The next slice begins behind the look at the clock, or it would get no further than here.
        round.tell(seats[round.at++]!)
        return round.at === seats.length
      }
      round.tell(seats[round.at++]!)
    }
    return true
  }

  function run (): void {
    scheduled = false
    const until = now() + SLICE_MS_MAX
    while (waiting.length > 0 && tell(waiting[0]!, until)) {
      waiting.shift()
      if (now() >= until) break
    }
    if (waiting.length > 0) schedule()
  }

  function schedule (): void {
    if (scheduled) return
    scheduled = true
    setImmediate(run)
  }

  return {
    add (owner, seats, tellOne) {
      if (waiting.length >= ROUNDS_MAX) tell(waiting.shift()!, Infinity)
      waiting.push({ owner, seats, tell: tellOne, at: 0 })
      schedule()
    },
    waits: owner => waiting.length > 0 && waiting.some(round => round.owner === owner),
    finish (owner) {
      for (const round of waiting.filter(one => one.owner === owner)) {
        tell(round, Infinity)
        const place = waiting.indexOf(round)
        if (place >= 0) waiting.splice(place, 1)
      }
    }
  }
}
