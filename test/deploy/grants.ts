// Who may do what, asked through the REST door by unmodified supabase-js. Gives what is not as it should be; nothing = the schema holds.

import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { RestGateway } from '../support/rest.ts'

type Role = 'anon' | 'acme' | 'umbrella' | 'homeless' | 'forger' | 'service'
export type Clients = Record<Role, SupabaseClient>

const TABLES = ['bulk_jobs', 'bulk_job_items', 'job_events'] as const
const FUNCTIONS: [string, Record<string, unknown>][] = [
  ['headway_version', {}], ['headway_persist', { batch: {} }], ['headway_active', { page: { after: null, limit: 1 } }],
  ['headway_items', { page: { tenant_id: 'acme', job_id: 'a', run: 1, after: null, limit: 1 } }], ['headway_pending', { page: { limit: 1 } }],
  ['headway_confirm', { done: {} }], ['headway_maintain', {}], ['headway_maintain_inbound', {}]
]
/** A row and a change that would be taken if nothing forbade them. */
const ROWS = {
  bulk_job_items: { job_id: 'a', run: 1, epoch: 1, seq: 1, state: 'completed', percent_complete: 100, attempt: 1, retryable: false, created_at: '2026-01-01', updated_at: '2026-01-01' },
  job_events: { job_id: 'a', run: 1, epoch: 1, rev: 1, type: 'x', ts: '2026-01-01', data: {} }
}

/** Columns of a request that are Headway's. */
const HEADWAYS = [{ refused: {} }, { request_key: '00000000-0000-0000-0000-000000000000' }, { request_seq: 1 }, { handled_at: '2026-01-01' }]

export async function clientsOf (rest: RestGateway): Promise<Clients> {
  const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }
  const user = async (claims: Record<string, unknown>): Promise<SupabaseClient> => {
    const token = await rest.token({ role: 'authenticated', ...claims })
    return createClient(rest.url, rest.publishable_key, { accessToken: async () => token })
  }
  return {
    anon: createClient(rest.url, rest.publishable_key, { auth }),
    acme: await user({ sub: 'acme-user', app_metadata: { tenant_id: 'acme' } }),
    umbrella: await user({ sub: 'umbrella-user', app_metadata: { tenant_id: 'umbrella' } }),
    homeless: await user({ sub: 'nobody' }),
    forger: await user({ sub: 'forger', user_metadata: { tenant_id: 'acme' }, tenant_id: 'acme' }),
    service: createClient(rest.url, rest.key, { auth })
  }
}

