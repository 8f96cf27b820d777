// Every sink against the one contract, and what its database's errors become.

import t, { type Test } from 'tap'
import { createPostgresSink } from '../../src/persister/postgres-sink.ts'
import { SinkError } from '../../src/persister/sink.ts'
import { checkAnswer } from '../../src/persister/faults.ts'
import { createSupabaseSink } from '../../src/persister/supabase-sink.ts'
import { startPostgres } from '../support/postgres.ts'
import { ROLES, SCHEMA, SCHEMA_VERSION } from '../support/schema.ts'
import { startRest, type RestFault } from '../support/rest.ts'
import { aJob, anEvent, anItem, batchWith, sinkContract, type SinkUnderTest } from '../contract/sink.ts'
import { createMemorySink } from './memory-sink.ts'

const postgres = await startPostgres()
t.teardown(() => postgres.stop())
await postgres.query(ROLES)
await postgres.query(SCHEMA)
await postgres.query("alter table bulk_jobs add check (title <> 'poison')")
const rest = await startRest(postgres.url)
t.teardown(() => rest.stop())
const signal = new AbortController().signal

function onSupabase (key: string) {
  return async (t: Test): Promise<SinkUnderTest> => {
    await postgres.query('truncate bulk_jobs, bulk_job_items, job_events')
    const sink = createSupabaseSink({ url: rest.url, key })
    t.teardown(() => { rest.fault = null })
    return { sink, read }
  }
}

/** The tables, emptied. */
async function read (): ReturnType<SinkUnderTest['read']> {
  const keyed = (rows: Record<string, unknown>[], ...names: string[]) => Object.fromEntries(rows.map((row) => [names.map((name) => row[name]).join('/'), row]))
  const numbers = 'run::float8, epoch::float8, seq::float8'
  return {
    jobs: keyed(await postgres.query(`select tenant_id, id, ${numbers}, rev::float8, state, history_truncated, to_jsonb(bulk_jobs) as data from bulk_jobs`), 'tenant_id', 'id'),
    items: keyed(await postgres.query(`select tenant_id, job_id, id, ${numbers}, to_jsonb(bulk_job_items) as data from bulk_job_items`), 'tenant_id', 'job_id', 'run', 'id'),
    events: keyed(await postgres.query(`select tenant_id, job_id, ${numbers}, data from job_events`), 'tenant_id', 'job_id', 'epoch', 'seq')
  }
}

async function onPostgres (t: Test): Promise<SinkUnderTest> {
  await postgres.query('truncate bulk_jobs, bulk_job_items, job_events')
  const sink = createPostgresSink({ url: postgres.url })
  t.teardown(() => sink.stop())
  return { sink, read }
}

async function faultOf (call: Promise<unknown>): Promise<SinkError> {
  return await call.then(() => { throw new Error('it was taken') }, (error: unknown) => error as SinkError)
}

t.test('in memory', async (t) => {
  sinkContract(t, async () => {
    const sink = createMemorySink()
    const copy = async (): ReturnType<SinkUnderTest['read']> => structuredClone({
      jobs: Object.fromEntries(sink.jobs), items: Object.fromEntries(sink.items), events: Object.fromEntries(sink.events)
    })
    return { sink, read: copy }
  })
})

t.test('postgres', async (t) => { sinkContract(t, onPostgres) })

t.test('supabase', async (t) => { sinkContract(t, onSupabase(rest.key)) })

