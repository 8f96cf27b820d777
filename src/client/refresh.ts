// Keeps an open socket's token fresh: shortly before it expires another one is asked for and told in-band, so that an hour's
// token does not cut a day's watch. A token that is no JWT, or has no end, is left alone.

import type { ClientMessage } from '../protocol/messages.ts'
import type { Clock, TokenSource } from './platform.ts'

export interface Refresher {
  /** The socket is open with this token. */
  begin (token: string): void
  /** Asks for a token now and tells it when it is another one. */
  now (): Promise<void>
  stop (): void
}

/** Before the end; who issues tokens (Supabase among them) gives a new one when the old has less than 90 s to live. */
const AHEAD_MS = 60_000
const AGAIN_MS = 10_000
/** An error without an id would be taken for one of the tenant's stream. */
const REQUEST_ID = 'refresh'
/** Timers cannot hold more than 2^31 ms. */
const WAIT_MS_MAX = 86_400_000

export function createRefresher ({ getToken, send, clock }: {
  getToken: TokenSource
  send: (message: ClientMessage) => boolean
  clock: Clock
}): Refresher {
  let token = ''
  let timer: unknown

  function arm (): void {
    clock.clearTimeout(timer)
    const end = expiryOf(token)
    if (end === null) return
    const left = end - Date.now()
    if (left <= 0) return // the server ends the socket, and the next one asks for a token anyway
    timer = clock.setTimeout(() => { void now() }, left > AHEAD_MS ? Math.min(left - AHEAD_MS, WAIT_MS_MAX) : Math.min(left, AGAIN_MS))
  }

  async function now (): Promise<void> {
    const asked = token
    const fresh = await Promise.resolve().then(getToken).catch(() => asked)
    if (asked !== token || asked === '') return // another socket, or none
    if (fresh !== token && send({ action: 'authenticate', token: fresh, id: REQUEST_ID })) token = fresh
    arm()
  }

  return {
    begin (given) {
      token = given
      arm()
    },
    now,
    stop () {
      token = ''
      clock.clearTimeout(timer)
    }
  }
}

/** When a JWT ends, ms; null when it does not say. */
export function expiryOf (token: string): number | null {
  try {
    const { exp } = JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : null
  } catch {
    return null
  }
}
