// Single-use tickets stand for a token where an address would hold it: query strings end up in logs. Good for one handshake or
// stream within 30 s, and from the page that asked for it only.

import { HeadwayError } from '../protocol/errors.ts'
import type { Identity } from './auth.ts'
import type { Reach } from './reach.ts'
import { createSeal } from './seal.ts'

export interface Tickets {
  /** @param origin of the page that asks; absent = not a browser, any page may use it */
  issue: (identity: Identity, origin: string | undefined) => Promise<string>
  /** @throws HeadwayError unauthorized when it was used, has ended, never was, or came from another page */
  redeem: (ticket: string, origin: string | undefined) => Promise<Identity>
}

export interface TicketsOptions {
  engine: Pick<Reach, 'issueTicket' | 'redeemTicket'>
  /** The same at all gateways. */
  secret: string
}

/** `sealed`: the user's own token, which nobody reads in Redis. */
interface Kept { tenant_id: string, scopes: string[], expires_at: number | null, origin: string | null, sealed?: string }

export function createTickets ({ engine, secret }: TicketsOptions): Tickets {
  const { seal, open } = createSeal(secret, 'headway ticket')
  return {
    async issue ({ tenant_id: tenant, scopes, expires_at: expiresAt, user_token: token }, origin) {
      const kept: Kept = { tenant_id: tenant, scopes: [...scopes], expires_at: expiresAt, origin: origin ?? null }
      return await engine.issueTicket(JSON.stringify(token === null ? kept : { ...kept, sealed: seal(token) }))
    },
    async redeem (ticket, origin) {
      const text = await engine.redeemTicket(ticket)
      if (text === null) throw new HeadwayError('unauthorized', 'The ticket was used, has ended or never was; get a new one.')
      const { tenant_id: tenant, scopes, expires_at: expiresAt, origin: its, sealed } = JSON.parse(text) as Kept
      if (its !== null && its !== origin) throw new HeadwayError('unauthorized', 'The ticket was given to a page of another origin; get one from this page.')
      const token = sealed === undefined ? null : open(sealed)
      // Without it the database would show what is the tenant's, not what is the user's.
      if (sealed !== undefined && token === null) throw new HeadwayError('unauthorized', 'The ticket is of a gateway with another HEADWAY_JWT_SECRET; get a new one.')
      return { tenant_id: tenant, scopes: new Set(scopes), expires_at: expiresAt, user_token: token }
    }
  }
}