/** Both tenants must have rows in each table. @param round makes the ids of what is inserted new. @param first one is enough */
export async function breaches (clients: Clients, round: string, first = false): Promise<string[]> {
  const found: string[] = []
  const enough = (): boolean => first && found.length > 0
  const want = (what: string, got: unknown, wanted: unknown): void => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) found.push(`${what}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`)
  }
  const outcome = (reply: { error: { code: string } | null, data: unknown }): string =>
    reply.error === null ? 'done' : reply.error.code === '42501' ? 'denied' : reply.error.code
  const seen: Record<Role, string[] | 'denied'> = {
    anon: 'denied', acme: ['acme'], umbrella: ['umbrella'], homeless: [], forger: [], service: ['acme', 'umbrella']
  }

  /** An app's events: of its tenant, and nothing of them but what it says. */
  async function eventsOf (role: Role, client: SupabaseClient): Promise<void> {
    const insert = async (row: object): Promise<string> => outcome(await client.from('job_events').insert(row))
    const own = role === 'service' ? ['acme', 'umbrella'] : role === 'acme' || role === 'umbrella' ? [role] : []
    for (const tenant of ['acme', 'umbrella']) {
      const event = { tenant_id: tenant, job_id: 'a', type: 'job.state', data: { state: 'running' }, origin: 'app' }
      want(`${role} tells of a job of ${tenant}`, await insert(event), own.includes(tenant) ? 'done' : 'denied')
      for (const more of [{ epoch: 5 }, { seq: 5 }, { run: 5 }, { ts: '2026-01-01' }, { handled_at: '2026-01-01' }, { refused: {} }]) {
        want(`${role} tells ${Object.keys(more)[0]} of ${tenant}`, await insert({ ...event, ...more }), 'denied')
      }
      const forged = await insert({ ...event, origin: 'headway' })
      want(`${role} tells of ${tenant} as if it were Headway`, forged, role === 'service' ? '23514' : 'denied')
    }
    const changed = await client.from('job_events').update({ refused: null }).eq('origin', 'app')
    want(`${role} changes an event`, outcome(changed), 'denied')
  }

  await Promise.all((Object.entries(clients) as [Role, SupabaseClient][]).map(async ([role, client]) => {
    for (const table of TABLES) {
      if (enough()) return
      const reply = await client.from(table).select('*')
      const tenants = [...new Set((reply.data as { tenant_id: string }[] | null ?? []).map((row) => row.tenant_id))].sort()
      want(`${role} reads ${table}`, reply.error === null ? tenants : outcome(reply), seen[role])
      want(`${role} deletes in ${table}`, outcome(await client.from(table).delete().eq('tenant_id', 'nobody')), 'denied')
      if (table === 'bulk_jobs') continue
      // the keys that are left out would come from a write that is let through
      const row = { tenant_id: 'acme', ...ROWS[table], ...(table === 'job_events' ? { seq: Number(round) } : { id: `i${round}` }) }
      want(`${role} inserts in ${table}`, outcome(await client.from(table).insert(row as Record<string, unknown>)), 'denied')
      if (table === 'job_events') await eventsOf(role, client)
      want(`${role} updates ${table}`, outcome(await client.from(table).update({ seq: 1 }).eq('tenant_id', 'nobody')), 'denied')
    }
    const insert = async (row: object): Promise<string> => outcome(await client.from('bulk_jobs').insert(row))
    const own = role === 'service' ? ['acme', 'umbrella'] : role === 'acme' || role === 'umbrella' ? [role] : []
    for (const tenant of ['acme', 'umbrella']) {
      if (enough()) return
      const id = `${role}-${round}`
      want(`${role} inserts a job of ${tenant}`, await insert({ tenant_id: tenant, id }), own.includes(tenant) ? 'done' : 'denied')
      for (const more of [{ run: 5 }, { state: 'completed' }, { handled_rev: 9 }, { requested_rev: 9 }, { pending: false }, ...HEADWAYS]) {
        want(`${role} inserts ${Object.keys(more)[0]} of ${tenant}`, await insert({ tenant_id: tenant, id: `${id}-x`, ...more }), 'denied')
      }
      const asked = await client.from('bulk_jobs').update({ requested_state: 'pause' }).eq('tenant_id', tenant).eq('id', 'a').select('id')
      want(`${role} asks a job of ${tenant} to pause`, asked.error === null ? asked.data.length : outcome(asked),
        role === 'anon' ? 'denied' : own.includes(tenant) ? 1 : 0)
      for (const change of [{ state: 'completed' }, { rev: 99 }, { tenant_id: 'umbrella' }, { handled_rev: 1 }, { pending: false }, { metadata: {} }, ...HEADWAYS]) {
        want(`${role} changes ${Object.keys(change)[0]}`, outcome(await client.from('bulk_jobs').update(change).eq('id', 'nobody')), 'denied')
      }
    }
    for (const [name, args] of FUNCTIONS) want(`${role} calls ${name}`, outcome(await client.rpc(name, args)), role === 'service' ? 'done' : 'denied')
    for (const table of ['resume', 'settings', 'job_events_default', 'job_events_app']) {
      want(`${role} reaches headway.${table}`, outcome(await client.schema('headway').from(table).select('*')), 'PGRST106')
    }
  }))
  return found
}
