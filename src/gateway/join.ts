// Joining a job wherever it is kept: a room when Redis has it; else, when the archive has its end, one snapshot of that, and the
// watch is over, as for whoever was there to the last. What a room cannot find is asked for before a client waits for it: a job
// that is over will not come by waiting.

import { endSnapshot, type Archive } from '../archive/archive.ts'
import type { HeadwayError } from '../protocol/errors.ts'
import { findArchived } from './archived.ts'
import type { Identity } from './auth.ts'
import { type Frame, jobFrame } from './frame.ts'
import type { Hub } from './hub.ts'
import { toHeadwayError } from './problem.ts'
import type { JoinOptions, Member, Place } from './seats.ts'

export type Join = (identity: Identity, jobId: string, member: Member, options: JoinOptions) => Place

interface Houses { hub: Pick<Hub, 'join'>, archive: Archive }

/** @param archive null = who joins a job that Redis does not have hears that it is unknown */
export function createJoin ({ hub, archive }: { hub: Pick<Hub, 'join'>, archive: Archive | null }): Join {
  if (archive === null) return ({ tenant_id: tenant }, jobId, member, options) => hub.join(tenant, jobId, member, options)
  const houses = { hub, archive }
  return (identity, jobId, member, options) => new Joining(houses, identity, jobId, member, options)
}

/** Stands between a member and the room. A class, like all that exists once a socket (watch.ts). */
class Joining implements Member, Place {
  readonly #houses: Houses
  readonly #identity: Identity
  readonly #jobId: string
  readonly #member: Member
  readonly #options: JoinOptions
  readonly #waitUntil: number
  /** Null = it is in no room. */
  #place: Place | null
  /** Said when the room does not find the job either; null = the archive has not been asked. */
  #verdict: HeadwayError | null = null
  #joined = false
  #left = false

  constructor (houses: Houses, identity: Identity, jobId: string, member: Member, options: JoinOptions) {
    this.#houses = houses
    this.#identity = identity
    this.#jobId = jobId
    this.#member = member
    this.#options = options
    this.#waitUntil = performance.now() + (options.wait_ms ?? 0)
    this.#place = this.#enter(0)
  }

  #enter (waitMs: number): Place {
    return this.#houses.hub.join(this.#identity.tenant_id, this.#jobId, this, { ...this.#options, wait_ms: waitMs })
  }

  // --- what the room says

  joined (resumed: boolean, over: boolean): void {
    this.#joined = true
    this.#member.joined(resumed, over)
  }

  send (frame: Frame): boolean {
    return this.#member.send(frame)
  }

  ended (why: HeadwayError | null): void {
    if (why?.code !== 'unknown_job' || this.#joined) return this.#member.ended(why)
    if (this.#verdict !== null) return this.#member.ended(this.#verdict)
    this.#askArchive()
  }

  // --- what the member says

  leave (): void {
    this.#left = true
    this.#place?.leave()
  }

  /** The snapshot of the end did not go out whole: another one. */
  resume (): void {
    if (this.#place === null) this.#askArchive()
    else this.#place.resume()
  }

  // --- the archive

  #askArchive (): void {
    this.#place = null
    this.#showEnd().catch((error: unknown) => {
      const why = toHeadwayError(error)
      const rest = this.#waitUntil - performance.now()
      if (this.#left) return
      if (rest <= 0 || this.#joined || !(why.temporary || why.code === 'unknown_job')) return this.#member.ended(why)
      // It may come. When the database was away, nobody may say at the end that it does not exist.
      this.#verdict = why
      this.#place = this.#enter(rest)
    })
  }

  async #showEnd (): Promise<void> {
    const { since = null } = this.#options
    const { archive, found } = await findArchived(this.#houses.archive, this.#identity, this.#jobId)
    const newest = await archive.newestItems(this.#identity, found)
    if (this.#left) return
    const over = since !== null && since.epoch === found.job.epoch && since.seq >= found.job.seq
    if (!this.#joined) this.joined(over, over)
    // One whose socket is behind asks again when it has read.
    if (over || this.send(jobFrame(endSnapshot(found, newest, since !== null)))) this.#member.ended(null)
  }
}
