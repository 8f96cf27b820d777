// The schema of deploy/supabase, applied by an owner who is no superuser: isolation and grants through real PostgREST (and that their
// proof sees a mutation), requests, retention, and that order, split and repetition of batches do not matter.

import { existsSync } from 'node:fs'
import fc from 'fast-check'
import pg from 'pg'
import t, { type Test } from 'tap'
import { aJob, anEvent, anItem, batchWith } from '../contract/sink.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRest } from '../support/rest.ts'
import { MIGRATIONS, schemaUpTo, ROLES, SCHEMA, SCHEMA_VERSION } from '../support/schema.ts'
import { breaches, clientsOf } from './grants.ts'

const DEBIAN_15 = '/usr/lib/postgresql/15/bin'
/** Older Supabase projects give all of this by default. */
const OLD_DEFAULTS = ['tables', 'functions', 'sequences'].map((kind) =>
  `alter default privileges for role headway_owner in schema public grant all on ${kind} to anon, authenticated, service_role;`).join('\n')

type Query = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>

async function database (t: Test, programs?: string, files = MIGRATIONS.length): Promise<{ url: string, query: Query }> {
  const postgres = await startPostgres(programs)
  t.teardown(() => postgres.stop())
  await postgres.query(`${ROLES} create role headway_owner login nosuperuser;`)
  await postgres.query('create database app owner headway_owner')
  const url = new URL(postgres.url)
  url.pathname = '/app'
  const admin = new pg.Client({ connectionString: url.href })
  await admin.connect()
  await admin.query(`${ROLES} ${OLD_DEFAULTS}`)
  await admin.end()
  const owner = new pg.Client({ connectionString: url.href.replace('postgres@', 'headway_owner@') })
  await owner.connect()
  t.teardown(() => owner.end())
  const query = async (text: string, values?: unknown[]) => (await owner.query(text, values)).rows as Record<string, unknown>[]
  const schema = schemaUpTo(files)
  await query(schema)
  await query(schema)
  return { url: url.href.replace('postgres@', 'authenticator@'), query }
}

/** More with HEADWAY_TEST_FULL=1. */
const WAYS = process.env['HEADWAY_TEST_FULL'] === '1' ? 500 : 20

const TABLES = ['public.bulk_jobs', 'public.bulk_job_items', 'public.job_events', 'headway.resume']
const persist = async (query: Query, batch: object) => (await query('select headway_persist($1) as answer', [JSON.stringify(batch)]))[0]?.['answer']
async function dump (query: Query): Promise<unknown[][]> {
  const tables: unknown[][] = []
  for (const table of TABLES) tables.push((await query(`select to_jsonb(x) as row from ${table} x order by to_jsonb(x)::text`)).map(({ row }) => row))
  return tables
}

/** What would open a door: the proof must see each. */
const MUTATIONS: Record<string, string> = {
  'jobs without row security': 'alter table bulk_jobs disable row level security',
  'items without row security': 'alter table bulk_job_items disable row level security',
  'events without row security': 'alter table job_events disable row level security',
  'jobs readable by all': 'alter policy headway_read on bulk_jobs using (true)',
  'items readable by all': 'alter policy headway_read on bulk_job_items using (true)',
  'events readable by all': 'alter policy headway_read on job_events using (true)',
  'inserts for others': 'alter policy headway_insert on bulk_jobs with check (true)',
  'requests for others': 'alter policy headway_request on bulk_jobs using (true); alter policy headway_read on bulk_jobs using (true)',
  'no policy for inserts': 'drop policy headway_insert on bulk_jobs',
  'the tenant by user_metadata': "update headway.settings set tenant_claim = 'user_metadata.tenant_id'",
  'events for others': 'alter policy headway_insert on job_events with check (true)',
  'no policy for events': 'drop policy headway_insert on job_events',
  'what users may write': "update headway.settings set app_writes = '{}'",
  'events of anybody': 'grant insert (epoch, seq, run) on job_events to authenticated',
  'a reason of their own': 'grant update (refused) on bulk_jobs to authenticated',
  'everybody may confirm': 'grant execute on function headway_confirm(jsonb) to public',
  'jobs granted': 'grant all on bulk_jobs to authenticated',
  'a column granted': 'grant update (state) on bulk_jobs to service_role',
  'events granted': 'grant insert on job_events to service_role',
  'items granted': 'grant delete on bulk_job_items to authenticated',
  'anon may read': 'grant select on job_events to anon',
  'everybody may persist': 'grant execute on function headway_persist(jsonb) to public',
  'authenticated may maintain': 'grant execute on function headway_maintain(int, int, int, int) to authenticated',
  'anon may read items': 'grant execute on function headway_items(jsonb) to anon'
}

