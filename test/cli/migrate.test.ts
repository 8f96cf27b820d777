// `headway migrate` on real Postgres: what it runs, that several wait for each other, that a cut-off one is begun again, and what it says
// to those who may not.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPostgres } from '../support/postgres.ts'
import { MIGRATIONS, ROLES, SCHEMA_VERSION } from '../support/schema.ts'
import { until } from '../support/wait.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const postgres = await startPostgres()
t.teardown(() => postgres.stop())
/** The whole cluster's roles come with the first that makes them. */
const ADMIN = postgres.url

async function migrate (url: string, ...args: string[]): Promise<{ code: number, out: string, err: string }> {
  const child = spawn(process.execPath, [HEADWAY, 'migrate', ...args], { env: { PATH: process.env['PATH'] ?? '', HEADWAY_POSTGRES_URL: url } })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => { out += String(chunk) })
  child.stderr.on('data', chunk => { err += String(chunk) })
  const [code] = await once(child, 'close') as [number]
  return { code, out, err }
}

let count = 0
type Query = (text: string) => Promise<Record<string, unknown>[]>

/** A database of its own. */
async function database (t: Test, owner?: string): Promise<{ url: string, owner_url: string, query: Query }> {
  const name = `app${++count}`
  await postgres.query(`create database ${name}${owner === undefined ? '' : ` owner ${owner}`}`)
  const url = ADMIN.replace(/\/postgres$/, `/${name}`)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return { url, owner_url: url.replace('postgres@', `${owner ?? 'postgres'}@`), query: async text => (await client.query(text)).rows as Record<string, unknown>[] }
}

t.test('a plain Postgres lacks roles, and says so before anything is written', async t => {
  const { url, query } = await database(t)
  t.match(await migrate(url), { code: 1, out: '', err: /no roles anon, authenticated, service_role.*headway migrate --roles/ })
  t.same(await query('select nspname from pg_namespace where nspname = \'headway\''), [])
  t.match(await migrate(url, '--roles', '--dry-run'), { code: 0, out: `would run roles_local.sql\n${MIGRATIONS.map(name => `would run ${name}\n`).join('')}schema version none, would be ${SCHEMA_VERSION}\n` })
  t.same(await query('select nspname from pg_namespace where nspname = \'headway\''), [], 'a dry run runs nothing')
  t.match(await migrate(url, '--roles'), { code: 0, err: '', out: `running roles_local.sql\n${MIGRATIONS.map(name => `running ${name}\n`).join('')}schema version none, now ${SCHEMA_VERSION}\n` })
  t.same(await query('select headway_version()'), [{ headway_version: SCHEMA_VERSION }])
  t.match(await migrate(url), { code: 0, out: `schema version ${SCHEMA_VERSION}: nothing to do\n` })
})

t.test('only what is missing; --all puts grants back; a newer schema is left alone', async t => {
  await postgres.query(ROLES)
  await postgres.query('create role migrate_owner login nosuperuser')
  const { url, owner_url: owner, query } = await database(t, 'migrate_owner')
  await query(ROLES)
  t.match(await migrate(owner), { code: 0, out: new RegExp(`now ${SCHEMA_VERSION}\n$`) }, 'the owner need not be a superuser')
  await query(`delete from headway.migrations where version = ${SCHEMA_VERSION}`)
  t.match(await migrate(owner), { code: 0, out: `running ${MIGRATIONS.at(-1) ?? ''}\nschema version ${SCHEMA_VERSION - 1}, now ${SCHEMA_VERSION}\n` })
  const open = 'select has_function_privilege(\'anon\', \'public.headway_persist(jsonb)\', \'execute\') as open'
  await query('grant execute on function headway_persist(jsonb) to anon')
  t.same(await query(open), [{ open: true }])
  await migrate(owner)
  t.same(await query(open), [{ open: true }])
  t.match(await migrate(owner, '--all'), { code: 0, out: new RegExp(`^running ${MIGRATIONS[0] ?? ''}\n`) })
  t.same(await query(open), [{ open: false }])
  await query('insert into headway.migrations (version) values (900)')
  t.match(await migrate(owner), { code: 0, out: 'schema version 900: nothing to do\n' })
  t.match(await migrate(owner, '--all'), { code: 1, err: /version 900.*turn back/ })
  t.match(await migrate(url.replace('postgres@', 'authenticator@')), { code: 1, err: /may not read headway\.migrations: migrate as the owner/ })
})

t.test('five at once, one of them killed while it holds the lock', async t => {
  const { url, query } = await database(t)
  await query('create schema headway; create table headway.migrations (version int primary key, applied_at timestamptz not null default now())')
  // Holds the first migration in the middle of its transaction.
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  await holder.query('begin; lock table headway.migrations in access exclusive mode')
  const child = spawn(process.execPath, [HEADWAY, 'migrate'], { env: { PATH: process.env['PATH'] ?? '', HEADWAY_POSTGRES_URL: url }, stdio: 'ignore' })
  const waiting = (event: string) => query(`select 1 from pg_stat_activity where application_name = 'headway-migrate' and datname = current_database() and wait_event_type = 'Lock' and wait_event = '${event}'`)
  await until(async () => (await waiting('relation')).length === 1, { what: 'the first one is in the middle', timeout_ms: 20_000 })
  const others = Array.from({ length: 4 }, () => migrate(url))
  await until(async () => (await waiting('advisory')).length === 4, { what: 'the others wait for it', timeout_ms: 40_000 })
  child.kill('SIGKILL')
  await once(child, 'exit')
  await query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = \'headway-migrate\' and datname = current_database() and wait_event = \'relation\'')
  await holder.query('rollback')
  await holder.end()
  const ends = await Promise.all(others)
  t.same(ends.map(({ code, err }) => [code, err]), Array(4).fill([0, '']))
  t.equal(ends.filter(({ out }) => out.includes('running')).length, 1, 'one of them did the work, the others found it done')
  t.same(await query('select headway_version()'), [{ headway_version: SCHEMA_VERSION }])
})

t.test('a file that fails leaves nothing of itself; faults are plain sentences', async t => {
  const { url, query } = await database(t)
  await query('create table public.bulk_jobs (id int)')
  const failed = await migrate(url)
  t.match(failed, { code: 1, err: /^0001_tables\.sql failed, and nothing of it stays: 42/ })
  t.notMatch(failed.err, /\.ts:/)
  t.same(await query('select nspname from pg_namespace where nspname = \'headway\''), [])
  t.match(await migrate('postgres://postgres:planted@127.0.0.1:1/postgres'), { code: 1, err: /cannot be reached: .*ECONNREFUSED/ })
  t.match(await migrate(''), { code: 1, err: /HEADWAY_POSTGRES_URL is not set/ })
  t.match(await migrate(url, 'up'), { code: 2, err: /takes no arguments/ })
})
