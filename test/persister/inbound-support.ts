// Everything that what apps write passes through, real but for the Realtime stand-in: Redis, Postgres, PostgREST; two tenants' users.

import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import t from 'tap'
import { createRealtimeStandIn } from '../../src/demo/realtime-stand-in.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { Inbox } from '../../src/persister/inbox.ts'
import type { Sink } from '../../src/persister/sink.ts'
import { createSupabaseSink } from '../../src/persister/supabase-sink.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRest } from '../support/rest.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { startTopology } from '../support/topology.ts'

export const topology = await startTopology('single')
t.teardown(() => topology.stop())
export const postgres = await startPostgres()
t.teardown(() => postgres.stop())
await postgres.query(ROLES)
await postgres.query(SCHEMA)
export const rest = await startRest(postgres.url)
t.teardown(() => rest.stop())
export const realtime = createRealtimeStandIn({
  database_url: postgres.url,
  jwt_secret: rest.jwt_secret,
  secret_key: rest.key,
  publishable_key: rest.publishable_key,
  server: rest.server,
  poll_ms: 10,
  subscribe_after_ms: 0,
  refuse_after_ms: 10
})
await realtime.start()
t.teardown(() => realtime.stop())

export async function userOf (tenant: string): Promise<SupabaseClient> {
  const token = await rest.token({ role: 'authenticated', sub: `${tenant}-user`, app_metadata: { tenant_id: tenant } })
  return createClient(rest.url, rest.publishable_key, { accessToken: async () => token })
}

/** Tables as in the beginning. */
export async function clear (): Promise<void> {
  await postgres.query('truncate bulk_jobs, bulk_job_items, job_events, headway.resume')
}

export function supabase (bell: Parameters<typeof createSupabaseSink>[0]['bell'] = {}): Sink {
  return createSupabaseSink({ url: rest.url, key: rest.key, bell: { retry_first_ms: 5, retry_max_ms: 50, ...bell } })
}

/** The sink with an inbox of which some functions are others. */
export function withInbox (sink: Sink, change: (inbox: Inbox) => Partial<Inbox>): Sink {
  const { inbox } = sink
  if (inbox === undefined) throw new Error(`${sink.name} has no inbox`)
  return { ...sink, inbox: { ...inbox, ...change(inbox) } }
}

/** What a job's log holds, in words. */
export async function historyOf (engine: Engine, job: string, tenant = 'acme'): Promise<string[]> {
  const { events } = await engine.readLog(tenant, job, 0, 1_000) ?? { events: [] }
  return events.map((event) => {
    if (event.event === 'state_changed') return `${event.prior}>${event.next}`
    return event.event === 'item' ? `${event.item.id} ${event.name}` : event.event
  })
}

export const rowOf = async (job: string, tenant = 'acme') => (await postgres.query(`select state, run::float8, pending, requested_state, refused,
  requested_rev::int, handled_rev::int from bulk_jobs where tenant_id = $1 and id = $2`, [tenant, job]))[0]
export const waiting = async (): Promise<number> => Number((await postgres.query(`select (select count(*) from bulk_jobs where pending) +
  (select count(*) from job_events where origin = 'app' and handled_at is null) as n`))[0]?.['n'])
