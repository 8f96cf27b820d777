// Writes to sockets. All frames of one turn of the event loop become one write a socket: when it is calm that is a frame at
// once, when it is busy the turn batches by itself. Sockets with the same frames share the joined bytes. Large rounds go in
// slices, so that the event loop is never held for long. No compression: frames are shared, compressed ones could not be.

import type { Frame } from './frame.ts'

/** How long one slice may take, ms. */
const SLICE_MS_MAX = 8
/** Sockets between two looks at the clock. */
const SLICE_STEP = 64
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

interface Box { wire: Wire, frames: Frame[], bytes: number }

export function createPost (): Post {
  let due: Box[] = []
  let scheduled = false
  let lastFrames: readonly Frame[] = []
  let lastJoined: Buffer = Buffer.alloc(0)

  /** The bytes of several frames; neighbours in a room mostly have the same ones. */
  function joined (frames: Frame[]): Buffer {
    if (frames.length === 1) return frames[0]!.bytes
    if (frames.length !== lastFrames.length || !frames.every((frame, n) => frame === lastFrames[n])) {
      lastFrames = frames
      lastJoined = Buffer.concat(frames.map(({ bytes }) => bytes))
    }
    return lastJoined
  }

  function deliver (box: Box): void {
    const { wire, frames } = box
    if (frames.length === 0) return
    box.frames = []
    box.bytes = 0
    if (wire.writable) wire.write(joined(frames))
  }

  function round (): void {
    const until = performance.now() + SLICE_MS_MAX
    const boxes = due
    due = []
    let at = 0
    for (; at < boxes.length; at++) {
      if (at % SLICE_STEP === SLICE_STEP - 1 && performance.now() > until) break
      deliver(boxes[at]!)
    }
    lastFrames = []
    scheduled = at < boxes.length
    if (!scheduled) return
    due = boxes.slice(at)
    setImmediate(round)
  }

  return {
    outlet (wire) {
      const box: Box = { wire, frames: [], bytes: 0 }
      return {
        push (frame) {
          if (box.frames.push(frame) === 1) due.push(box)
          box.bytes += frame.bytes.length
          if (scheduled) return
          scheduled = true
          setImmediate(round)
        },
        queued: () => box.bytes + wire.writableLength,
        flush (done) {
          deliver(box)
          if (done !== undefined && wire.writable) wire.write(NOTHING, done)
        }
      }
    }
  }
}
