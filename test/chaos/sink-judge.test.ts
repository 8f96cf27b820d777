// The judge of the tables: content with what persisters wrote, and not with a wrong value in any column of any row.

import pg from 'pg'
import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { createPersister } from '../../src/persister/persister.ts'
import { createPostgresSink } from '../../src/persister/postgres-sink.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'
import { judgeTables, TABLES, type Query } from './sink-judge.ts'
import { workOn } from './sink-work.ts'
import { randomOf } from './plan.ts'

const silent = (): void => {}

/** Another value of each type, whatever stands there. */
const OTHERS: Record<string, (column: string) => string> = {
  text: (column) => `coalesce(${column}, '') || 'x'`,
  uuid: () => 'gen_random_uuid()',
  bigint: (column) => `coalesce(${column}, 0) + 1000000`,
  'double precision': (column) => `coalesce(${column}, 0) + 0.01`,
  boolean: (column) => `not coalesce(${column}, false)`,
  'timestamp with time zone': (column) => `coalesce(${column} + interval '1 microsecond', now())`,
  jsonb: () => '\'{"planted": 1}\''
}

t.test('nothing is wrong; then one value after the other is, and is seen', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  const engine = createEngine({ redis_url: redis.url, partitions: 2, settings: { outbox_bytes_max: 50_000_000, sweep_interval_ms: 10 } })
  t.teardown(() => engine.stop())
  await engine.start()
  const log = { debug: silent, info: silent, warn: silent, error: silent }
  const persister = createPersister({ engine, sink: createPostgresSink({ url: postgres.url }), log, settings: { interval_ms: 10 } })
  t.teardown(() => persister.stop())
  await persister.start()
  const addresses = ['acme', 'umbrella'].map((tenant) => ({ tenant, id: 'a' }))
  await Promise.all(addresses.map((job) => workOn(engine, randomOf(5), job, { items: 12, spread_ms: 0 })))
  const outbox = async (n: number): Promise<number> =>
    (await engine.outbox.readOutbox(n, { entries_max: 1, bytes_max: 1 }))?.waiting_bytes ?? 1
  await until(async () => await outbox(0) + await outbox(1) === 0, { what: 'all is written' })

  // What is planted is rolled back: the judge looks from within.
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  t.teardown(() => client.end())
  const query: Query = async (text, values) => (await client.query(text, values)).rows as Record<string, unknown>[]
  const judge = async (): Promise<string[]> => (await judgeTables({ engine, query, addresses })).violations
  t.same(await judge(), [])
  const checks = await query(`select conrelid::regclass::text as table, conname as name from pg_constraint
    where contype = 'c' and coninhcount = 0 and conrelid::regclass::text in ('bulk_jobs', 'bulk_job_items', 'job_events')`)
  for (const { table, name } of checks) await query(`alter table ${String(table)} drop constraint ${String(name)}`)
  await query('alter table bulk_jobs disable trigger user')

  async function planted (change: string): Promise<string[]> {
    await query('begin')
    await query(change)
    const seen = await judge()
    await query('rollback')
    return seen
  }
  let columns = 0
  for (const table of TABLES) {
    const [schema, name] = table.includes('.') ? table.split('.') : ['public', table]
    const found = await query(`select column_name as name, data_type as type from information_schema.columns
      where table_schema = $1 and table_name = $2`, [schema, name])
    for (const { name: column, type } of found as { name: string, type: string }[]) {
      const one = `(tenant_id, ctid) = (select tenant_id, ctid from ${table} where tenant_id = 'acme' order by ctid limit 1)`
      const seen = await planted(`update ${table} set ${column} = ${OTHERS[type]?.(column) ?? 'null'} where ${one}`)
      t.ok(seen.some((what) => what.startsWith(table) && /: (?:there is no such row|nobody wrote such a row)$/.test(what)) ||
        seen.some((what) => what.startsWith(table) && what.includes(`: ${column} is `)), `${table}.${column}`)
      columns++
    }
    t.match(await planted(`delete from ${table} where tenant_id = 'acme'`), [/there is no such row/], `${table}: a row that is not there`)
  }
  t.ok(columns > 85, `${columns} columns`)
  t.match(await planted("insert into bulk_jobs (tenant_id, id) values ('acme', 'b')"), ['bulk_jobs acme/b: nobody wrote such a row'])
  t.match(await planted('alter table bulk_jobs add column later text'), [/the judge does not know later/])
})
