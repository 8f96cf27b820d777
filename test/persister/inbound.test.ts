// What apps write, through real PostgREST under their own tokens, into a real Redis: each row once, whoever dies in between; what is
// refused is told where the app can see it; nobody writes for another tenant, and nothing rings for what Headway writes itself.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { createPostgresSink } from '../../src/persister/postgres-sink.ts'
import type { Inbox } from '../../src/persister/inbox.ts'
import { createInbound } from '../../src/persister/inbound.ts'
import { createMeters } from '../../src/persister/meters.ts'
import { DEFAULT_PERSISTER_SETTINGS, type PersisterSettings } from '../../src/persister/settings.ts'
import { SinkError, type Sink } from '../../src/persister/sink.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { clear, historyOf, postgres, realtime, rest, rowOf, supabase, topology, userOf, waiting, withInbox } from './inbound-support.ts'
import { QUICK, startEngine, startPersister } from './support.ts'

/** Only the bell, or only the look, must be enough. */
const BY_BELL: Partial<PersisterSettings> = { inbound_poll_ms: 600_000 }
const BY_LOOK: Partial<PersisterSettings> = { inbound_poll_ms: 20 }

const acme = await userOf('acme')
const umbrella = await userOf('umbrella')
const done = (reply: { error: unknown }): void => { if (reply.error !== null) throw new Error(JSON.stringify(reply.error)) }
const insert = async (id: string, more: object = {}, user = acme, tenant_id = 'acme') => {
  done(await user.from('bulk_jobs').insert({ tenant_id, id, ...more }))
}
const ask = async (id: string, requested_state: string) => { done(await acme.from('bulk_jobs').update({ requested_state }).eq('id', id)) }
const tell = async (job_id: string, type: string, data: object, more: object = {}) => {
  done(await acme.from('job_events').insert({ tenant_id: 'acme', job_id, type, data, origin: 'app', ...more }))
}

async function running (t: Test, sink: Sink, settings: Partial<PersisterSettings>): Promise<Engine> {
  await clear()
  const engine = await startEngine(t, topology.url)
  await startPersister(t, engine, sink, settings).start()
  return engine
}

/** Without a lease: as if everybody had it. */
function takes (t: Test, engine: Engine, { inbox }: Sink): () => Promise<void> {
  const stop = new AbortController()
  const say = (): void => {}
  const inbound = createInbound({
    inbox: inbox as Inbox,
    engine,
    settings: { ...DEFAULT_PERSISTER_SETTINGS, ...QUICK, ...BY_LOOK },
    meters: createMeters(),
    log: { debug: say, info: say, warn: say, error: say },
    leads: () => true,
    stop: stop.signal
  })
  const running = inbound.run()
  const end = async (): Promise<void> => {
    stop.abort()
    await running
  }
  t.teardown(end)
  return end
}

/** The whole life of a job, written by its app alone. */
async function life (t: Test, engine: Engine): Promise<void> {
  await insert('a', { title: 'Photos', items_total: 2, job_kind: 'photos', auto_complete: true, metadata: { album: 7 } })
  await tell('a', 'job.state', { state: 'running' }, { correlation_id: 'mine' })
  await tell('a', 'item.update', { id: 'i1', state: 'completed' })
  await until(async () => await rowOf('a').then((row) => row?.['run'] !== 0 && row?.['state'] === 'running'), { what: 'the row tells of its run' })
  const read = await engine.readJob('acme', 'a')
  t.match(read, { job: { state: 'running' }, registration: { title: 'Photos', items_total: 2, job_kind: 'photos', metadata_json: '{"album":7}' } })
  await ask('a', 'pause')
  await until(async () => await rowOf('a').then((row) => row?.['state'] === 'pausing'))
  await ask('a', 'resume')
  await until(async () => await rowOf('a').then((row) => row?.['state'] === 'running'))
  await ask('a', 'cancel')
  await until(async () => await waiting() === 0, { what: 'nothing waits' })
  const history = await historyOf(engine, 'a')
  t.same(history.slice(0, 5), ['pending>running', 'i1 completed', 'running>pausing', 'pausing>running', 'running>canceling'])
  t.match(await rowOf('a'), { requested_state: null, refused: null, requested_rev: 4, handled_rev: 4 })
  t.equal((await engine.readLog('acme', 'a', 0, 1))?.events[0]?.cid, 'mine')
}

t.test('by the bell of Realtime alone: registered, told, paused, resumed, canceled', async (t) => {
  const engine = await running(t, supabase(), BY_BELL)
  await until(() => realtime.listening > 0)
  await life(t, engine)
})

