// Who of several persisters works on which partition, so that they do not all do the same. Nothing depends on it: a lease that
// ran out while its holder was paused costs double work, no more.

import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { loadScript, replyOf } from './script.ts'

export interface Leases {
  /** Takes or renews. @returns false while somebody else has it */
  hold (partition: number, holder: string, ttl_ms: number): Promise<boolean>
  /** Idempotent; another's lease stays. */
  release (partition: number, holder: string): Promise<void>
  /** Says that `holder` lives. @returns how many did within ttl_ms, itself included */
  announce (holder: string, ttl_ms: number): Promise<number>
  /** Says that it goes, or is of no use. @returns how many others lived within ttl_ms */
  retire (holder: string, ttl_ms: number): Promise<number>
}

const script = loadScript('lease.lua')

export function createLeases ({ connections, keys }: { connections: Connections, keys: Keys }): Leases {
  const redis = connections.command
  const run = async (partition: number, holder: string, ttl_ms: number): Promise<unknown> =>
    replyOf(script, await script.run(redis, { lease: keys.lease(partition) }, { holder, ttl_ms }))[0]
  return {
    hold: async (partition, holder, ttlMs) => await run(partition, holder, ttlMs) === 'held',
    async release (partition, holder) { await run(partition, holder, 0) },
    async announce (holder, ttlMs) {
      const now = Date.now() // among persisters whose clocks differ, the worst is an uneven share
      await redis.zadd(keys.persisters, now, holder)
      await redis.zremrangebyscore(keys.persisters, '-inf', now - ttlMs)
      return await redis.zcard(keys.persisters)
    },
    async retire (holder, ttlMs) {
      await redis.zrem(keys.persisters, holder)
      return await redis.zcount(keys.persisters, Date.now() - ttlMs, '+inf')
    }
  }
}
