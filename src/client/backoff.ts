// Exponential backoff with full jitter (AWS Architecture Blog, 2015): clients of a fallen gateway come back spread evenly.

export interface Backoff {
  /**
   * Ms to wait before the next try: anything from 0 to base · 2^tries, at most `cap_ms`.
   * @param atLeastMs comes on top, and the rest is spread at least as wide: a time told to many is a herd
   */
  next (atLeastMs?: number): number
  /** It worked: begin anew. */
  reset (): void
}

export function createBackoff ({ base_ms: baseMs = 250, cap_ms: capMs = 15_000, random = Math.random }: {
  base_ms?: number
  cap_ms?: number
  /** 0 up to, not including, 1. */
  random?: () => number
} = {}): Backoff {
  let tries = 0
  return {
    next (atLeastMs = 0) {
      const spreadMs = Math.min(capMs, baseMs * 2 ** Math.min(tries++, 30))
      return atLeastMs + Math.floor(random() * Math.max(atLeastMs, spreadMs))
    },
    reset () { tries = 0 }
  }
}
