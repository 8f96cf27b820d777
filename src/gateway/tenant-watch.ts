// The tenant's stream on one socket: state, not log. What the socket is too slow for is kept by job (missed.ts), and told when it has
// read; where states had to be let go, behind a list that says `reset: true`.

import { HeadwayError } from '../protocol/errors.ts'
import type { Backlog } from './backlog.ts'
import type { Hub } from './hub.ts'
import { Missed, type Told } from './missed.ts'

/** Names the tenant's stream among the subscriptions; no job's id is empty. */
const KEY = ''

export interface TenantWatchOwner {
  readonly backlog: Backlog
  /** It cannot be watched any more. */
  tenantEnded: (why: HeadwayError) => void
  /** More has ended than can be kept for a socket that does not read. */
  tenantLost: () => void
}

export class TenantWatch {
  readonly #owner: TenantWatchOwner
  readonly #tenant: string
  readonly #hub: Pick<Hub, 'joinTenant'>
  #leave: (() => void) | null = null
  #missed: Missed | null = null
  /** Kept from before the list that is on its way. */
  #behindList: Told[] = []

  constructor (owner: TenantWatchOwner, hub: Pick<Hub, 'joinTenant'>, tenant: string) {
    this.#owner = owner
    this.#hub = hub
    this.#tenant = tenant
  }

  /** @returns settles with the list; rejects with why there is none: `closed` when it was stopped before */
  begin (onJoined: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let joined = false
      this.#join(false, () => {
        joined = true
        onJoined()
        resolve()
      }, why => {
        if (joined) this.#owner.tenantEnded(why)
        else reject(why)
      })
      const leave = this.#leave
      this.#leave = () => {
        leave?.()
        reject(new HeadwayError('closed', 'The tenant is not watched any more, or anew, before the list came.'))
      }
    })
  }

  stop (): void {
    this.#leave?.()
    this.#leave = null
    this.#owner.backlog.drop(KEY)
  }

  /** The socket is behind no longer. */
  resume (): void {
    const missed = this.#missed
    this.#missed = null
    if (missed === null) return this.#owner.backlog.drop(KEY)
    if (!missed.needs_list) {
      for (const told of missed.take()) this.#tell(told)
      return
    }
    this.#behindList.push(...missed.take())
    const leave = this.#leave
    this.#join(true, () => {}, why => this.#owner.tenantEnded(why))
    leave?.() // only now: a room that is left by all would hear nothing in between
  }

  /** @param again for a socket that had a list: another one replaces it */
  #join (again: boolean, joined: () => void, ended: (why: HeadwayError) => void): void {
    this.#leave = this.#hub.joinTenant(this.#tenant, {
      again,
      joined,
      send: (frame, about) => this.#tell({ frame, about }),
      ended: why => {
        this.#owner.backlog.drop(KEY)
        ended(why)
      }
    })
  }

  #tell (told: Told): void {
    if (!this.#owner.backlog.take(KEY, told.frame, this)) {
      this.#missed ??= new Missed()
      this.#missed.keep(told)
      if (this.#missed.lost) return this.#owner.tenantLost()
    }
    if (told.about.kind === 'list') for (const one of this.#behindList.splice(0)) this.#tell(one)
  }
}
