// Single-use tickets: a short secret that stands for what was said when it was issued, for addresses that must not hold a token.

import { randomBytes } from 'node:crypto'
import { TICKET_MS } from '../protocol/limits.ts'
import type { Connections } from './connections.ts'
import type { Keys } from './keys.ts'

export interface Tickets {
  /** @param text comes back when it is redeemed. @returns the ticket; good for 30 s and one use */
  issueTicket (text: string): Promise<string>
  /** @returns null when it was used, has ended or never was */
  redeemTicket (ticket: string): Promise<string | null>
}

const TICKET_BYTES = 32

export function createTickets ({ connections, keys }: { connections: Connections, keys: Keys }): Tickets {
  const redis = connections.command
  return {
    async issueTicket (text) {
      const ticket = randomBytes(TICKET_BYTES).toString('base64url')
      await redis.set(keys.ticket(ticket), text, 'PX', TICKET_MS)
      return ticket
    },
    // Anything else is no name that was given out, and must not become the name of a key.
    redeemTicket: async (ticket) => /^[\w-]{43}$/.test(ticket) ? await redis.getdel(keys.ticket(ticket)) : null
  }
}
