// The Realtime stand-in, asked by unmodified supabase-js over a real database: what is told, to whom, and each way in which it breaks.

import { createClient, type RealtimeChannel, type SupabaseClient } from '@supabase/supabase-js'
import t, { type Test } from 'tap'
import { createRealtimeStandIn } from '../../src/demo/realtime-stand-in.ts'
import { createTransport } from '../../src/persister/transport.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRest } from '../support/rest.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'

type Row = Record<string, unknown>
type Told = { eventType: string, new: Row, old: Row, errors: string[] | null }

const postgres = await startPostgres()
t.teardown(() => postgres.stop())
await postgres.query(ROLES)
await postgres.query(SCHEMA)
await postgres.query(`create table other (id bigint primary key, n numeric, f float8, b bytea, j jsonb, ts timestamptz, label text);
  grant select on other to service_role; alter publication supabase_realtime add table other`)
const rest = await startRest(postgres.url)
t.teardown(() => rest.stop())
const realtime = createRealtimeStandIn({
  database_url: postgres.url,
  jwt_secret: rest.jwt_secret,
  secret_key: rest.key,
  publishable_key: rest.publishable_key,
  server: rest.server,
  poll_ms: 10,
  subscribe_after_ms: 0,
  refuse_after_ms: 10,
  key_ttl_ms: 60_000
})
await realtime.start()
t.teardown(() => realtime.stop())

const auth = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }

function client (t: Test, options: { key?: string, token?: string, heartbeatIntervalMs?: number } = {}): SupabaseClient {
  const transport = createTransport([30])
  t.teardown(() => { transport.end() })
  const { key, token, heartbeatIntervalMs = 25_000 } = options
  const realtime = { transport: transport.constructor, reconnectAfterMs: transport.reconnectAfterMs, heartbeatIntervalMs }
  return createClient(rest.url, key ?? rest.key, { realtime, ...token === undefined ? { auth } : { accessToken: async () => token } })
}

interface Listening { told: Told[], states: string[], live: number, system: string[], channel: RealtimeChannel }

function listen (from: SupabaseClient, wanted: { event: '*' | 'INSERT' | 'UPDATE', table: string, filter?: string }, wait = false): Listening {
  const channel = from.channel(`c${Math.random()}`, { config: { postgres_changes_options: { wait } } } as never)
  const heard: Listening = { told: [], states: [], live: 0, system: [], channel }
  heard.channel.on('postgres_changes' as never, { schema: 'public', ...wanted }, (change: Told) => { heard.told.push(change) })
    .on('system', {}, ({ status, message }: { status: string, message: string }) => {
      heard.system.push(`${status}: ${message}`)
      if (status === 'ok') heard.live++
    })
    .subscribe((state, error) => { heard.states.push(error === undefined ? state : `${state}: ${error.message}`) })
  return heard
}
const lives = async (heard: Listening, times = 1): Promise<unknown> => await until(() => heard.live >= times, { what: 'the channel is live' })
const insert = async (id: string, tenant = 'acme'): Promise<unknown> => await postgres.query('insert into bulk_jobs (tenant_id, id) values ($1, $2)', [tenant, id])

t.test('inserts, updates and deletions, in the order of their commits, as the filter wants them', async (t) => {
  const all = listen(client(t), { event: '*', table: 'bulk_jobs' })
  const pending = listen(client(t), { event: 'UPDATE', table: 'bulk_jobs', filter: 'pending=eq.true' })
  const some = listen(client(t), { event: 'INSERT', table: 'bulk_jobs', filter: 'id=in.(b,c)' })
  await Promise.all([lives(all), lives(pending), lives(some)])
  await insert('a')
  await insert('b')
  await postgres.query("update bulk_jobs set requested_state = 'pause' where id = 'a'")
  await postgres.query('select headway_confirm($1)', ['{"requests":[{"tenant_id":"acme","id":"a","requested_rev":2}]}'])
  await postgres.query('begin; delete from bulk_jobs; rollback')
  await until(() => all.told.length === 4) // of a row that is gone by the time it is looked at, no insert is told
  await postgres.query("delete from bulk_jobs where id = 'b'")
  await until(() => all.told.length === 5)
  t.same(all.told.map(({ eventType, new: row, old }) => [eventType, row['id'] ?? old['id'], row['pending'] ?? null]), [
    ['INSERT', 'a', true], ['INSERT', 'b', true], ['UPDATE', 'a', true], ['UPDATE', 'a', false], ['DELETE', 'b', null]
  ])
  t.same(all.told[4]?.old, { tenant_id: 'acme', id: 'b' }, 'of a deleted row its key')
  t.match(pending.told, [{ new: { id: 'a', requested_state: 'pause' }, errors: null }])
  t.match(some.told, [{ new: { id: 'b' } }])
})

t.test('values look as Postgres has them in JSON; what is too large is said', async (t) => {
  const heard = listen(client(t), { event: '*', table: 'other' })
  await lives(heard)
  const label = 'é "q" \\'
  await postgres.query('insert into other values ($1, $2, $3, $4, $5, $6, $7)',
    [1, '1.50', 'NaN', '\\xff00', '{"a":[1,null]}', '2026-01-02 03:04:05.6+02', label])
  await postgres.query('update other set label = $1', ['x'.repeat(1_100_000)])
  await until(() => heard.told.length === 2)
  t.same(heard.told[0]?.new, { id: 1, n: 1.5, f: null, b: 'ff00', j: { a: [1, null] }, ts: '2026-01-02T01:04:05.6+00:00', label })
  t.same(heard.told[1]?.errors, ['Error 413: Payload Too Large'])
  t.equal(heard.told[1]?.new['label'], undefined)
})

