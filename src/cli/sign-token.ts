// Tokens as gateways take them: HS256, the tenant in the claim that the deployment names.

import { SignJWT } from 'jose'

export interface TokenOptions {
  secret: string
  tenant_id: string
  /** Dots go into objects: `app_metadata.tenant_id`. */
  tenant_claim: string
  scopes: readonly string[]
  subject: string
  lifetime_s: number
}

export async function signToken (options: TokenOptions): Promise<string> {
  const claims = { scope: options.scopes.join(' '), ...claimOf(options.tenant_claim.split('.'), options.tenant_id) }
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(options.subject)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000 + options.lifetime_s))
    .sign(Buffer.from(options.secret, 'utf8'))
}

function claimOf (path: readonly string[], value: string): Record<string, unknown> {
  const [first = '', ...rest] = path
  return { [first]: rest.length === 0 ? value : claimOf(rest, value) }
}