t.test('Postgres 18 of npm', async (t) => {
  const { url, query } = await database(t)
  await holds(t, query)
  await upgrades(t)

  await t.test('isolation and grants, through PostgREST', async (t) => {
    const rest = await startRest(url)
    t.teardown(() => rest.stop())
    const clients = await clientsOf(rest)
    for (const tenant_id of ['acme', 'umbrella']) {
      await persist(query, { jobs: [aJob('a', 1, { tenant_id })], items: [anItem('a', 'i', 1, { tenant_id })], events: [anEvent('a', 1, { tenant_id })] })
    }
    let round = 1
    t.same(await breaches(clients, String(round++)), [])
    for (const [name, mutation] of Object.entries(MUTATIONS)) {
      await query(mutation)
      t.not((await breaches(clients, String(round++), true)).length, 0, `seen: ${name}`)
      await query(`update headway.settings set tenant_claim = 'app_metadata.tenant_id', app_writes = '{jobs,requests,events}'; ${SCHEMA}`)
    }
    await query('delete from job_events where epoch = 1; delete from bulk_job_items where run = 1')
    t.same(await breaches(clients, String(round++)), [], 'applied again, all is shut')

    await query("update headway.settings set tenant_claim = 'sub'")
    await persist(query, { jobs: [aJob('s', 1, { tenant_id: 'nobody' })] })
    t.match(await clients.homeless.from('bulk_jobs').select('id'), { data: [{ id: 's' }] }, 'another claim path')
    t.match(await clients.acme.from('bulk_jobs').select('id'), { data: [] })
  })
})

t.test('Postgres 15 of Debian', { skip: !existsSync(DEBIAN_15) && `${DEBIAN_15} is not installed` }, async (t) => {
  const { query } = await database(t, DEBIAN_15)
  await holds(t, query)
  await upgrades(t, DEBIAN_15)
})

/** What stood there before the last migrations stays as it was, and what waited still waits. */
async function upgrades (t: Test, programs?: string): Promise<void> {
  await t.test('an upgrade from the second file with rows in it', async (t) => {
    const { query } = await database(t, programs, 2)
    await query("insert into bulk_jobs (tenant_id, id) values ('acme', 'waits')")
    await persist(query, { jobs: [aJob('a', 1)], items: [anItem('a', 'i', 1)], events: [anEvent('a', 1), anEvent('a', 2)] })
    await query("update bulk_jobs set requested_state = 'pause' where id = 'a'")
    const [jobs, ...others] = await dump(query)
    await query(SCHEMA)
    const first = await dump(query)
    t.match(first[0], jobs?.map((row) => ({ ...row as object, refused: null, request_key: String })))
    t.match(first.slice(1), others)
    await query(SCHEMA)
    t.same(await dump(query), first, 'and again without harm')
    const pending = (await query('select headway_pending($1) as p', ['{"limit":9}']))[0]?.['p'] as { requests: { id: string }[] }
    t.match(pending.requests.sort((a, b) => a.id < b.id ? -1 : 1), [
      { id: 'a', requested_state: 'pause', handled_rev: 0 }, { id: 'waits', requested_state: null }
    ])
    await query("insert into job_events (tenant_id, job_id, type, data, origin) values ('acme', 'a', 'job.heartbeat', '{}', 'app')")
    await persist(query, { events: [anEvent('a', 3)] })
    t.same((await query('select count(*)::int as n from job_events'))[0], { n: 4 })
  })

  await t.test('an upgrade from the fourth file: what was refused before counts its days from now', async (t) => {
    const { query } = await database(t, programs, 4)
    await query("insert into bulk_jobs (tenant_id, id) values ('acme', 'refused'), ('acme', 'waits')")
    const done = { requests: [{ tenant_id: 'acme', id: 'refused', requested_rev: 1, refused: { code: 'invalid_field' } }] }
    await query('select headway_confirm($1)', [JSON.stringify(done)])
    await query(SCHEMA)
    t.same(await query('select id, handled_at > now() - interval \'1 minute\' as now from bulk_jobs order by id'), [{ id: 'refused', now: true }, { id: 'waits', now: null }])
  })
}