t.test('row-level security decides who hears; a role that may not read is told that', async (t) => {
  const user = async (tenant: string): Promise<SupabaseClient> => {
    const token = await rest.token({ role: 'authenticated', sub: tenant, app_metadata: { tenant_id: tenant } })
    const made = client(t, { key: rest.publishable_key, token })
    await made.realtime.setAuth() // or the join may carry no token
    return made
  }
  const acme = listen(await user('acme'), { event: 'INSERT', table: 'bulk_jobs' })
  const umbrella = listen(await user('umbrella'), { event: 'INSERT', table: 'bulk_jobs' })
  const nobody = listen(client(t, { key: rest.publishable_key }), { event: 'INSERT', table: 'bulk_jobs' })
  await Promise.all([lives(acme), lives(umbrella), lives(nobody)])
  await insert('mine')
  await insert('theirs', 'umbrella')
  await until(() => nobody.told.length === 2 && umbrella.told.length > 0)
  t.same(acme.told.map(({ new: row }) => row['id']), ['mine'])
  t.same(umbrella.told.map(({ new: row }) => row['id']), ['theirs'])
  t.match(nobody.told, [{ new: {}, errors: ['Error 401: Unauthorized'] }, { errors: ['Error 401: Unauthorized'] }])
})

t.test('a wrong key gets no socket, a wrong token no channel', async (t) => {
  const wrong = listen(client(t, { key: 'sb_secret_wrong' }), { event: 'INSERT', table: 'bulk_jobs' })
  await until(() => wrong.states.length > 0)
  t.match(wrong.states[0], /^CHANNEL_ERROR/)
  const forged = client(t, { key: rest.publishable_key })
  await forged.realtime.setAuth((await rest.token({ role: 'authenticated' })).slice(0, -8) + 'AAAAAAAA')
  const heard = listen(forged, { event: 'INSERT', table: 'bulk_jobs' })
  await until(() => heard.states.length > 0)
  t.match(heard.states[0], /^CHANNEL_ERROR.*JwtSignatureError/)
})

t.test('a table that is not published: joined all the same, and a system message; with `wait` an error', async (t) => {
  const heard = listen(client(t), { event: 'INSERT', table: 'job_events' })
  await until(() => heard.system.length > 0)
  t.match(heard.system[0], /^error: Unable to subscribe/)
  t.same(heard.states, ['SUBSCRIBED'])
  const waiting = listen(client(t), { event: 'INSERT', table: 'job_events' }, true)
  await until(() => waiting.states.length > 0)
  t.match(waiting.states[0], /^CHANNEL_ERROR: RealtimeDisabledForConfiguration/)
  const good = listen(client(t), { event: 'INSERT', table: 'bulk_jobs' }, true)
  await until(() => good.states.length > 0)
  t.equal(realtime.listening > 0, true, 'with `wait`, SUBSCRIBED means that it listens')
})

t.test('a killed socket and a crashed channel come back by themselves; what happened meanwhile is never told', async (t) => {
  const heard = listen(client(t), { event: 'INSERT', table: 'bulk_jobs' })
  await lives(heard)
  realtime.faults.refuse = 429
  realtime.killSockets()
  await until(() => heard.states.length > 1)
  await insert('meanwhile')
  realtime.faults.refuse = null
  await lives(heard, 2)
  realtime.crashChannels()
  await lives(heard, 3)
  await insert('afterwards')
  await until(() => heard.told.length > 0)
  t.same(heard.told.map(({ new: row }) => row['id']), ['afterwards'])
})

t.test('a closed channel stays closed, and is told why', async (t) => {
  const from = client(t)
  const heard = listen(from, { event: 'INSERT', table: 'bulk_jobs' })
  await lives(heard)
  realtime.closeChannels('Token has expired 3 seconds ago')
  await until(() => heard.states.includes('CLOSED'))
  t.equal(heard.system.at(-1), 'error: Token has expired 3 seconds ago')
  t.same(from.getChannels(), [])
})

t.test('a mute server is found out by its missing heartbeats', async (t) => {
  const heard = listen(client(t, { heartbeatIntervalMs: 200 }), { event: 'INSERT', table: 'bulk_jobs' })
  await lives(heard)
  realtime.faults.mute = true
  await until(() => heard.states.length > 1)
  t.match(heard.states[1], /^CHANNEL_ERROR/)
  realtime.faults.mute = false
  await lives(heard, 2)
})

t.test('a zombie is subscribed and hears nothing', async (t) => {
  const heard = listen(client(t), { event: 'INSERT', table: 'bulk_jobs' })
  const other = listen(client(t), { event: 'INSERT', table: 'other' })
  await Promise.all([lives(heard), lives(other)])
  realtime.faults.deaf = 1
  await insert('unheard')
  await until(() => realtime.faults.deaf === 0)
  await postgres.query('insert into other (id) values (2)')
  await until(() => other.told.length === 1)
  t.same(heard.told, [])
})

t.test('after a restart of the database it listens anew', async (t) => {
  const heard = listen(client(t), { event: 'INSERT', table: 'bulk_jobs' })
  await lives(heard)
  await postgres.kill()
  await postgres.restart()
  let n = 0
  await until(async () => {
    await insert(`again-${n++}`)
    return heard.told.length > 0
  }, { interval_ms: 100 })
  t.match(heard.told[0]?.new['id'], /^again-/)
})
