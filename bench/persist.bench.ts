// How fast is the outbox written into a Supabase that runs here (Postgres and PostgREST are real, its gateway a stand-in)? Beside it,
// in the same run: one upsert an event, as one would write it with supabase-js, and COPY of the same rows, the most that Postgres takes.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from '@supabase/supabase-js'
import { createEngine, type Engine } from '../src/engine/engine.ts'
import { createPersister, type Persister } from '../src/persister/persister.ts'
import type { EventRow, Sink } from '../src/persister/sink.ts'
import { createSupabaseSink } from '../src/persister/supabase-sink.ts'
import { startPostgres, type PostgresServer } from '../test/support/postgres.ts'
import { startRedis } from '../test/support/redis.ts'
import { startRest, type RestGateway } from '../test/support/rest.ts'
import { ROLES, SCHEMA } from '../test/support/schema.ts'
import { until } from '../test/support/wait.ts'
import { atLeast } from './bench.ts'
import type { Bench } from './bench.ts'

const TENANT = 'bench'
const UPSERTS_AT_ONCE = 8
const RATE_PER_S = 1_000
const LOG = { debug () {}, info () {}, warn () {}, error: (fields: object, message: string) => { throw new Error(`${message} ${JSON.stringify(fields)}`) } }

/** Items that run and end: two logged events each. */
async function append (engine: Engine, job: string, from: number, to: number): Promise<void> {
  const events = Array.from({ length: to - from }, (_, n) => (['processing', 'completed'] as const).map((state) => ({
    type: 'item.update' as const, tenant: TENANT, job, data: { id: `item_${from + n}`, state, title: `Item ${from + n}` }
  })))
  await engine.append(events.flat())
}

async function fill (engine: Engine, jobs: number, items: number): Promise<number> {
  for (let n = 0; n < jobs; n++) {
    await engine.append([{ type: 'job.register', tenant: TENANT, job: `job_${n}`, data: { items_total: items, state: 'running' } }])
    await append(engine, `job_${n}`, 0, items)
  }
  for (let partition = 0; partition < engine.partitions; partition++) while ((await engine.drain(partition)).more);
  return jobs * items * 2
}

/** @returns the sink, what it wrote and how old each event was then */
function watched (sink: Sink): Sink & { events: EventRow[], ages_ms: number[] } {
  const seen = { events: [] as EventRow[], ages_ms: [] as number[] }
  return {
    ...sink,
    ...seen,
    async persist (batch, signal) {
      const answer = await sink.persist(batch, signal)
      const now = Date.now()
      seen.events.push(...batch.events)
      for (const { ts } of batch.events) seen.ages_ms.push(now - Date.parse(ts))
      return answer
    }
  }
}

async function upsertEach (rest: RestGateway, events: readonly EventRow[]): Promise<number> {
  const client = createClient(rest.url, rest.key, { auth: { persistSession: false, autoRefreshToken: false } })
  const left = [...events]
  const begun = performance.now()
  await Promise.all(Array.from({ length: UPSERTS_AT_ONCE }, async () => {
    for (let row = left.pop(); row !== undefined; row = left.pop()) {
      const { error } = await client.from('job_events').upsert({ ...row, epoch: row.epoch + 1 })
      if (error !== null) throw new Error(`an upsert failed: ${error.message}`)
    }
  }))
  return events.length / (performance.now() - begun) * 1000
}

async function copy (postgres: PostgresServer, events: readonly EventRow[]): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-copy-'))
  chmodSync(dir, 0o755)
  const file = join(dir, 'rows.csv')
  const columns = ['tenant_id', 'job_id', 'epoch', 'seq', 'run', 'rev', 'type', 'ts', 'correlation_id', 'data'] as const
  const cell = (value: unknown): string => `"${(typeof value === 'object' ? JSON.stringify(value) : String(value)).replaceAll('"', '""')}"`
  writeFileSync(file, events.map((row) => columns.map((name) => cell(name === 'epoch' ? row.epoch + 2 : row[name])).join()).join('\n'))
  const begun = performance.now()
  await postgres.query(`copy job_events (${columns.join()}) from '${file}' with (format csv)`)
  const rate = events.length / (performance.now() - begun) * 1000
  rmSync(dir, { recursive: true })
  return rate
}

async function lagAtRate (engine: Engine, ages: number[], seconds: number): Promise<number> {
  ages.length = 0
  await engine.append([{ type: 'job.register', tenant: TENANT, job: 'steady', data: { items_total: 1_000_000, state: 'running' } }])
  const begun = performance.now()
  for (let done = 0; done < seconds * RATE_PER_S / 2;) {
    const due = Math.min(seconds * RATE_PER_S / 2, Math.floor((performance.now() - begun) / 1000 * RATE_PER_S / 2))
    if (due > done) await append(engine, 'steady', done, due)
    done = Math.max(done, due)
    await pause(10)
  }
  await until(() => ages.length >= seconds * RATE_PER_S, { timeout_ms: 30_000, interval_ms: 50, what: 'all of it is written' })
  return ages.toSorted((a, b) => a - b)[Math.floor(ages.length * 0.99)] ?? NaN
}

export const run: Bench = async ({ quick, say }) => {
  const redis = await startRedis()
  const postgres = await startPostgres()
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  // Only for the upserts: Headway's own way in is one function.
  await postgres.query('grant insert, update on job_events to service_role')
  const rest = await startRest(postgres.url)
  await postgres.query('notify pgrst, \'reload schema\'')
  const engine = createEngine({ redis_url: redis.url, settings: { outbox_bytes_max: 2_000_000_000 } })
  const sink = watched(createSupabaseSink({ url: rest.url, key: rest.key }))
  let persister: Persister | undefined
  try {
    await engine.start({ drain: false })
    const total = await fill(engine, 100, quick ? 100 : 500)
    say(`${total} events wait in the outbox`)
    const begun = performance.now()
    persister = createPersister({ engine, sink, log: LOG, settings: { interval_ms: 100 } })
    await persister.start()
    await until(() => sink.events.length >= total, { timeout_ms: 300_000, interval_ms: 5, what: 'the outbox is written' })
    const persist = total / (performance.now() - begun) * 1000
    say(`persister        ${Math.round(persist)} events/s`)
    const [stored] = await postgres.query('select count(*)::int as n from job_events')
    if (stored?.['n'] !== total) throw new Error(`${String(stored?.['n'])} of ${total} events are there`)
    const upsert = await upsertEach(rest, sink.events.slice(0, quick ? 1_000 : 3_000))
    say(`an upsert each   ${Math.round(upsert)} events/s, ${UPSERTS_AT_ONCE} at once`)
    const copied = await copy(postgres, sink.events)
    say(`COPY             ${Math.round(copied)} events/s`)
    await engine.start()
    const lag = await lagAtRate(engine, sink.ages_ms, quick ? 4 : 15)
    say(`lag at ${RATE_PER_S}/s    ${Math.round(lag)} ms (p99; the persister looks every 100 ms)`)
    return {
      runs: 1,
      results: { persist_events_per_s: persist, upsert_events_per_s: upsert, copy_events_per_s: copied, lag_p99_ms: lag },
      ratios: { 'persister / an upsert an event': persist / upsert, 'persister / COPY': persist / copied },
      goals: [atLeast('persister / an upsert an event', 20, persist / upsert)]
    }
  } finally {
    await persister?.stop()
    await engine.stop()
    await rest.stop()
    await postgres.stop()
    await redis.stop()
  }
}
