// headway doctor on the database: real Postgres, and real PostgREST before it as Supabase has it.

import t from 'tap'
import { schemaVersion } from '../../src/persister/migrations.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { startRest } from '../support/rest.ts'
import { until } from '../support/wait.ts'
import { ROLES, SCHEMA, SCHEMA_VERSION } from '../support/schema.ts'
import { findingsWith, foundOf, SECRET } from './support.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const postgres = await startPostgres()
t.teardown(() => postgres.stop())
await postgres.query(ROLES)
const rest = await startRest(postgres.url)
t.teardown(() => rest.stop())

const supabase = { REDIS_URL: redis.url, SUPABASE_URL: rest.url, SUPABASE_SERVICE_ROLE_KEY: rest.key, HEADWAY_JWT_SECRET: rest.jwt_secret }
const plain = { REDIS_URL: redis.url, HEADWAY_SINK: 'postgres', HEADWAY_POSTGRES_URL: postgres.url }
const CHECKS = ['reachable', 'schema', 'rights', 'strangers', 'skew']
async function database (env: Record<string, string>): Promise<string[]> {
  return (await findingsWith(env)).filter(({ subject, check }) => subject !== 'redis' && CHECKS.includes(check)).map(({ check, level, found }) => `${level} ${check}: ${found}`)
}

t.test('before the schema, and with it', async t => {
  for (const env of [supabase, plain]) {
    t.match((await database(env))[0], /^problem schema: (supabase|postgres) has no schema of Headway/)
  }
  await postgres.query(`${SCHEMA}; notify pgrst, 'reload schema'`)
  await until(async () => (await database(supabase))[0]?.startsWith('ok'), { what: 'PostgREST has heard of the schema' })
  t.equal(schemaVersion(), SCHEMA_VERSION)
  for (const [env, name] of [[supabase, 'supabase'], [plain, 'postgres']] as const) {
    t.match(await database(env), [
      new RegExp(`^ok reachable: ${name} answers, in \\d+ ms`), `ok schema: schema version ${SCHEMA_VERSION}`, 'ok rights: the persister may write',
      'ok strangers: anon may not call headway_persist', /^ok skew: Redis is .* of this machine; (Supabase|Postgres) is .* of this machine$/
    ], name)
  }
  t.same(await postgres.query('select count(*)::int as jobs from bulk_jobs'), [{ jobs: 0 }], 'nothing was written')
})

t.test('strangers who may write are a problem; who cannot be asked is told', async t => {
  await postgres.query('grant execute on function public.headway_persist(jsonb) to anon')
  t.match(await database(supabase), [/^ok reach/, /^ok schema/, /^ok rights/, 'problem strangers: anon may call headway_persist', /^ok/])
  t.match((await database(plain))[3], 'problem strangers: anon may call headway_persist')
  const byKey = { ...supabase, HEADWAY_JWT_SECRET: SECRET, SUPABASE_ANON_KEY: rest.publishable_key }
  t.match((await database(byKey))[3], 'problem strangers: anon may call headway_persist')
  await postgres.query('revoke execute on function public.headway_persist(jsonb) from anon')
  t.match((await database(byKey))[3], 'ok strangers: anon may not call headway_persist')
  t.match((await database({ ...byKey, SUPABASE_ANON_KEY: 'sb_publishable_wrong' }))[3], /^warning strangers: .*SUPABASE_ANON_KEY is refused/)
  const { HEADWAY_JWT_SECRET: _, ...without } = supabase
  t.match((await database(without))[3], /^warning strangers: .*HEADWAY_JWT_SECRET is not the project's own/, 'the tests\' usual secret')
})

t.test('an old schema, a missing right, a wrong key, a project that is away', async t => {
  await postgres.query('delete from headway.migrations where version > 1')
  t.match((await database(supabase))[1], `problem schema: schema version 1; this build writes to ${SCHEMA_VERSION}`)
  await postgres.query('insert into headway.migrations (version) values (999)')
  t.match((await database(supabase))[1], /^ok schema: schema version 999, newer/)
  await postgres.query(`delete from headway.migrations where version = 999; insert into headway.migrations (version) values (${SCHEMA_VERSION})`)
  await postgres.query('revoke execute on function public.headway_persist(jsonb) from service_role')
  t.match((await database(supabase))[2], /^problem rights: the persister may not write: .*42501/)
  await postgres.query('grant execute on function public.headway_persist(jsonb) to service_role')
  const wrong = await findingsWith({ ...supabase, SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_planted' })
  t.match(foundOf(wrong, 'reachable')[1], /^problem: supabase refuses or cannot be reached: .*401/)
  t.match(wrong.findLast(({ check }) => check === 'reachable')?.advice, /check key or password/)
  t.notMatch(JSON.stringify(wrong), /planted/)
  t.match((await database({ ...supabase, SUPABASE_SERVICE_ROLE_KEY: rest.publishable_key }))[0], /^problem (rights|schema|reachable)/)
  rest.fault = () => ({ status: 503, body: 'away' })
  t.match((await database(supabase))[0], /^problem reachable: .*503/)
  rest.fault = null
  t.match((await database({ ...plain, HEADWAY_POSTGRES_URL: 'postgres://postgres@127.0.0.1:1/postgres' }))[0], /^problem reachable: postgres refuses or cannot be reached: .*ECONNREFUSED/)
})
