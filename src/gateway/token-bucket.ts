// How many messages one socket may send: `burst` at once, `per_s` in the long run.

export interface TokenBucketOptions {
  per_s: number
  burst: number
  /** Monotonic ms. */
  now?: () => number
}

export interface TokenBucket {
  /** @returns false when the message is one too many */
  take: () => boolean
}

export function createTokenBucket (options: TokenBucketOptions): TokenBucket {
  const { per_s: perSecond, burst, now = () => performance.now() } = options
  let tokens = burst
  let last = now()
  return {
    take () {
      const time = now()
      tokens = Math.min(burst, tokens + (time - last) / 1_000 * perSecond)
      last = time
      if (tokens < 1) return false
      tokens--
      return true
    }
  }
}
