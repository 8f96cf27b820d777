// What a socket that reads too slowly has not got. Above the mark it is *behind* and takes nothing more; each of its subscriptions
// is only noted. When the kernel has taken all that was queued, they catch up one after the other, each as a whole: so what is
// queued is at most the mark and what one of them missed.

import type { Frame } from './frame.ts'
import type { Outlet } from './post.ts'

/** The socket's writing side. */
export interface BacklogSink {
  /** Null = the socket is not attached yet. */
  readonly outlet: Pick<Outlet, 'queued' | 'flush'> | null
  write: (frame: Frame) => void
}

/** A subscription, asked for all that it missed. */
export interface Waiting { resume: () => void }

/** A class, like all that exists once a socket (watch.ts). */
export class Backlog {
  readonly #sink: BacklogSink
  readonly #queueMax: number
  /** In the order in which they catch up. */
  #waiting: Map<string, Waiting> | null = null
  /** Wall ms since which it is behind; null = it is not. */
  #since: number | null = null
  #turn: string | null = null
  #closed = false

  /** @param queueMax the mark, bytes */
  constructor (sink: BacklogSink, queueMax: number) {
    this.#sink = sink
    this.#queueMax = queueMax
  }

  /**
   * @param key the subscription that the frame belongs to
   * @returns false when the socket is behind: the frame was not taken, `waiting` will be asked to resume
   */
  take (key: string, frame: Frame, waiting: Waiting): boolean {
    const { outlet } = this.#sink
    if (this.#since === null && this.#turn !== key && outlet !== null && outlet.queued() > this.#queueMax) this.#fallBehind(outlet)
    const taken = this.#since === null
    if (taken) this.#sink.write(frame)
    else (this.#waiting ??= new Map()).set(key, waiting)
    if (this.#turn === key) this.#endTurn(key)
    return taken
  }

  /** The subscription is over, or could not catch up: it is nobody's turn any more. */
  drop (key: string): void {
    this.#waiting?.delete(key)
    if (this.#turn === key) this.#endTurn(key)
  }

  /** How long it has been behind at this instant, ms; 0 = it is not. Answers to what it says itself count too. */
  behindMs (wallMs: number): number {
    const { outlet } = this.#sink
    if (this.#since === null && outlet !== null && outlet.queued() > this.#queueMax) this.#fallBehind(outlet)
    return this.#since === null ? 0 : Math.max(0, wallMs - this.#since)
  }

  close (): void {
    this.#closed = true
    this.#waiting = null
  }

  #fallBehind (outlet: Pick<Outlet, 'flush'>): void {
    this.#since = Date.now()
    outlet.flush(() => {
      this.#since = null
      this.#next()
    })
  }

  #next (): void {
    if (this.#turn !== null || this.#since !== null || this.#closed || this.#waiting === null) return
    const [first] = this.#waiting
    if (first === undefined) return
    const { outlet } = this.#sink
    // The one before may have filled it: the next one waits until that is read.
    if (outlet !== null && outlet.queued() > this.#queueMax) return this.#fallBehind(outlet)
    const [key, waiting] = first
    this.#waiting.delete(key)
    this.#turn = key
    waiting.resume()
  }

  /** What it missed comes in one go: the next one may follow after it. */
  #endTurn (key: string): void {
    setImmediate(() => {
      if (this.#turn === key) this.#turn = null
      this.#next()
    })
  }
}