t.test('by the bell of Postgres alone', async (t) => {
  const engine = await running(t, createPostgresSink({ url: postgres.url }), BY_BELL)
  await until(async () => (await postgres.query("select from pg_stat_activity where query = 'listen headway_inbound'")).length > 0)
  await life(t, engine)
})

t.test('without Realtime, by looking', async (t) => {
  realtime.faults.refuse = 503
  t.teardown(() => { realtime.faults.refuse = null })
  const engine = await running(t, supabase(), BY_LOOK)
  await life(t, engine)
})

t.test('killed between telling and confirming, again and again, by several: once', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  let lost = 0
  const mortal = withInbox(supabase(), ({ confirm }) => ({
    async confirm (given, signal) {
      if (lost < 12) {
        lost++
        throw new SinkError('retry', 'it died before it could say so')
      }
      await confirm(given, signal)
    }
  }))
  await insert('a', { items_total: 9 })
  for (const state of ['running', 'pausing', 'running', 'failed']) await tell('a', 'job.state', { state, resume: true })
  await insert('b')
  await ask('b', 'pause')
  for (let n = 0; n < 3; n++) takes(t, engine, mortal)
  await until(async () => await waiting() === 0, { what: 'nothing waits' })
  t.ok(lost >= 12)
  t.same(await historyOf(engine, 'a'), ['pending>running', 'running>pausing', 'pausing>running', 'running>failed', 'final'])
  t.same(await historyOf(engine, 'b'), ['pending>paused'])
})

t.test('told, and the database away for longer than the reducer remembers: confirmed when it is back, not told again', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  let away = false
  let failed = 0
  const refuse = (): void => {
    if (!away) return
    failed++
    throw new SinkError('retry', 'the database is away')
  }
  const shaky = withInbox(supabase(), ({ pending, confirm }) => ({
    async pending (limit, signal) {
      refuse()
      return await pending(limit, signal)
    },
    async confirm (given, signal) {
      away ||= given.requests.some(({ requested_rev: rev }) => rev === 2) && failed === 0
      refuse()
      await confirm(given, signal)
    }
  }))
  await insert('a')
  await tell('a', 'job.state', { state: 'running' })
  takes(t, engine, shaky)
  await until(async () => await waiting() === 0)
  await ask('a', 'pause')
  await until(() => failed > 2, { what: 'it was told and cannot be confirmed' })
  await engine.submit({ type: 'job.control', tenant: 'acme', job: 'a', data: { action: 'resume' } })
  const { producers } = engine.keys.partition(engine.keys.job('acme', 'a').partition)
  const rows = (await engine.connections.command.hkeys(producers)).filter((name) => name.endsWith(':2'))
  t.equal(await engine.connections.command.hdel(producers, ...rows), 1, 'an hour of silence')
  away = false
  await until(async () => await waiting() === 0)
  t.same(await historyOf(engine, 'a'), ['pending>running', 'running>pausing', 'pausing>running'])
})

t.test('told, resumed by somebody else, and told again by one who comes late: the pause stays undone', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  const late = Promise.withResolvers<void>()
  t.teardown(() => { late.resolve() })
  const slow = withInbox(supabase(), ({ confirm }) => ({
    async confirm (given, signal) {
      await late.promise
      await confirm(given, signal)
    }
  }))
  await insert('a')
  await tell('a', 'job.state', { state: 'running' })
  await until(async () => await waiting() === 2)
  takes(t, engine, slow)
  await until(async () => (await engine.readJob('acme', 'a'))?.job.state === 'running')
  await ask('a', 'pause')
  const mute = withInbox(supabase(), () => ({ confirm: async () => { throw new SinkError('retry', 'lost') } }))
  const stopSecond = takes(t, engine, mute)
  await until(async () => (await engine.readJob('acme', 'a'))?.job.state === 'pausing')
  await stopSecond()
  await engine.submit({ type: 'job.control', tenant: 'acme', job: 'a', data: { action: 'resume' } })
  late.resolve()
  await until(async () => await waiting() === 0)
  t.same(await historyOf(engine, 'a'), ['pending>running', 'running>pausing', 'pausing>running'])
})

