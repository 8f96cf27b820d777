// Writes to sockets. When it is calm, what one read from Redis brought goes out at once, before all else of that turn of the event
// loop; when it is busy, all frames of a turn become one write a socket: the turn batches by itself. Sockets with the same frames
// share the joined bytes. Large rounds go in slices, so that the event loop is never held for long. No compression: frames are
// shared, compressed ones could not be.

import type { Frame } from './frame.ts'
import type { Tally } from './tally.ts'

/** How long one slice may take, ms. */
const SLICE_MS_MAX = 5
/** Sockets between two looks at the clock. */
const SLICE_STEP = 64
/** Calm is when nothing was written for so long, ms: a busy loop has the next frames sooner. */
const CALM_MS = 0.5
const NOTHING = Buffer.alloc(0)

/** The part of a net.Socket that is used. */
export interface Wire {
  write: (bytes: Buffer, done?: () => void) => boolean
  readonly writable: boolean
  /** Bytes that the kernel has not taken. */
  readonly writableLength: number
}

export interface Outlet {
  push: (frame: Frame) => void
  /** Bytes that have not left this process. */
  queued: () => number
  /**
   * What was pushed goes out now, as before a close frame.
   * @param done called when the kernel has taken all of it
   */
  flush: (done?: () => void) => void
}

export interface Post { outlet: (wire: Wire) => Outlet }

/** A class, like all that exists once a socket (watch.ts). */
class Box implements Outlet {
  readonly #wire: Wire
  readonly #round: Round
  /** Mostly there is one frame a turn: an array only from the second on. */
  #first: Frame | null = null
  #more: Frame[] | null = null
  #bytes = 0

  constructor (wire: Wire, round: Round) {
    this.#wire = wire
    this.#round = round
  }

  push (frame: Frame): void {
    this.#bytes += frame.size
    if (this.#first === null) {
      this.#first = frame
      this.#round.add(this)
    } else if (this.#more === null) {
      this.#more = [this.#first, frame]
    } else {
      this.#more.push(frame)
    }
  }

  queued (): number {
    return this.#bytes + this.#wire.writableLength
  }

  flush (done?: () => void): void {
    this.deliver()
    if (done !== undefined && this.#wire.writable) this.#wire.write(NOTHING, done)
  }

  deliver (): void {
    const first = this.#first
    const more = this.#more
    const bytes = this.#bytes
    if (first === null) return
    this.#first = this.#more = null
    this.#bytes = 0
    if (this.#wire.writable) this.#wire.write(more === null ? first.bytes : this.#round.joined(more, bytes))
    this.#round.count(more?.length ?? 1, bytes)
  }
}

/** The sockets that have something to send in this turn. */
class Round {
  #due: Box[] = []
  #scheduled = false
  #ranAt = -Infinity
  #lastFrames: readonly Frame[] = []
  #lastJoined: Buffer = NOTHING
  readonly #tally: Tally
  readonly #now: () => number

  constructor (tally: Tally, now: () => number) {
    this.#tally = tally
    this.#now = now
  }

  count (frames: number, bytes: number): void {
    this.#tally.writes++
    this.#tally.frames += frames
    this.#tally.bytes += bytes
  }

  add (box: Box): void {
    this.#due.push(box)
    if (!this.#scheduled) this.#schedule()
  }

  /** The bytes of several frames, so many; neighbours in a room mostly have the same ones. */
  joined (frames: readonly Frame[], size: number): Buffer {
    if (!isSame(frames, this.#lastFrames)) {
      const joined = Buffer.allocUnsafe(size)
      let at = 0
      for (const frame of frames) at = frame.writeTo(joined, at)
      this.#lastFrames = frames
      this.#lastJoined = joined
    }
    return this.#lastJoined
  }

  #schedule (): void {
    this.#scheduled = true
    if (this.#now() - this.#ranAt > CALM_MS) process.nextTick(() => this.#run())
    else setImmediate(() => this.#run())
  }

  #run (): void {
    const until = this.#now() + SLICE_MS_MAX
    const boxes = this.#due
    this.#due = []
    let at = 0
    for (; at < boxes.length; at++) {
      if (at % SLICE_STEP === SLICE_STEP - 1 && this.#now() > until) break
      boxes[at]!.deliver()
    }
    this.#lastFrames = []
    this.#lastJoined = NOTHING
    this.#scheduled = false
    this.#ranAt = this.#now()
    if (at === boxes.length) return
    this.#due = boxes.slice(at)
    this.#schedule()
  }
}

function isSame (one: readonly Frame[], other: readonly Frame[]): boolean {
  if (one.length !== other.length) return false
  for (let n = 0; n < one.length; n++) if (one[n] !== other[n]) return false
  return true
}

/** @param now monotonic ms, for tests */
export function createPost (tally: Tally, now: () => number = () => performance.now()): Post {
  const round = new Round(tally, now)
  return { outlet: wire => new Box(wire, round) }
}
