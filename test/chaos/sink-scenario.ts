// One run against the sink: a reducer, three persisters as processes of their own, workers that work, a fault; at the end the tables
// are held against what Redis says of the same jobs.

import { fileURLToPath } from 'node:url'
import { createRealtimeStandIn } from '../../src/demo/realtime-stand-in.ts'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { startRest } from '../support/rest.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'
import { randomOf } from './plan.ts'
import { createApps, type Apps } from './sink-apps.ts'
import type { SinkFault } from './sink-faults.ts'
import { judgeTables } from './sink-judge.ts'
import { workOn } from './sink-work.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const REPLICAS = 3
const TENANTS = ['acme', 'umbrella']
const SETTLE_MS = 120_000
const POISON = 'poison'

export interface SinkRun { fault: SinkFault, seed: number, quick: boolean }

/** @returns what is wrong, and a line of figures */
export async function runSinkScenario ({ fault, seed, quick }: SinkRun): Promise<{ violations: string[], summary: string }> {
  const random = randomOf(seed)
  const redis = await startRedis()
  const postgres = await startPostgres()
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  if (fault.poison === true) await postgres.query(`alter table job_events add constraint poison check (correlation_id is distinct from '${POISON}')`)
  const rest = await startRest(postgres.url)
  // Nothing is forced because a takeover takes its time.
  const settings = { outbox_bytes_max: 500_000_000, sweep_interval_ms: 20, control_timeout_ms: 600_000 }
  const engine = createEngine({ redis_url: redis.url, partitions: 4, settings })
  const realtime = fault.apps === undefined
    ? null
    : createRealtimeStandIn({
      database_url: postgres.url,
      jwt_secret: rest.jwt_secret,
      secret_key: rest.key,
      publishable_key: rest.publishable_key,
      server: rest.server,
      key_ttl_ms: fault.apps.key_ttl_ms,
      poll_ms: 20,
      refuse_after_ms: 50
    })
  const children: GuardedChild[] = []
  const names: string[] = []
  const start = async (n: number, key = n % 2 === 0 ? rest.key : rest.legacy_key): Promise<void> => {
    const env = {
      REDIS_URL: redis.url,
      SUPABASE_URL: rest.url,
      SUPABASE_SERVICE_ROLE_KEY: key,
      HEADWAY_INTERNAL_PORT: '0',
      HEADWAY_INTERNAL_HOST: '127.0.0.1',
      HEADWAY_PERSIST_INTERVAL_MS: '50',
      HEADWAY_PERSIST_TIMEOUT_MS: '1500',
      HEADWAY_LOG_LEVEL: fault.apps === undefined ? 'warn' : 'info',
      HEADWAY_INBOUND_POLL_MS: String(fault.apps?.poll_ms ?? 5_000)
    }
    children[n] = await spawnGuarded('/usr/bin/env', [...Object.entries(env).map((pair) => pair.join('=')), process.execPath, HEADWAY, 'persister'])
    if (fault.apps === undefined) return
    const told = (): string | undefined => /"event":"persister_started","name":"([0-9a-f]+)"/.exec(children[n]?.output() ?? '')?.[1]
    names[n] = await until(told, { timeout_ms: 60_000, what: 'a persister starts' })
  }
  const leader = async (): Promise<number | null> => {
    const name = await engine.connections.command.get(engine.keys.lease(0))
    const n = names.indexOf(name ?? '')
    return n >= 0 && children[n]?.running() === true ? n : null
  }
  try {
    await engine.start()
    await realtime?.start()
    for (let n = 0; n < REPLICAS; n++) await start(n)
    let over = false
    const persisters = children.map((_, n) => ({ child: () => children[n] as GuardedChild, restart: (key?: string) => start(n, key) }))
    const broken = fault.inject({ random, rest, postgres, persisters, realtime, leader, over: () => over })
    const scale = quick ? { jobs: 8, spread_ms: 1_000 } : { jobs: 24, spread_ms: 4_000 }
    const apps = fault.apps === undefined ? null : await createApps({ engine, rest, random, ...scale })
    const addresses = Array.from({ length: quick ? 8 : 40 }, (_, n) => ({ tenant: TENANTS[n % 2] as string, id: `job_${n}` }))
    const work = { items: quick ? 40 : 120, spread_ms: quick ? 3_000 : 15_000, ...fault.poison === true && { poison: POISON } }
    await Promise.all([...addresses.map((job) => workOn(engine, random, job, work)), apps?.play()])
    over = true
    await broken
    rest.fault = null
    const written = async (): Promise<boolean> => {
      const least = { entries_max: 1, bytes_max: 1 }
      const reads = await Promise.all(Array.from({ length: engine.partitions }, (_, n) => engine.outbox.readOutbox(n, least)))
      const [waits] = await postgres.query("select from bulk_jobs where pending union all select from job_events where origin = 'app' and handled_at is null")
      return waits === undefined && reads.every((read) => read?.waiting_bytes === 0 && read.dirty_jobs === 0)
    }
    const settled = { timeout_ms: SETTLE_MS, interval_ms: 100, what: 'everything is written and taken' }
    await until(written, settled)
    const violations = apps === null ? [] : [...await stirs(engine, postgres, apps), ...await apps.judge()]
    await until(written, settled)
    const all = [...addresses, ...apps?.addresses() ?? []]
    const judged = await judgeTables({ engine, query: postgres.query, addresses: all, ...apps !== null && { apps }, poison: POISON })
    violations.push(...judged.violations)
    for (const child of children) if (/Item (?:of|\d)|sb_secret_[0-9a-f]|eyJhbGci/.test(child.output())) violations.push('a row or a secret stands in a log line')
    const poisoned = judged.refused > 0 ? `, ${judged.refused} refused by the database` : ''
    const fromApps = apps === null ? '' : `, ${apps.jobs.size} rows and ${apps.events.size} events of apps`
    return { violations, summary: `${judged.jobs} jobs, ${judged.events} events each once${poisoned}${fromApps}` }
  } finally {
    for (const child of children) await child.end('SIGKILL')
    await engine.stop()
    await realtime?.stop()
    await rest.stop()
    await postgres.stop()
    await redis.stop()
  }
}

/** Two jobs more are taken, and nothing else moves: what Headway writes asks nothing of Headway. */
async function stirs (engine: Engine, postgres: PostgresServer, apps: Apps): Promise<string[]> {
  const versions = async (): Promise<string> => {
    const rows = await postgres.query("select tenant_id, id, xmin::text from bulk_jobs where id not like 'probe%' order by 1, 2")
    const events = await postgres.query("select seq, xmin::text from job_events where origin = 'app' order by 1")
    return JSON.stringify([rows, events])
  }
  const own = apps.addresses()
  const logged = async (): Promise<string> =>
    (await Promise.all(own.map(async ({ tenant, id }) => (await engine.readJob(tenant, id))?.job.rev))).join()
  const before = { rows: await versions(), revs: await logged() }
  for (const id of ['probe_1', 'probe_2']) await apps.probe(id)
  const after = { rows: await versions(), revs: await logged() }
  return before.rows === after.rows && before.revs === after.revs ? [] : [`rows move though nobody asks: revs ${before.revs}, then ${after.revs}`]
}