t.test('refused: the row says why, a dead letter too, and nothing behind it waits; also when it was told before', async (t) => {
  await clear()
  const prefix = randomPrefix()
  // One without an outbox registers it, so that its row is the app's until it is refused.
  const silent = await startEngine(t, topology.url, { prefix, drain: false, settings: { outbox_bytes_max: 0 } })
  await silent.submit({ type: 'job.register', tenant: 'acme', job: 'taken', data: { items_total: 5 } })
  const engine = await startEngine(t, topology.url, { prefix })
  await insert('taken', { items_total: 6 })
  await ask('taken', 'cancel')
  await insert('odd', { concurrency: -1 })
  await insert('good')
  await ask('good', 'resume')
  await tell('nobody', 'item.update', { id: 'i', state: 'completed' })
  await tell('good', 'item.update', { id: 'i', state: 'no such state' })
  await tell('good', 'job.state', { state: 'completed' })
  await tell('good', 'item.update', { id: 'i', state: 'completed' })
  let told = 0
  const forgetful = withInbox(supabase(), ({ confirm }) => ({
    async confirm (given, signal) {
      if (told++ === 0) throw new SinkError('retry', 'it died before it could say so')
      await confirm(given, signal)
    }
  }))
  await startPersister(t, engine, forgetful, BY_LOOK).start()
  await until(async () => await waiting() === 0)
  t.match(await rowOf('taken'), { refused: { code: 'job_exists', action: 'register' }, requested_state: null })
  t.match(await rowOf('odd'), { refused: { code: 'invalid_field', action: 'register' }, run: 0 })
  await until(async () => (await rowOf('good'))?.['state'] === 'completed')
  t.match(await rowOf('good'), { refused: null })
  const { data } = await acme.from('job_events').select('job_id, data, refused').eq('origin', 'app').order('seq')
  t.match(data, [
    { job_id: 'nobody', refused: { code: 'unknown_job', action: 'item.update', detail: /nobody/, at: /Z$/ } },
    { job_id: 'good', refused: { code: 'invalid_field' } },
    { job_id: 'good', refused: null },
    { job_id: 'good', refused: { code: 'job_ended' } }
  ])
  t.match((await engine.readJob('acme', 'taken'))?.job.state, 'pending', 'who was refused asked for nothing')
  const letters = await Promise.all([0, 1].map(async (partition) => await engine.connections.command.xrange(engine.keys.partition(partition).rejected, '-', '+')))
  const codes = letters.flat().map(([, fields]) => fields[fields.indexOf('code') + 1])
  for (const code of ['job_exists', 'invalid_field', 'unknown_job', 'job_ended']) t.ok(codes.includes(code), code)
  // The next request wipes the reason away.
  await ask('good', 'cancel')
  await until(async () => await rowOf('good').then((row) => row?.['refused'] !== null))
  t.match(await rowOf('good'), { refused: { code: 'invalid_transition', action: 'cancel' } })
})

t.test('a request takes its turn among the events of its job, also when the job itself is new, and beyond a page', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  for (const id of ['new', 'long']) await insert(id)
  await tell('new', 'job.state', { state: 'running' })
  await ask('new', 'pause')
  await tell('new', 'item.update', { id: 'after', state: 'completed' })
  await tell('long', 'job.state', { state: 'running' })
  for (let n = 0; n < 7; n++) await tell('long', 'item.update', { id: `i${n}`, state: 'completed' })
  await ask('long', 'pause')
  await tell('long', 'item.update', { id: 'after', state: 'completed' })
  await startPersister(t, engine, supabase(), { ...BY_LOOK, inbound_rows_max: 3 }).start()
  await until(async () => await waiting() === 0)
  t.same(await historyOf(engine, 'new'), ['pending>running', 'running>pausing', 'after completed'])
  const items = Array.from({ length: 7 }, (_, n) => `i${n} completed`)
  t.same(await historyOf(engine, 'long'), ['pending>running', ...items, 'running>pausing', 'after completed'])
})

t.test('docs/examples/supabase-app.ts as it stands, with a user\'s token and with the secret key', async (t) => {
  await running(t, supabase(), BY_LOOK)
  const example = fileURLToPath(new URL('../../docs/examples/supabase-app.ts', import.meta.url))
  const token = await rest.token({ role: 'authenticated', sub: 'u', app_metadata: { tenant_id: 'acme' } })
  for (const [n, keys] of [{ SUPABASE_KEY: rest.publishable_key, ACCESS_TOKEN: token }, { SUPABASE_KEY: rest.key }].entries()) {
    const env = { PATH: process.env['PATH'], SUPABASE_URL: rest.url, TENANT: 'acme', ...keys }
    const { stdout } = await promisify(execFile)(process.execPath, [example, `example-${n}`], { env })
    t.equal(stdout, 'two of three are done\nit is being canceled\nit is canceled\n')
  }
})