async function holds (t: Test, query: Query): Promise<void> {
  const clear = async (): Promise<void> => { await query(`truncate ${TABLES.join(', ')}`) }

  await t.test('the version is that of the last file', async (t) => {
    t.same(await query('select headway_version() as version'), [{ version: SCHEMA_VERSION }])
    t.same((await query('select version from headway.migrations order by 1')).map(({ version }) => version), MIGRATIONS.map((name) => Number(name.slice(0, 4))))
  })

  await t.test('any order, split and repetition of batches gives the same tables', async (t) => {
    const rev = fc.integer({ min: 1, max: 5 })
    const tenant_id = fc.constantFrom('acme', 'umbrella', 'Acme')
    const id = fc.constantFrom('a', 'b', 'A', 'a:b', 'b.a')
    const itemId = fc.constantFrom('i1', 'i2', 'I1', 'i/1', 'ü')
    // Runs of one id, and epochs within a run: its first is the registration's, a later one comes with a loss of data. No epoch is issued
    // twice, so all of a run are below those of the next.
    const run = fc.constantFrom(1_764_200_000_000, 1_764_200_001_000, 1_764_286_400_000)
    const epoch = fc.record({ run, later: fc.constantFrom(0, 0, 500, 900) }).map(({ run, later }) => ({ run, epoch: run + later }))
    const place = { tenant_id, id, rev, at: epoch }
    // As the persister tells them: of one key and position always the same row, except that a registration may be unknown or history lost.
    const job = fc.record({ ...place, known: fc.boolean(), lost: fc.boolean() }).map(({ tenant_id, id, rev, at, known, lost }) => ({
      jobs: [aJob(id, rev, {
        tenant_id,
        ...at,
        history_truncated: lost,
        ...known ? { title: `${id} ${at.run}`, job_kind: `of ${at.run}`, metadata: { run: at.run } } : { title: null, metadata: null }
      })]
    }))
    const item = fc.record({ ...place, itemId }).map(({ tenant_id, id, rev, at, itemId }) => (
      { items: [anItem(id, itemId, rev, { tenant_id, ...at, result: { rev, epoch: at.epoch } })] }))
    const event = fc.record(place).map(({ tenant_id, id, rev, at }) => ({ events: [anEvent(id, rev, { tenant_id, ...at })] }))
    const told = fc.array(fc.oneof(job, item, event), { minLength: 1, maxLength: 40, size: 'max' })
    const way = fc.record({
      again: fc.array(fc.nat({ max: 39 }), { maxLength: 40 }),
      order: fc.array(fc.nat(), { minLength: 80, maxLength: 80 }),
      sizes: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 80, maxLength: 80 })
    })
    /** @returns the tables, after rows were told in this way */
    const tell = async (rows: readonly object[], { again, order, sizes }: { again: number[], order: number[], sizes: number[] }) => {
      for (const table of TABLES) await query(`delete from ${table}`) // quicker than truncate, for few rows
      const repeated = again.flatMap((at) => rows[at] ?? [])
      const shuffled = [...rows, ...repeated].map((row, n) => ({ row: batchWith(row), at: order[n] ?? 0 })).sort((a, b) => a.at - b.at)
      for (const size of sizes) {
        const part = shuffled.splice(0, size).map(({ row }) => row)
        if (part.length === 0) break
        const [jobs, items, events] = [part.flatMap((row) => row.jobs), part.flatMap((row) => row.items), part.flatMap((row) => row.events)]
        await persist(query, { jobs, items, events })
      }
      return JSON.stringify(await dump(query))
    }
    await fc.assert(fc.asyncProperty(told, way, way, async (rows, one, other) => {
      const [first, second] = [await tell(rows, one), await tell(rows, other)]
      if (first !== second) throw new Error(`${second} instead of ${first}`)
    }), { numRuns: WAYS })
    t.pass(`${WAYS} sets of rows, each told in two ways`)
  })

  await t.test('one bad row, and nothing of its batch is stored', async (t) => {
    await clear()
    for (const bad of [{ state: 'nope' }, { tenant_id: 'a/b' }, { epoch: null }, { run: 0 }, { created_at: 'garbage' }]) {
      await t.rejects(persist(query, { jobs: [aJob('ok', 1), { ...aJob('bad', 1), ...bad }] }), { code: /^2[23]/ }, JSON.stringify(bad))
    }
    await t.rejects(persist(query, []), { code: '22023' })
    t.same((await dump(query)).flat(), [])
  })

  await t.test('requests: pending until taken; what Headway writes asks nothing; a later request outlives the taking of the earlier', async (t) => {
    await clear()
    await query("insert into bulk_jobs (tenant_id, id) values ('acme', 'a')")
    const row = async () => (await query('select requested_state as word, requested_rev::int as asked, handled_rev::int as taken, pending, rev::int from bulk_jobs'))[0]
    const taken = async (rev: number) => {
      const done = { requests: [{ tenant_id: 'acme', id: 'a', requested_rev: rev }] }
      return ((await query('select headway_confirm($1) as done', [JSON.stringify(done)]))[0]?.['done'] as { requests_taken: number }).requests_taken
    }
    t.match(await row(), { word: null, asked: 1, pending: true, rev: 0 })
    await persist(query, { jobs: [aJob('a', 1)] })
    t.match(await row(), { asked: 1, pending: true, rev: 1 })
    t.equal(await taken(1), 1)
    t.equal(await taken(1), 0)
    await persist(query, { jobs: [aJob('a', 2)] })
    t.match(await row(), { pending: false, rev: 2 })
    await query("update bulk_jobs set requested_state = 'pause'")
    await query("update bulk_jobs set requested_state = 'pause'")
    t.match(await row(), { word: 'pause', asked: 2, pending: true })
    await query("update bulk_jobs set requested_state = 'cancel'")
    await taken(2)
    t.match(await row(), { word: 'cancel', asked: 3, taken: 2, pending: true })
    await taken(3)
    t.match(await row(), { word: null, pending: false })
    t.equal(await taken(4), 0, 'what nobody asked cannot be taken')
    await query("update bulk_jobs set requested_state = 'cancel'")
    t.match(await row(), { word: 'cancel', asked: 4, pending: true }, 'the same word again')
  })

  await t.test('what apps write: waits in the order of writing; a history knows nothing of it', async (t) => {
    await clear()
    const pending = async (limit = 10) => (await query('select headway_pending($1) as p', [JSON.stringify({ limit })]))[0]?.['p'] as {
      requests: { id: string, request_seq: number, request_key: string }[], events: { job_id: string, seq: number }[]
    }
    const told = "insert into job_events (tenant_id, job_id, type, data, origin) values ('acme', $1, 'job.heartbeat', '{}', 'app')"
    await query("insert into bulk_jobs (tenant_id, id) select 'acme', 'j' || n from generate_series(1, 3) n")
    for (const job of ['j3', 'j1', 'j3']) await query(told, [job])
    const first = await pending(1)
    t.same(first.requests.map(({ id }) => id), ['j1', 'j3'], 'with an event comes its job, beyond the limit')
    t.same(first.events.map(({ job_id: id }) => id), ['j3'])
    const all = await pending()
    t.same(all.events.map(({ job_id: id }) => id), ['j3', 'j1', 'j3'])
    const refused = { code: 'unknown_job' }
    const done = { requests: all.requests.map(({ id }) => ({ tenant_id: 'acme', id, requested_rev: 1, refused })), events: all.events.slice(1).map((event) => ({ ...event, tenant_id: 'acme' })) }
    const confirm = async () => (await query('select headway_confirm($1) as done', [JSON.stringify(done)]))[0]?.['done']
    t.same(await confirm(), { requests: 3, requests_taken: 3, events: 2, events_taken: 2 })
    t.same(await confirm(), { requests: 3, requests_taken: 0, events: 2, events_taken: 0 })
    t.match(await pending(), { requests: [], events: [{ seq: all.events[0]?.seq }] })
    t.match((await query("select refused from bulk_jobs where id = 'j1'"))[0], { refused })
    await persist(query, { jobs: [aJob('j1', 1)], events: [anEvent('j1', 1)] })
    t.same((await query('select origin, seq::int from job_events where run > 0')), [{ origin: 'headway', seq: 1 }])
    for (const bad of [{ type: 'job.control' }, { data: '[]' }, { tenant_id: 'a/b' }, { data: JSON.stringify({ a: 'x'.repeat(40_000) }) }]) {
      const row = { tenant_id: 'acme', type: 'job.state', data: '{}', ...bad }
      const values = [row.tenant_id, row.type, row.data]
      await t.rejects(query("insert into job_events (tenant_id, job_id, type, data, origin) values ($1, 'j', $2, $3, 'app')", values), { code: '23514' })
    }
    await t.rejects(query('insert into bulk_jobs (tenant_id, id, title) values ($1, $2, $3)', ['acme', 'long', 'x'.repeat(5_000)]), { code: '23514' })
    const days = async (n: number) => (await query('select headway_maintain_inbound($1) as m', [n]))[0]?.['m']
    t.same(await days(1), { events_deleted: 0, jobs_deleted: 0 })
    await query("update job_events set handled_at = now() - interval '2 days' where handled_at is not null")
    t.same(await days(1), { events_deleted: 2, jobs_deleted: 0 }, 'what still waits stays')
    await t.rejects(days(0), { code: '22023' })
  })

  await t.test('retention: a row of an app that never became a job goes some days after it was taken', async (t) => {
    await clear()
    await query("insert into bulk_jobs (tenant_id, id) select 'acme', unnest(array['refused', 'waits', 'asks', 'recent', 'job'])")
    const refused = { code: 'invalid_field' }
    const taken = ['refused', 'asks', 'recent', 'job'].map((id) => ({ tenant_id: 'acme', id, requested_rev: 1, refused: id === 'job' ? null : refused }))
    await query('select headway_confirm($1)', [JSON.stringify({ requests: taken })])
    t.same(await query('select id from bulk_jobs where handled_at is null'), [{ id: 'waits' }], 'when it was taken is noted')
    await persist(query, { jobs: [aJob('job', 1)] })
    await query("update bulk_jobs set handled_at = now() - interval '31 days' where id <> 'recent'")
    await query("update bulk_jobs set requested_state = 'pause' where id = 'asks'")
    const tidy = async () => (await query('select headway_maintain_inbound() as m'))[0]?.['m']
    t.same(await tidy(), { events_deleted: 0, jobs_deleted: 1 })
    t.same(await query('select id from bulk_jobs order by id'), ['asks', 'job', 'recent', 'waits'].map((id) => ({ id })))
    t.same(await tidy(), { events_deleted: 0, jobs_deleted: 0 })
  })

  await t.test('retention: old events go with their day, unless their job lives; ended jobs go with their items', async (t) => {
    await clear()
    const day = 86_400_000
    const old = Math.floor(Date.now() / day) - 40
    await query(`create table headway.job_events_d${old} partition of job_events for values from (${old * day}) to (${(old + 1) * day})`)
    const run = old * day + 5
    const at = (days: number) => new Date(Date.now() - days * day).toISOString()
    const live = aJob('live', 1, { run, epoch: run, updated_at: at(1) })
    const over = aJob('over', 1, { run: 5, epoch: 5, state: 'completed', updated_at: at(100), ended_at: at(100) })
    await persist(query, { jobs: [live, over], items: [anItem('over', 'i', 1, { run: 5 })], events: [anEvent('live', 1, { run, epoch: run }), anEvent('over', 1, { run: 5, epoch: 5 })] })
    const maintain = async () => (await query('select headway_maintain() as m'))[0]?.['m']
    t.match(await maintain(), { partitions_made: 0, partitions_dropped: 0, jobs_deleted: 1 })
    const [jobs, items, events] = await dump(query)
    t.match(jobs, [{ id: 'live' }])
    t.same(items, [])
    t.match(events, [{ job_id: 'live' }])
    t.equal(events?.length, 1)
    await persist(query, { jobs: [{ ...live, rev: 2, state: 'completed', ended_at: at(1) }] })
    t.match(await maintain(), { partitions_dropped: 1, jobs_deleted: 0 })
    await t.rejects(query('select headway_maintain(0)'), { code: '22023' })

    await clear()
    const again = aJob('again', 1, { run: 9, epoch: 9, updated_at: at(1) })
    const itemOf = (id: string, run: number, days: number) => anItem('again', id, 1, { run, epoch: run, updated_at: at(days) })
    await persist(query, { jobs: [again], items: [itemOf('old', 5, 100), itemOf('young', 7, 10), itemOf('own', 9, 100)] })
    t.match(await maintain(), { jobs_deleted: 0, items_of_older_runs_deleted: 1 }, 'an id that is used again')
    t.match((await dump(query))[1], [{ id: 'own' }, { id: 'young' }])
  })
}
