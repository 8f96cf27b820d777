// How much one tenant may ask of this gateway, so that one that has gone wild does not take the others with it. Kept in memory:
// several gateways together allow the sum.

import { HeadwayError } from '../protocol/errors.ts'
import { TokenBucket } from './token-bucket.ts'

export interface QuotaOptions {
  /** Of what, for people: `events`. */
  of: string
  /** The setting that bounds it. */
  setting: string
  per_s: number
  /** At once. */
  burst: number
  /** Monotonic ms. */
  now?: () => number
}

export interface Quota {
  /** @throws HeadwayError too_many_requests; then nothing is counted */
  take: (tenant: string, count?: number) => void
}

/** Tenants that are remembered; the one asked for first is forgotten, and begins with a full bucket when it comes again. */
const TENANTS_MAX = 10_000

export function createQuota (options: QuotaOptions): Quota {
  const buckets = new Map<string, TokenBucket>()

  function bucketOf (tenant: string): TokenBucket {
    const known = buckets.get(tenant)
    if (known !== undefined) return known
    if (buckets.size >= TENANTS_MAX) buckets.delete(buckets.keys().next().value ?? '')
    const bucket = new TokenBucket(options)
    buckets.set(tenant, bucket)
    return bucket
  }

  return {
    take (tenant, count = 1) {
      if (bucketOf(tenant).take(count)) return
      const { of, setting, per_s: perSecond } = options
      throw new HeadwayError('too_many_requests', `More than ${perSecond} ${of} a second of this tenant; send fewer, or raise ${setting}.`)
    }
  }
}
