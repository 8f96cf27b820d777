// One producer's entries of one partition: their numbers, what is kept for a resend, and what to send next. No I/O.
//
// Entries stand in one array in the order of their numbers; `pointer` divides the answered from the rest. Three things
// move it: an answer (forward), a new connection or epoch (back to the number after the stored one), and evidence that
// the reducer has read past an entry without taking its number (a gap: back likewise).
//
// A new name is taken only on evidence, never because the stored number is absent: after a failover the stream of the
// new primary may still hold this producer's entries undrained, and they would count twice beside copies of another
// name. So when what is kept begins behind the number that Redis expects, the first kept entry goes out under the old
// name as a probe. Either the reducer takes it (the missing ones were in the stream), or reads past it: then nothing of
// the old name can take effect any more, and everything kept goes out again under a new name from 1.

export interface LaneEntry {
  readonly batch: string
  /** UTF-8 bytes. */
  readonly bytes: number
  /** Called once, when Redis has answered for the first time; afterwards null. */
  stored: (() => void) | null
  /** Called instead when the producer is closed first. */
  failed: ((error: Error) => void) | null
  /** Stream id of the last answer from the present server; null = not answered there. */
  id: string | null
  /** Ms of the producer's clock at the first answer; null = never answered. */
  stored_at: number | null
}

/** What Redis says about this producer, read in this order: cursor, then stored number. */
export interface Standing {
  /** Last number that took effect; null = the producer is not known. */
  stored: number | null
  /** Id up to which the partition is drained; null = the partition does not exist yet. */
  cursor: string | null
  /** True on a new connection and after a change of epoch: ids of answers mean nothing any more. */
  rewind: boolean
}

export interface Lane {
  readonly name: string
  /** Number of the first kept entry, or of the next one when none is kept. */
  readonly base: number
  readonly size: number
  /** Bytes of the kept entries that were answered. */
  readonly bytes: number
  push (entry: LaneEntry): void
  /** The entry to send now; null when there is none or a probe is out. */
  next (): { n: number, entry: LaneEntry } | null
  /** `next()` was answered. */
  answered (id: string, nowMs: number): void
  /** Moves to what Redis expects next. */
  learned (standing: Standing, nowMs: number): void
  /** Forgets confirmed entries stored at or before `storedBefore`, ms of the producer's clock. */
  prune (storedBefore: number): void
  /** For a producer that was silent for long: begins anew at 1. Only when nothing is kept. */
  renew (): void
  /** Takes every entry out that was never answered. */
  abandon (): LaneEntry[]
}

/** @param freshName a new name, never used before by any producer */
export function createLane (freshName: () => string): Lane {
  let name = freshName()
  let entries: LaneEntry[] = []
  let base = 1
  let pointer = 0
  let lastStored = 0
  let bytes = 0

  function settle (entry: LaneEntry, nowMs: number): void {
    if (entry.stored_at !== null) return
    entry.stored_at = nowMs
    bytes += entry.bytes
    entry.stored?.()
    entry.stored = entry.failed = null
  }

  function moveTo (index: number): void {
    pointer = index
    for (let i = index; i < entries.length; i++) entries[i]!.id = null
  }

  function begin (): void {
    name = freshName()
    base = 1
    lastStored = 0
    moveTo(0)
  }

  return {
    get name () { return name },
    get base () { return base },
    get size () { return entries.length },
    get bytes () { return bytes },

    push (entry) { entries.push(entry) },

    next () {
      const probing = base > lastStored + 1 && pointer > 0
      const entry = probing ? undefined : entries[pointer]
      return entry === undefined ? null : { n: base + pointer, entry }
    },

    answered (id, nowMs) {
      const entry = entries[pointer++]!
      entry.id = id
      settle(entry, nowMs)
    },

    learned ({ stored, cursor, rewind }, nowMs) {
      lastStored = stored ?? 0
      const expected = lastStored + 1 - base // index of the entry that Redis expects next
      if (expected > entries.length) return begin() // numbers that it never gave: the name is somebody else's
      const index = Math.max(0, expected)
      for (let i = pointer; i < index; i++) settle(entries[i]!, nowMs) // stored, only the answer was lost
      if (rewind || index > pointer) return moveTo(index)
      if (index === pointer || !passed(entries[index]!.id, cursor)) return
      if (expected < 0) begin()
      else moveTo(index)
    },

    prune (storedBefore) {
      let count = 0
      const confirmed = Math.min(pointer, lastStored + 1 - base)
      while (count < confirmed && entries[count]!.stored_at! <= storedBefore) bytes -= entries[count++]!.bytes
      if (count > 0) {
        entries = entries.slice(count)
        base += count
        pointer -= count
      }
    },

    renew () {
      if (entries.length === 0) begin()
    },

    abandon () {
      const unanswered = entries.slice(pointer).filter(entry => entry.stored_at === null)
      entries = entries.slice(0, pointer)
      return unanswered
    }
  }
}

/** True when the reducer has read the entry `id`. Ids are `<ms>-<seq>`. */
function passed (id: string | null, cursor: string | null): boolean {
  if (id === null || cursor === null) return false
  const [ms = 0, seq = 0] = id.split('-').map(Number)
  const [cursorMs = 0, cursorSeq = 0] = cursor.split('-').map(Number)
  return ms === cursorMs ? seq <= cursorSeq : ms < cursorMs
}
