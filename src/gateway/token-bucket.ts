// How many messages a socket, or a tenant, may send: `burst` at once, `per_s` in the long run.

export interface TokenBucketOptions {
  per_s: number
  burst: number
  /** Monotonic ms. */
  now?: () => number
}

export interface TokenBucket {
  /** @param count default 1, at most `burst`. @returns false when that is too many; then nothing is taken */
  take: (count?: number) => boolean
}

export function createTokenBucket (options: TokenBucketOptions): TokenBucket {
  const { per_s: perSecond, burst, now = () => performance.now() } = options
  let tokens = burst
  let last = now()
  return {
    take (count = 1) {
      const time = now()
      tokens = Math.min(burst, tokens + (time - last) / 1_000 * perSecond)
      last = time
      if (tokens < count) return false
      tokens -= count
      return true
    }
  }
}
