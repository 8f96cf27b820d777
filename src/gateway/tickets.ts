// Single-use tickets stand for a token where an address would hold it: query strings end up in logs. Good for one handshake or
// stream within 30 s, and from the page that asked for it only.

import { HeadwayError } from '../protocol/errors.ts'
import type { Identity } from './auth.ts'
import type { Reach } from './reach.ts'

export interface Tickets {
  /** @param origin of the page that asks; absent = not a browser, any page may use it */
  issue: (identity: Identity, origin: string | undefined) => Promise<string>
  /** @throws HeadwayError unauthorized when it was used, has ended, never was, or came from another page */
  redeem: (ticket: string, origin: string | undefined) => Promise<Identity>
}

interface Kept { tenant_id: string, scopes: string[], expires_at: number | null, origin: string | null }

export function createTickets ({ engine }: { engine: Pick<Reach, 'issueTicket' | 'redeemTicket'> }): Tickets {
  return {
    async issue ({ tenant_id: tenant, scopes, expires_at: expiresAt }, origin) {
      const kept: Kept = { tenant_id: tenant, scopes: [...scopes], expires_at: expiresAt, origin: origin ?? null }
      return await engine.issueTicket(JSON.stringify(kept))
    },
    async redeem (ticket, origin) {
      const text = await engine.redeemTicket(ticket)
      if (text === null) throw new HeadwayError('unauthorized', 'The ticket was used, has ended or never was; get a new one.')
      const { tenant_id: tenant, scopes, expires_at: expiresAt, origin: its } = JSON.parse(text) as Kept
      if (its !== null && its !== origin) throw new HeadwayError('unauthorized', 'The ticket was given to a page of another origin; get one from this page.')
      return { tenant_id: tenant, scopes: new Set(scopes), expires_at: expiresAt }
    }
  }
}
