// Tokens signed by a private key whose public half stands at HEADWAY_JWKS_URL, as Supabase's newer projects sign theirs. Keys that were
// fetched once go on counting while the address does not answer; they are fetched again every ten minutes, and when a token names another.

import { compactVerify, createRemoteJWKSet, errors } from 'jose'
import { HeadwayError } from '../protocol/errors.ts'

/** None that is made with a shared secret: a public key must never count as one. */
const ALGORITHMS = ['ES256', 'RS256', 'EdDSA']
const FETCH_MS_MAX = 5_000
const REFRESH_MS = 600_000
/** Unknown keys make it fetch at most so often, whoever invents them. */
const COOLDOWN_MS = 30_000

/**
 * @returns claims of a token that one of the keys has signed; null for every other text
 * @throws HeadwayError overloaded while no keys can be fetched
 */
export type VerifyByKeys = (token: string) => Promise<Record<string, unknown> | null>

export interface KeysParams { url: string, cooldown_ms?: number }

export function createVerifyByKeys ({ url, cooldown_ms: cooldownMs = COOLDOWN_MS }: KeysParams): VerifyByKeys {
  const keys = createRemoteJWKSet(new URL(url), { cooldownDuration: cooldownMs, cacheMaxAge: Infinity, timeoutDuration: FETCH_MS_MAX })
  let fetchedAt = performance.now()

  function refresh (): void {
    if (performance.now() - fetchedAt < REFRESH_MS) return
    fetchedAt = performance.now()
    keys.reload().catch(() => {}) // the old ones stay
  }

  return async token => {
    refresh()
    try {
      const { payload } = await compactVerify(token, keys, { algorithms: ALGORITHMS })
      const claims: unknown = JSON.parse(new TextDecoder().decode(payload))
      return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? claims as Record<string, unknown> : null
    } catch (cause) {
      if (isFetch(cause)) throw new HeadwayError('overloaded', 'The keys that tokens are signed with cannot be fetched; come again.', { cause })
      return null
    }
  }
}

/** Against faults of the token. */
function isFetch (error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true
  // An answer other than 200, or none at all.
  return error instanceof errors.JOSEError ? error.code === 'ERR_JOSE_GENERIC' : error instanceof TypeError && error.message === 'fetch failed'
}