t.test('two tenants of the same ids, each its own; none writes for the other', async (t) => {
  const engine = await running(t, supabase(), BY_LOOK)
  await insert('a', { title: 'of acme' })
  await insert('a', { title: 'of umbrella' }, umbrella, 'umbrella')
  t.match(await umbrella.from('bulk_jobs').insert({ tenant_id: 'acme', id: 'b' }), { error: { code: '42501' } })
  t.match(await umbrella.from('job_events').insert({ tenant_id: 'acme', job_id: 'a', type: 'job.state', data: { state: 'failed' }, origin: 'app' }), { error: { code: '42501' } })
  t.match(await umbrella.from('bulk_jobs').update({ requested_state: 'cancel' }).eq('tenant_id', 'acme').select(), { data: [] })
  done(await umbrella.from('bulk_jobs').update({ requested_state: 'cancel' }).eq('id', 'a'))
  await until(async () => await waiting() === 0 && (await rowOf('a', 'umbrella'))?.['state'] === 'canceled')
  t.match([await rowOf('a'), await rowOf('a', 'umbrella')], [{ state: 'pending' }, { state: 'canceled' }])
  t.match((await engine.readJob('acme', 'a'))?.registration.title, 'of acme')
})

t.test('a transaction that commits late is not overlooked', async (t) => {
  const engine = await running(t, supabase(), BY_LOOK)
  const late = new pg.Client({ connectionString: postgres.url })
  await late.connect()
  t.teardown(() => late.end())
  await late.query('begin')
  await late.query("insert into bulk_jobs (tenant_id, id) values ('acme', 'late')")
  await late.query("insert into job_events (tenant_id, job_id, type, data, origin) values ('acme', 'late', 'job.state', '{\"state\":\"running\"}', 'app')")
  await insert('early')
  await tell('early', 'job.state', { state: 'running' })
  await until(async () => await waiting() === 0)
  await late.query('commit')
  await until(async () => await waiting() === 0 && (await rowOf('late'))?.['pending'] === false)
  t.same(await historyOf(engine, 'late'), ['pending>running'])
})

t.test('what Headway writes rings no bell: no loops', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  const persister = startPersister(t, engine, supabase(), BY_BELL)
  await persister.start()
  await until(() => realtime.listening > 0)
  const rings = async (): Promise<number> => Number(/doorbell_rings_total (\d+)/.exec(await persister.meters.text())?.[1])
  await insert('a', { items_total: 200 })
  await until(async () => (await rowOf('a'))?.['run'] !== 0)
  const before = await rings()
  for (let n = 0; n < 200; n++) await engine.append([{ type: 'item.update', tenant: 'acme', job: 'a', data: { id: `i${n}`, state: 'completed' } }])
  await engine.append([{ type: 'job.state', tenant: 'acme', job: 'a', data: { state: 'completed' } }])
  await until(async () => (await rowOf('a'))?.['state'] === 'completed')
  await insert('b')
  await until(async () => (await rowOf('b'))?.['run'] !== 0)
  // An app's insert rings once, and once more if Headway's row came before it was confirmed.
  t.ok(await rings() <= before + 2, `${await rings()} rings after ${before}`)
  t.match(await persister.meters.text(), /inbound_total\{kind="register",outcome="applied"\} 2\n/)
})

t.test('more than a page, with Redis away in between', async (t) => {
  await clear()
  const engine = await startEngine(t, topology.url)
  await insert('a')
  done(await acme.from('job_events').insert(Array.from({ length: 120 }, (_, n) => (
    { tenant_id: 'acme', job_id: 'a', type: 'item.update', data: { id: `i${n}`, state: 'completed' }, origin: 'app' }))))
  let failures = 20
  const { submit } = engine
  const shaky: Engine = Object.create(engine, {
    submit: {
      value: async (...given: Parameters<Engine['submit']>) => {
        if (failures-- > 0 && failures % 2 === 0) throw new Error('Redis is away')
        return await submit(...given)
      }
    }
  }) as Engine
  await startPersister(t, shaky, supabase(), { ...BY_LOOK, inbound_rows_max: 25 }).start()
  await until(async () => await waiting() === 0, { timeout_ms: 30_000, what: 'nothing waits' })
  t.same(await historyOf(engine, 'a'), Array.from({ length: 120 }, (_, n) => `i${n} completed`))
})
