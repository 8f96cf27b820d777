// The doorbell of a Supabase project: Realtime tells that rows changed. What it tells is not read, and may be lost at any time; what
// matters is that it is never believed to listen when it does not. Whatever goes wrong, the whole client is thrown away and a new one
// made: a channel may be closed for good, the token of a socket expires, and a client that comes back by itself keeps a listener more
// each time.

import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import { createBackoff } from './backoff.ts'
import type { BellParams, Doorbell } from './inbox.ts'
import { createTransport, type Transport } from './transport.ts'

export interface RealtimeBellOptions {
  url: string
  key: string
  /** Not live so long after a beginning = begin anew. */
  live_within_ms?: number
  /** Connections by a secret key end after 24 hours, and could not subscribe again: go before. */
  age_max_ms?: number
  heartbeat_ms?: number
  retry_first_ms?: number
  retry_max_ms?: number
}

interface Session { client: SupabaseClient, transport: Transport, live_since: number | null, timers: NodeJS.Timeout[] }

interface SystemMessage { extension?: string, status?: string, message?: string }

/** Two live times shorter than this in a row wait longer and longer. */
const STEADY_MS = 10_000

export function createRealtimeBell (options: RealtimeBellOptions, { ring, onRenewal }: BellParams): Doorbell {
  const { url, key, live_within_ms: liveWithinMs = 20_000, age_max_ms: ageMaxMs = 21_600_000, heartbeat_ms: heartbeatMs = 25_000 } = options
  const backoff = createBackoff(options.retry_first_ms ?? 1_000, options.retry_max_ms ?? 15_000)
  let session: Session | null = null
  let again: NodeJS.Timeout | undefined
  let stopped = false
  let renewals = 0

  function open (): void {
    const transport = createTransport([30_000]) // it is replaced long before it would come back by itself
    const client = createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      realtime: { transport: transport.constructor, reconnectAfterMs: transport.reconnectAfterMs, heartbeatIntervalMs: heartbeatMs }
    })
    const own: Session = { client, transport, live_since: null, timers: [] }
    session = own
    own.timers.push(
      setTimeout(() => { if (own.live_since === null) renew(own, 'not live in time') }, liveWithinMs),
      setTimeout(() => { renew(own, 'age') }, ageMaxMs * (0.9 + Math.random() * 0.1))
    )
    const rung = (): void => { if (own === session) ring() }
    client.channel('headway-inbound')
      .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'bulk_jobs', filter: 'pending=eq.true' }, rung)
      .on('postgres_changes', { event: 'UPDATE', schema: 'public', table: 'bulk_jobs', filter: 'pending=eq.true' }, rung)
      .on('postgres_changes', { event: 'INSERT', schema: 'headway', table: 'job_events_app' }, rung)
      .on('system', {}, (message: SystemMessage) => { onSystem(own, message) })
      .subscribe((state, error) => {
        // Joined is not listening: the system message says that.
        if (state !== 'SUBSCRIBED') renew(own, error === undefined ? state : `${state}: ${error.message}`)
      })
  }

  function onSystem (own: Session, { extension, status, message = '' }: SystemMessage): void {
    if (own !== session) return
    if (status === 'ok' && extension === 'postgres_changes') {
      own.live_since = performance.now()
      ring() // for what came before it listened
    } else if (status === 'error') {
      renew(own, message)
    }
  }

  function close (own: Session): void {
    for (const timer of own.timers) clearTimeout(timer)
    own.transport.end()
  }

  function renew (own: Session, why: string): void {
    if (own !== session || stopped) return
    session = null
    close(own)
    renewals++
    onRenewal(why)
    if (own.live_since !== null && performance.now() - own.live_since > STEADY_MS) backoff.reset()
    again = setTimeout(open, backoff.next())
  }

  return {
    get live () { return session !== null && session.live_since !== null },
    get renewals () { return renewals },
    start: open,
    async stop () {
      stopped = true
      clearTimeout(again)
      if (session !== null) close(session)
      session = null
    },
    missed () { if (session !== null) renew(session, 'rows came without a ring') }
  }
}
