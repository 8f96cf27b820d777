// Joiners that wait for no more than a moment: for the end of this turn of the event loop, so that all who come in it share what
// they need and what Redis has sent meanwhile is heard first; or for another read, when their cursor is ahead of Redis.

import type { Seat } from './seats.ts'

/** How long a cursor ahead of Redis waits for the new epoch that a loss brings: the next drain finds out, some hundred ms later. */
const PATIENCE_MS = 2_000
const LOOK_MS = 250

export interface Lobby {
  readonly size: number
  /** The seat is due at the end of this turn. */
  add: (seat: Seat) => void
  /** The seat is due in a while. @returns false when it has waited long enough: its cursor was made up, it seems */
  wait: (seat: Seat) => boolean
  delete: (seat: Seat) => void
}

/** @param onDue gets all that are due */
export function createLobby (onDue: (seats: Seat[]) => void): Lobby {
  const due = new Set<Seat>()
  const patient = new Set<Seat>()

  function open (): void {
    const seats = [...due]
    due.clear()
    if (seats.length > 0) onDue(seats)
  }

  function add (seat: Seat): void {
    if (due.size === 0) setImmediate(open)
    due.add(seat)
  }

  return {
    get size () { return due.size + patient.size },
    add,
    wait (seat) {
      const now = performance.now()
      seat.patient_until ||= now + PATIENCE_MS
      if (now >= seat.patient_until) return false
      patient.add(seat)
      setTimeout(() => { if (patient.delete(seat)) add(seat) }, LOOK_MS)
      return true
    },
    delete (seat) {
      due.delete(seat)
      patient.delete(seat)
    }
  }
}
