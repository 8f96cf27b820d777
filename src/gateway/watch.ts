// One subscription of one socket, as a room sees it: it settles when the first message has gone out, or never could.

import { HeadwayError } from '../protocol/errors.ts'
import type { Backlog } from './backlog.ts'
import type { Frame } from './frame.ts'
import type { Member, Place } from './seats.ts'

export interface WatchOwner {
  readonly backlog: Backlog
  /** @param why null = the job has ended and left Redis; else why it cannot be watched any more */
  watchEnded: (watch: Watch, why: HeadwayError | null) => void
}

/** A class, like all that exists once a socket: its methods are shared, closures would be a kilobyte each time. */
export class Watch implements Member {
  readonly job_id: string
  readonly #owner: WatchOwner
  #place: Place | null = null
  #onJoined: ((resumed: boolean) => void) | null
  #resolve: (() => void) | null = null
  #reject: ((why: HeadwayError) => void) | null = null

  constructor (owner: WatchOwner, jobId: string, onJoined: ((resumed: boolean) => void) | null) {
    this.#owner = owner
    this.job_id = jobId
    this.#onJoined = onJoined
  }

  /** @returns settles with the first message; rejects with why there is none: `closed` when the watch was stopped before */
  begin (join: (member: Member) => Place): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#place = join(this)
    })
  }

  joined (resumed: boolean): void {
    this.#onJoined?.(resumed)
    this.#settle()
  }

  send (frame: Frame): boolean {
    return this.#owner.backlog.take(this.job_id, frame, this)
  }

  /** The socket is behind no longer. */
  resume (): void {
    this.#place?.resume()
  }

  ended (why: HeadwayError | null): void {
    this.#owner.backlog.drop(this.job_id)
    const reject = this.#reject
    if (reject !== null && why !== null) {
      this.#forget()
      this.#owner.watchEnded(this, null)
      return reject(why)
    }
    this.#settle()
    this.#owner.watchEnded(this, why)
  }

  stop (): void {
    this.#place?.leave()
    this.#owner.backlog.drop(this.job_id)
    const reject = this.#reject
    this.#forget()
    reject?.(new HeadwayError('closed', 'The job is not watched any more, or anew, before its first message came.'))
  }

  #settle (): void {
    this.#resolve?.()
    this.#forget()
  }

  #forget (): void {
    this.#resolve = this.#reject = this.#onJoined = null
  }
}