t.test('supabase: the legacy key, and errors by what they ask for, without a value of the row', async (t) => {
  const { sink } = await onSupabase(rest.legacy_key)(t)
  t.equal(await sink.version(signal), SCHEMA_VERSION)
  const batch = batchWith({ jobs: [aJob('a', 1, { title: 'poison', metadata: { secret: 'planted' } })] })
  const poison = await faultOf(sink.persist(batch, signal))
  t.match(poison, { fault: 'poison', code: '23514', status: 400 })
  t.notMatch(poison.message, /planted|poison/)
  const cases: [RestFault, object][] = [
    [{ status: 503, body: '{"code":"PGRST002","message":"schema cache"}' }, { fault: 'retry', code: 'PGRST002' }],
    [{ status: 500, body: '{"code":"57014","message":"statement timeout"}' }, { fault: 'retry', code: '57014' }],
    [{ status: 413, body: '<html>too large</html>', type: 'text/html' }, { fault: 'shrink', status: 413 }],
    [{ status: 429, body: '{"message":"slow down"}' }, { fault: 'retry', status: 429 }],
    [{ status: 502, body: '<html>bad gateway</html>', type: 'text/html' }, { fault: 'retry', message: /bad gateway/ }],
    [{ status: 200, body: '<html>welcome</html>', type: 'text/html' }, { fault: 'retry' }],
    [{ status: 404, body: '{"code":"PGRST202","message":"no such function"}' }, { fault: 'configuration' }],
    [{ status: 401, body: '{"message":"Invalid API key"}' }, { fault: 'configuration' }],
    ['reset', { fault: 'retry', status: 0 }],
    ['lost', { fault: 'retry', status: 0 }]
  ]
  for (const [fault, wanted] of cases) {
    rest.fault = () => fault
    t.match(await faultOf(sink.persist(batchWith({ jobs: [aJob('b', 1)] }), signal)), wanted, JSON.stringify(fault))
  }
  for (const fault of ['empty', { status: 404, body: '[]' }] as const) {
    rest.fault = () => fault
    const sent = batchWith({ jobs: [aJob('b', 1)] })
    const answer = await sink.persist(sent, signal)
    const seen = await faultOf(Promise.resolve().then(() => checkAnswer(answer, sent)))
    t.equal(seen.fault, 'configuration', 'what looks like success is none')
    t.equal((await faultOf(sink.activeJobs(null, 1, signal))).fault, 'configuration', 'and is not read as: there are no jobs')
  }
  rest.fault = () => 'hang'
  t.match(await faultOf(sink.version(AbortSignal.timeout(50))), { fault: 'retry' })
  rest.fault = null
  t.match(await sink.persist(batchWith({ jobs: [aJob('b', 1)] }), signal), { jobs: 1, jobs_written: 0 }, 'the lost reply had been stored')
  const stranger = createSupabaseSink({ url: rest.url, key: 'sb_secret_wrong' })
  t.match(await faultOf(stranger.version(signal)), { fault: 'configuration', status: 401 })
})

t.test('postgres: errors by what they ask for, without a value of the row', async (t) => {
  const { sink } = await onPostgres(t)
  const poison = await faultOf(sink.persist(batchWith({ jobs: [aJob('a', 1, { title: 'poison', metadata: { secret: 'planted' } })] }), signal))
  t.match(poison, { fault: 'poison', code: '23514' })
  t.notMatch(poison.message, /planted|poison/)
  t.match(await faultOf(sink.persist(batchWith({ events: [anEvent('a', 1, { seq: 1.5 })] }), signal)), { fault: 'poison', code: '22P02' })
  t.match(await faultOf(sink.persist(batchWith({ items: [anItem('a', 'x\0', 1)] }), signal)), { fault: 'poison', code: /^22/ })
  const nobody = createPostgresSink({ url: postgres.url.replace('postgres@', 'nobody@') })
  t.teardown(() => nobody.stop())
  t.match(await faultOf(nobody.version(signal)), { fault: 'configuration', code: '28000' })
  await postgres.query('alter function headway_version() rename to gone')
  t.match(await faultOf(sink.version(signal)), { fault: 'configuration', code: '42883' })
  await postgres.query('alter function gone() rename to headway_version')

  const holder = await postgres.query('select pg_backend_pid()')
  t.ok(holder[0])
  const slow = createPostgresSink({ url: postgres.url })
  t.teardown(() => slow.stop())
  await postgres.query('create function headway_sleep() returns jsonb language sql as $$ select to_jsonb(pg_sleep(60)::text) $$')
  await postgres.query('alter function headway_maintain(int, int, int, int) rename to maintain_kept')
  await postgres.query('alter function headway_sleep() rename to headway_maintain')
  t.match(await faultOf(slow.maintain(AbortSignal.timeout(50))), { fault: 'retry' })
  await postgres.query('drop function headway_maintain()')
  await postgres.query('alter function maintain_kept(int, int, int, int) rename to headway_maintain')
  t.equal(await slow.version(signal), SCHEMA_VERSION, 'the next call has another connection')

  await postgres.kill()
  t.match(await faultOf(sink.version(signal)), { fault: 'retry' })
  await postgres.restart()
  t.equal(await sink.version(signal), SCHEMA_VERSION)
})
