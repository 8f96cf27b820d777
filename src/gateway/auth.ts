// Who is asking: a token becomes a tenant and its scopes. HS256 by the shared secret, others by public keys where there are some; which
// algorithms count is fixed there, never read from a token.

import { createSecretKey, type KeyObject } from 'node:crypto'
import { HeadwayError } from '../protocol/errors.ts'
import { isId } from '../protocol/ids.ts'
import { verifyHs256 } from './hs256.ts'
import { createVerifyByKeys, type VerifyByKeys } from './jwks.ts'

/** jobs:read sees, jobs:control pauses, resumes and cancels, jobs:write is a worker's. */
export type Scope = 'jobs:read' | 'jobs:control' | 'jobs:write'

/** Clocks differ: a token is taken this long after its end, and this long before its start. */
export const LEEWAY_S = 60

/** Supabase's sessions name the database's role for users. Tokens of Headway name none. */
const SESSION_ROLE = 'authenticated'

export interface Identity {
  tenant_id: string
  scopes: ReadonlySet<string>
  /** Wall ms at which sockets of this token end, leeway included; null = never. */
  expires_at: number | null
  /** The token itself, when it is a Supabase user's and the database will be asked with it; else null. */
  user_token: string | null
}

export interface AuthOptions {
  jwt_secret: string
  /** Where public keys of tokens are; empty or absent = nowhere. */
  jwks_url?: string
  /** Path of the claim that names the tenant, joined by dots. */
  tenant_claim: string
  /** Scopes of a token without a `scope` claim. */
  user_scopes: readonly Scope[]
  /** Tokens of Supabase users stay with the identity; absent = they are forgotten. */
  keep_user_tokens?: boolean
}

export interface Auth {
  /** @throws HeadwayError unauthorized or token_expired (401), forbidden (403) when the token names no tenant, overloaded without keys */
  verify: (token: string) => Promise<Identity>
}

export function createAuth (options: AuthOptions): Auth {
  const key = createSecretKey(options.jwt_secret, 'utf8')
  const byKeys = options.jwks_url ? createVerifyByKeys({ url: options.jwks_url }) : null
  const path = options.tenant_claim.split('.')
  const defaults: ReadonlySet<string> = new Set(options.user_scopes)
  return {
    async verify (token) {
      const claims = await claimsOf(token, key, byKeys)
      const tenant = at(claims, path)
      if (!isId(tenant)) {
        throw new HeadwayError('forbidden', `The token's claim ${options.tenant_claim} names no tenant; it must be an identifier.`)
      }
      return {
        tenant_id: tenant,
        scopes: scopesOf(claims.scope) ?? defaults,
        expires_at: claims.exp === undefined ? null : (claims.exp + LEEWAY_S) * 1_000,
        user_token: options.keep_user_tokens === true && claims['role'] === SESSION_ROLE ? token : null
      }
    }
  }
}

/** @throws HeadwayError forbidden */
export function requireScope (identity: Identity, scope: Scope): void {
  if (!identity.scopes.has(scope)) throw new HeadwayError('forbidden', `The token lacks the scope ${scope}.`)
}

/** @returns the token of an Authorization header; null when there is none of type Bearer */
export function bearerOf (header: string | undefined): string | null {
  return /^Bearer +([^\s]+) *$/i.exec(header ?? '')?.[1] ?? null
}

interface Claims { [name: string]: unknown, exp?: number }

/** The claims of time are RFC 7519 §4.1.4–5: seconds, fractions allowed. */
async function claimsOf (token: string, key: KeyObject, byKeys: VerifyByKeys | null): Promise<Claims> {
  const claims: Claims | null = verifyHs256(token, key) ?? (byKeys === null ? null : await byKeys(token))
  if (claims === null) throw new HeadwayError('unauthorized', 'The token is not valid here; get a new one.')
  const { exp, nbf } = claims
  const now = Date.now() / 1_000
  if (exp !== undefined && !Number.isFinite(exp)) throw new HeadwayError('unauthorized', 'The token\'s claim exp is no number; get a new one.')
  if (exp !== undefined && exp as number <= now - LEEWAY_S) throw new HeadwayError('token_expired', 'The token has expired; get a new one.')
  if (nbf !== undefined && !(nbf as number <= now + LEEWAY_S)) throw new HeadwayError('unauthorized', 'The token is not valid yet; look at nbf.')
  return claims
}

function at (claims: Claims, path: readonly string[]): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** @returns null when the token has no scope claim; one of another form grants nothing */
function scopesOf (claim: unknown): ReadonlySet<string> | null {
  if (claim === undefined) return null
  return new Set(typeof claim === 'string' ? claim.split(' ') : [])
}
