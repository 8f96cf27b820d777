// How long to wait before the next try: full jitter, so that many persisters do not come back at once.

export interface Backoff {
  /** Of the next wait, ms; each call doubles its bound up to the greatest. */
  next (): number
  reset (): void
  /** Waits begun since the last reset. */
  readonly tries: number
}

export function createBackoff (firstMs: number, maxMs: number, random: () => number = Math.random): Backoff {
  let tries = 0
  return {
    next () {
      const bound = Math.min(maxMs, firstMs * 2 ** Math.min(tries, 30))
      tries++
      return Math.ceil(random() * bound)
    },
    reset () { tries = 0 },
    get tries () { return tries }
  }
}
