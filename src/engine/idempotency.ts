// A request that carries a key takes effect once in 24 hours, on whichever gateway it arrives: the first leaves what came of it.
//
// Value: `<fingerprint> TAB <mark> TAB <what came of it>`, the last empty while the first is under way. That state ends by itself,
// for its gateway may have died; then a repeat is carried out anew.

import { randomUUID } from 'node:crypto'
import { IDEMPOTENCY_BUSY_MS, IDEMPOTENCY_MS } from '../protocol/limits.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'
import { loadScript } from './script.ts'

export type Once =
  | {
    word: 'begun'
    /** Keeps what came of it; a text without tabs, not empty. */
    keep: (outcome: string) => Promise<void>
    /** As if it had not been asked: the next one is carried out. */
    forget: () => Promise<void>
  }
  | { word: 'busy' }
  /** The key was given to a request of another fingerprint. */
  | { word: 'other' }
  | { word: 'done', outcome: string }

export interface Idempotency {
  /** @param fingerprint of the request, without tabs */
  beginOnce (tenant: string, key: string, fingerprint: string): Promise<Once>
}

const settleScript = loadScript('settle_once.lua')

export function createIdempotency ({ connections, keys }: { connections: Connections, keys: Keys }): Idempotency {
  const redis = connections.command
  return {
    async beginOnce (tenant, key, fingerprint) {
      const name = keys.idempotent(tenant, key)
      const mark = `${fingerprint}\t${randomUUID()}\t`
      const found = await redis.set(name, mark, 'PX', IDEMPOTENCY_BUSY_MS, 'NX', 'GET')
      if (found === null) {
        const settle = async (outcome: string): Promise<void> => {
          await settleScript.run(redis, { once: name }, { mark, outcome, kept_ms: IDEMPOTENCY_MS })
        }
        return { word: 'begun', keep: settle, forget: () => settle('') }
      }
      const [known, , outcome = ''] = found.split('\t', 3)
      if (known !== fingerprint) return { word: 'other' }
      return outcome === '' ? { word: 'busy' } : { word: 'done', outcome }
    }
  }
}
