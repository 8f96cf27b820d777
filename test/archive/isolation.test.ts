// H10 in the archive: through a real PostgREST, with tokens of both kinds, nobody reads what is another tenant's; and for a Supabase
// user the database's own rules decide, on every way in.

import { once } from 'node:events'
import t from 'tap'
import { createArchive } from '../../src/archive/archive.ts'
import { Client, call } from '../gateway/support.ts'
import { runJob } from '../persister/support.ts'
import { readerOf, sessionOf, startHouse } from './support.ts'

const house = await startHouse(t)
const { postgres, rest } = house

const house1 = await house.gateway(t)
await runJob(house1.engine, 'shared', 2, 'acme')
await runJob(house1.engine, 'shared', 3, 'globex')
await runJob(house1.engine, 'secret', 1, 'globex')
await house1.persist()
for (const [tenant, id] of [['acme', 'shared'], ['globex', 'shared'], ['globex', 'secret']] as const) await house1.gone(id, tenant)

t.test('tokens of both kinds see their tenant and nothing else', async t => {
  for (const [kind, tokenOf] of [['Headway', readerOf], ['Supabase', sessionOf]] as const) {
    const [acme, globex] = [await tokenOf('acme'), await tokenOf('globex')]
    const { get } = await house.gateway(t)
    t.match((await get('/v1/jobs/shared', acme)).body, { tenant_id: 'acme', items_total: 2, archived: true }, kind)
    t.match((await get('/v1/jobs/shared', globex)).body, { tenant_id: 'globex', items_total: 3, archived: true })
    t.equal(((await get('/v1/jobs/shared/items', acme)).body['data'] as object[]).length, 2)
    t.equal(((await get('/v1/jobs/shared/timeline', acme)).body['data'] as object[]).length, 7)
    t.equal(((await get('/v1/jobs/shared/timeline', globex)).body['data'] as object[]).length, 9)
    t.same(((await get('/v1/jobs?archived=true', acme)).body['data'] as { id: string }[]).map(({ id }) => id), ['shared'])
    t.equal(((await get('/v1/jobs?archived=true', globex)).body['data'] as object[]).length, 2)
    for (const path of ['', '/items', '/timeline']) {
      const [foreign, absent] = [await get(`/v1/jobs/secret${path}`, acme), await get(`/v1/jobs/absent${path}`, acme)]
      t.equal(foreign.status, 404)
      t.same(JSON.stringify(foreign.body).replaceAll('secret', 'absent'), JSON.stringify(absent.body), 'as if it did not exist')
    }
  }
})

t.test('each of the two locks holds alone', async t => {
  const archive = createArchive({ url: rest.url, service_key: rest.key, anon_key: rest.publishable_key, timeout_ms: 5_000 })
  const [acme, globex] = await Promise.all([sessionOf('acme'), sessionOf('globex')])
  t.equal(await archive.readJob({ tenant_id: 'globex', user_token: acme }, 'secret'), null, 'the database refuses, whatever tenant is asked for')
  t.match(await archive.readJob({ tenant_id: 'globex', user_token: globex }, 'secret'), { job: { tenant_id: 'globex' } })
  await postgres.query('alter table bulk_jobs disable row level security')
  t.teardown(() => postgres.query('alter table bulk_jobs enable row level security'))
  const other = createArchive({ url: rest.url, service_key: rest.key, anon_key: rest.publishable_key, timeout_ms: 5_000 })
  t.equal(await other.readJob({ tenant_id: 'acme', user_token: acme }, 'secret'), null, 'the question names the tenant, whatever the database would show')
  t.match(await other.readJob({ tenant_id: 'globex', user_token: acme }, 'secret'), { job: { id: 'secret' } }, 'so it was the rules that refused before')
})

