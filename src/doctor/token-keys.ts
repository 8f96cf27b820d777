// The public keys that tokens are checked with: whether they can be fetched, and are of a kind that counts.

import type { Config } from '../config/schema.ts'
import { findingsOf, reasonOf, type Finding } from './finding.ts'

const FETCH_MS_MAX = 5_000
const { ok, warning, problem } = findingsOf('configuration')

/** @returns nothing when no keys are wanted */
export async function examineTokenKeys ({ jwks_url: url }: Config): Promise<Finding[]> {
  if (url === '') return []
  const trouble = { means: 'tokens that are signed with such a key are answered 503, those of HEADWAY_JWT_SECRET count', advice: 'look at HEADWAY_JWKS_URL, and at the way there from here' }
  let keys: unknown
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS_MAX), redirect: 'manual' })
    if (response.status !== 200) return [problem('jwks', `HEADWAY_JWKS_URL answers ${response.status}`, trouble)]
    keys = (await response.json() as { keys?: unknown }).keys
  } catch (error) {
    return [problem('jwks', `HEADWAY_JWKS_URL cannot be fetched: ${reasonOf(error)}`, trouble)]
  }
  if (!Array.isArray(keys)) return [problem('jwks', 'HEADWAY_JWKS_URL holds no set of keys', trouble)]
  const kinds = keys.map(kindOf).filter(kind => kind !== null)
  if (kinds.length > 0) return [ok('jwks', `${kinds.length} public keys of tokens: ${[...new Set(kinds)].join(', ')}`)]
  return [warning('jwks', `HEADWAY_JWKS_URL holds ${keys.length} keys, none for ES256, RS256 or EdDSA`, {
    means: 'only tokens of HEADWAY_JWT_SECRET count', advice: 'Supabase: give the project a signing key (JWT Keys), or leave HEADWAY_JWKS_URL empty'
  })]
}

function kindOf (key: { kty?: unknown, crv?: unknown } | null): string | null {
  if (key?.kty === 'RSA') return 'RS256'
  if (key?.kty === 'EC' && key.crv === 'P-256') return 'ES256'
  return key?.kty === 'OKP' && key.crv === 'Ed25519' ? 'EdDSA' : null
}
