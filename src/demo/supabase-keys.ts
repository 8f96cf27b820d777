// The keys of a local project: of the new kind, which are no tokens, and of the legacy kind, which are; and its users' tokens.

import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'

export interface SupabaseKeys {
  /** sb_secret_…: role service_role. */
  readonly secret: string
  /** sb_publishable_…: role anon, or whatever the user's token says. */
  readonly publishable: string
  /** The legacy kind of both, tokens themselves. */
  readonly service_role: string
  readonly anon: string
}

/** @param claims with the role; @param lifetime as jose takes it */
export async function signClaims (jwtSecret: string, claims: Record<string, unknown>, lifetime = '1d'): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).setIssuedAt().setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(jwtSecret))
}

/** @param lifetime of the legacy ones */
export async function makeKeys (jwtSecret: string, lifetime = '1d'): Promise<SupabaseKeys> {
  const random = (): string => randomBytes(12).toString('hex')
  return {
    secret: `sb_secret_${random()}`,
    publishable: `sb_publishable_${random()}`,
    service_role: await signClaims(jwtSecret, { role: 'service_role' }, lifetime),
    anon: await signClaims(jwtSecret, { role: 'anon' }, lifetime)
  }
}

export interface SessionOptions { tenant: string, user: string, lifetime?: string }

/** A user's session, as far as the database and Headway look at it. */
export async function signSession (jwtSecret: string, { tenant, user, lifetime }: SessionOptions): Promise<string> {
  const claims = { role: 'authenticated', aud: 'authenticated', sub: user, app_metadata: { tenant_id: tenant } }
  return await signClaims(jwtSecret, claims, lifetime)
}
