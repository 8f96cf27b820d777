// How many messages a socket, or a tenant, may send: `burst` at once, `per_s` in the long run.

export interface TokenBucketOptions {
  per_s: number
  burst: number
  /** Monotonic ms; performance.now unless told. */
  now?: () => number
}

export class TokenBucket {
  readonly #options: TokenBucketOptions
  #tokens: number
  #last: number

  constructor (options: TokenBucketOptions) {
    this.#options = options
    this.#tokens = options.burst
    this.#last = this.#now()
  }

  /** @param count at most `burst`. @returns false when that is too many; then nothing is taken */
  take (count = 1): boolean {
    const { per_s: perSecond, burst } = this.#options
    const time = this.#now()
    this.#tokens = Math.min(burst, this.#tokens + (time - this.#last) / 1_000 * perSecond)
    this.#last = time
    if (this.#tokens < count) return false
    this.#tokens -= count
    return true
  }

  /** What was taken was not used. */
  giveBack (): void {
    this.#tokens = Math.min(this.#options.burst, this.#tokens + 1)
  }

  #now (): number {
    return this.#options.now?.() ?? performance.now()
  }
}
