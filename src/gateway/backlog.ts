// What a socket that reads too slowly has not got. Above the mark it is *behind* and takes nothing more; each of its subscriptions
// is only noted. When the kernel has taken all that was queued, they catch up one after the other, each as a whole: so what is
// queued is at most the mark and what one of them missed.

import type { Frame } from './frame.ts'
import type { Outlet } from './post.ts'

export interface BacklogOptions {
  queue_bytes_max: number
  /** Null = the socket is not attached yet. */
  outlet: () => Outlet | null
  write: (frame: Frame) => void
}

export interface Backlog {
  /**
   * @param key the subscription that the frame belongs to
   * @param resume asks for all that the subscription missed
   * @returns false when the socket is behind: the frame was not taken, `resume` will be called
   */
  take: (key: string, frame: Frame, resume: () => void) => boolean
  /** The subscription is over, or could not catch up: it is nobody's turn any more. */
  drop: (key: string) => void
  /** How long it has been behind at this instant, ms; 0 = it is not. */
  behindMs: (wallMs: number) => number
  close: () => void
}

export function createBacklog ({ queue_bytes_max: queueMax, outlet, write }: BacklogOptions): Backlog {
  /** In the order in which they catch up. */
  const waiting = new Map<string, () => void>()
  /** Wall ms since which it is behind; null = it is not. */
  let since: number | null = null
  let turn: string | null = null
  let closed = false

  function drained (): void {
    since = null
    next()
  }

  function next (): void {
    if (turn !== null || since !== null || closed) return
    const [first] = waiting
    if (first === undefined) return
    const [key, resume] = first
    waiting.delete(key)
    turn = key
    resume()
  }

  /** What it missed comes in one go: the next one may follow after it. */
  function endTurn (key: string): void {
    if (turn !== key) return
    setImmediate(() => {
      if (turn === key) turn = null
      next()
    })
  }

  return {
    take (key, frame, resume) {
      const queued = outlet()
      if (since === null && turn !== key && queued !== null && queued.queued() > queueMax) {
        since = Date.now()
        queued.flush(drained)
      }
      const taken = since === null
      if (taken) write(frame)
      else waiting.set(key, resume)
      endTurn(key)
      return taken
    },
    drop (key) {
      waiting.delete(key)
      endTurn(key)
    },
    behindMs: wallMs => since === null ? 0 : wallMs - since,
    close () {
      closed = true
      waiting.clear()
    }
  }
}
