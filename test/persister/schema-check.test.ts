// A persister and a database of another schema: told at the start, with what to do about it.

import t from 'tap'
import { migrations, schemaVersion } from '../../src/persister/migrations.ts'
import { createPostgresSink } from '../../src/persister/postgres-sink.ts'
import { checkSchema, requireSchema } from '../../src/persister/schema-check.ts'
import { runPersister } from '../../src/main.ts'
import { startPostgres } from '../support/postgres.ts'
import { ROLES } from '../support/schema.ts'

const { signal } = new AbortController()

t.test('none, an older one, this one, a newer one, nobody there', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  const sink = createPostgresSink({ url: postgres.url })
  t.teardown(() => sink.stop())
  const files = migrations()
  await t.rejects(checkSchema(sink, signal), { code: 'invalid_config', message: /no schema of Headway.*0001_tables\.sql.* of deploy\/supabase/ })
  await postgres.query(ROLES)
  for (const { sql } of files.slice(0, 2)) await postgres.query(sql)
  const told = { code: 'invalid_config', message: new RegExp(`has schema version 2, this build needs ${schemaVersion()}: run headway migrate, which applies ${files[2]?.name}`) }
  await t.rejects(checkSchema(sink, signal), told)
  const env = { HEADWAY_SINK: 'postgres', HEADWAY_POSTGRES_URL: postgres.url, HEADWAY_INTERNAL_PORT: '0', HEADWAY_LOG_LEVEL: 'fatal', REDIS_URL: 'redis://127.0.0.1:1' }
  await t.rejects(runPersister(env, signal), told, 'before it asks for Redis')
  for (const { sql } of files) await postgres.query(sql)
  t.equal(await checkSchema(sink, signal), schemaVersion())
  await postgres.query('insert into headway.migrations (version) values (999)')
  t.equal(await checkSchema(sink, signal), 999, 'a newer one still serves')

  await postgres.kill()
  t.equal(await checkSchema(sink, signal), null)
  const spoken: string[] = []
  const say = (fields: object): void => { spoken.push((fields as { event: string }).event) }
  const stop = new AbortController()
  await requireSchema(sink, { debug: say, info: say, warn: say, error: say }, stop.signal)
  stop.abort()
  t.same(spoken, ['schema_unknown'], 'who is away keeps nobody from starting')
})