t.test('a rule of the app that shows a user less holds over HTTP, sockets, streams and tickets', async t => {
  const strict = "create policy mine on public.bulk_jobs as restrictive for select to authenticated using (auth_sub() = 'owner')"
  await postgres.query(`create function auth_sub() returns text language sql stable as
    $$ select current_setting('request.jwt.claims', true)::jsonb ->> 'sub' $$; grant execute on function auth_sub() to authenticated; ${strict}`)
  t.teardown(() => postgres.query('drop policy mine on public.bulk_jobs'))
  const { url, get } = await house.gateway(t)
  const [owner, colleague, service] = [await sessionOf('acme', 'owner'), await sessionOf('acme', 'colleague'), await readerOf('acme')]
  t.equal((await get('/v1/jobs/shared', owner)).status, 200)
  t.equal((await get('/v1/jobs/shared', colleague)).status, 404, 'what one user was shown is not remembered for another')
  t.equal((await get('/v1/jobs/shared', service)).status, 200)
  t.same((await get('/v1/jobs?archived=true', colleague)).body['data'], [])

  const ticketOf = async (token: string) => String((await call(`${url}/v1/tickets`, 'POST', token)).body['ticket'])
  const ways = (token: string, ticket: string): [string, () => Client][] => [
    ['a token in the address', () => new Client(`${url}/v1/ws?job_id=shared&token=${token}`)],
    ['a subprotocol', () => new Client(`${url}/v1/ws?job_id=shared`, ['headway.v1', `bearer.${token}`])],
    ['a ticket', () => new Client(`${url}/v1/ws?job_id=shared&ticket=${ticket}`)]
  ]
  for (const [how, open] of ways(owner, await ticketOf(owner))) {
    const client = open()
    t.match(await client.of('job.snapshot'), { data: { job: { state: 'completed', archived: true } } }, how)
    client.socket.close()
    await client.end()
  }
  for (const [how, open] of ways(colleague, await ticketOf(colleague))) t.match(await open().refused(), { status: 404 }, how)

  const late = await new Client(`${url}/v1/ws`).open()
  late.say({ action: 'authenticate', token: colleague, id: 'a' })
  await late.answer('a')
  late.say({ action: 'subscribe', job_id: 'shared', id: 's' })
  t.match(await late.answer('s'), { type: 'error', code: 'unknown_job' })
  late.say({ action: 'authenticate', token: owner, id: 'b' })
  await late.answer('b')
  late.say({ action: 'subscribe', job_id: 'shared', id: 't' })
  t.match(await late.of('job.snapshot'), { data: { items_seen: 2 } }, 'as the newest token says')
  late.socket.close()
  await once(late.socket, 'close')

  const stream = (token: string) => fetch(`${url}/v1/jobs/shared/events`, { headers: { authorization: `Bearer ${token}` } })
  t.equal((await stream(colleague)).status, 404)
  t.match(await (await stream(owner)).text(), /event: job\.snapshot/)
})

t.test('a token in Redis cannot be read there', async t => {
  const { url, engine } = await house.gateway(t)
  const token = await sessionOf('acme')
  const { body } = await call(`${url}/v1/tickets`, 'POST', token)
  const kept = await engine.redeemTicket(String(body['ticket']))
  t.match(kept, /"sealed":"/)
  t.notMatch(kept, new RegExp(token.split('.')[2] ?? 'no signature'))
})

t.test('without the anon key the service key reads, of the tenant only; without a service key a Headway token finds nothing', async t => {
  const served = await house.gateway(t, { SUPABASE_ANON_KEY: '' })
  t.match((await served.get('/v1/jobs/shared', await sessionOf('acme'))).body, { tenant_id: 'acme', archived: true })
  t.equal((await served.get('/v1/jobs/secret', await sessionOf('acme'))).status, 404)
  const public_ = await house.gateway(t, { SUPABASE_SERVICE_ROLE_KEY: '' })
  t.match((await public_.get('/v1/jobs/shared', await sessionOf('acme'))).body, { tenant_id: 'acme' })
  t.equal((await public_.get('/v1/jobs/shared', await readerOf('acme'))).status, 404)
  const none = await house.gateway(t, { SUPABASE_URL: '' })
  t.equal((await none.get('/v1/jobs/shared', await readerOf('acme'))).status, 404, 'as without a database')
  t.same((await none.get('/v1/jobs?archived=true', await readerOf('acme'))).body, { data: [], next_cursor: null })
})
