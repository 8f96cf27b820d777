// What a socket that reads too slowly has missed of its tenant's stream: the newest state of each job, and every end. Bounded by
// bytes; the texts are those of all its fellows, so that many slow sockets cost little more than one. Beyond the bound states go
// first, for a list of the newest jobs, and never ends: when those alone are too much, it is lost, and the socket has to come back.

import type { Frame } from './frame.ts'

/** What a message of the tenant's stream is about. */
export type About = { kind: 'list' } | { kind: 'state' | 'end' | 'removal', job_id: string }

export interface Told { frame: Frame, about: About }

/** About a thousand ends. */
const BYTES_MAX = 1_048_576

export class Missed {
  /** Of each job in the order in which it changed last: ends, and behind them the newest that is none. */
  readonly #jobs = new Map<string, Told[]>()
  #bytes = 0
  #needsList = false

  /** States are missing: the list comes before all that was kept. */
  get needs_list (): boolean { return this.#needsList }

  /** More ended than may be kept. */
  get lost (): boolean { return this.#bytes > BYTES_MAX }

  keep (told: Told): void {
    const { about } = told
    if (about.kind === 'list') {
      this.#needsList = true
      return
    }
    const before = this.#jobs.get(about.job_id) ?? []
    this.#jobs.delete(about.job_id)
    this.#jobs.set(about.job_id, [...this.#ends(before), told])
    this.#bytes += told.frame.bytes.length
    if (this.lost) this.#forgetStates()
  }

  /** All that was kept; each job's in order. */
  take (): Told[] {
    return [...this.#jobs.values()].flat()
  }

  #ends (of: readonly Told[]): Told[] {
    return of.filter(({ frame, about: { kind } }) => {
      if (kind === 'end') return true
      this.#bytes -= frame.bytes.length
      return false
    })
  }

  #forgetStates (): void {
    this.#needsList = true
    for (const [id, told] of this.#jobs) {
      const ends = this.#ends(told)
      if (ends.length > 0) this.#jobs.set(id, ends)
      else this.#jobs.delete(id)
    }
  }
}
