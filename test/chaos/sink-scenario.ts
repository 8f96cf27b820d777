// One run against the sink: a reducer, three persisters as processes of their own, workers that work, a fault; at the end the tables
// are held against what Redis says of the same jobs.

import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { jobMetrics } from '../../src/protocol/metrics.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { startRest } from '../support/rest.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'
import { between, randomOf, type Random } from './plan.ts'
import type { SinkFault } from './sink-faults.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const REPLICAS = 3
const TENANTS = ['acme', 'umbrella']
const SETTLE_MS = 120_000

interface Address { tenant: string, id: string }

export interface SinkRun { fault: SinkFault, seed: number, quick: boolean }

/** @returns what is wrong, and a line of figures */
export async function runSinkScenario ({ fault, seed, quick }: SinkRun): Promise<{ violations: string[], summary: string }> {
  const random = randomOf(seed)
  const redis = await startRedis()
  const postgres = await startPostgres()
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  if (fault.poison === true) await postgres.query('alter table job_events add constraint poison check (correlation_id is distinct from \'poison\')')
  const rest = await startRest(postgres.url)
  const engine = createEngine({ redis_url: redis.url, partitions: 4, settings: { outbox_bytes_max: 500_000_000, sweep_interval_ms: 20 } })
  const children: GuardedChild[] = []
  const start = async (n: number, key = n % 2 === 0 ? rest.key : rest.legacy_key): Promise<void> => {
    const env = {
      REDIS_URL: redis.url,
      SUPABASE_URL: rest.url,
      SUPABASE_SERVICE_ROLE_KEY: key,
      HEADWAY_INTERNAL_PORT: '0',
      HEADWAY_INTERNAL_HOST: '127.0.0.1',
      HEADWAY_PERSIST_INTERVAL_MS: '50',
      HEADWAY_PERSIST_TIMEOUT_MS: '1500',
      HEADWAY_LOG_LEVEL: 'warn'
    }
    children[n] = await spawnGuarded('/usr/bin/env', [...Object.entries(env).map((pair) => pair.join('=')), process.execPath, HEADWAY, 'persister'])
  }
  try {
    await engine.start()
    for (let n = 0; n < REPLICAS; n++) await start(n)
    let over = false
    const persisters = children.map((_, n) => ({ child: () => children[n] as GuardedChild, restart: (key?: string) => start(n, key) }))
    const broken = fault.inject({ random, rest, postgres, persisters, over: () => over })
    const addresses = Array.from({ length: quick ? 8 : 40 }, (_, n) => ({ tenant: TENANTS[n % 2] as string, id: `job_${n}` }))
    await Promise.all(addresses.map((job) => work(engine, random, job, quick ? 40 : 120, quick ? 3_000 : 15_000, fault.poison === true)))
    over = true
    await broken
    rest.fault = null
    await until(async () => {
      const least = { entries_max: 1, bytes_max: 1 }
      const reads = await Promise.all(Array.from({ length: engine.partitions }, (_, n) => engine.outbox.readOutbox(n, least)))
      return reads.every((read) => read?.waiting_bytes === 0 && read.dirty_jobs === 0)
    }, { timeout_ms: SETTLE_MS, interval_ms: 100, what: 'everything is written' })
    return await judge(engine, postgres, addresses, children)
  } finally {
    for (const child of children) await child.end('SIGKILL')
    await engine.stop()
    await rest.stop()
    await postgres.stop()
    await redis.stop()
  }
}

async function work (
  engine: Engine, random: Random, { tenant, id: job }: Address, items: number, spread_ms: number, poison: boolean
): Promise<void> {
  await engine.append([{ type: 'job.register', tenant, job, data: { items_total: items, state: 'running', auto_complete: true, title: job } }])
  for (let n = 0; n < items; n++) {
    const correlation = poison && random() < 0.02 ? { cid: 'poison' } : {}
    await engine.append([
      { type: 'item.update', tenant, job, data: { id: `i${n}`, state: 'processing', title: `Item ${n}` } },
      { type: 'item.update', tenant, job, ...correlation, data: { id: `i${n}`, state: random() < 0.9 ? 'completed' : 'skipped', result: { n } } }
    ])
    if (n % 8 === 0) await pause(between(random, 0, 2 * spread_ms * 8 / items))
  }
}

async function judge (
  engine: Engine, postgres: PostgresServer, addresses: readonly Address[], children: readonly GuardedChild[]
): Promise<{ violations: string[], summary: string }> {
  const violations: string[] = []
  let events = 0
  let truncated = 0
  for (const { tenant, id } of addresses) {
    const read = await engine.readJob(tenant, id)
    const columns = 'epoch::float8, rev::float8, seq::float8, state, items_completed::float8 as completed, items_skipped::float8 as skipped'
    const [row] = await postgres.query(`select ${columns} from bulk_jobs where tenant_id = $1 and id = $2`, [tenant, id])
    if (read === null || row === undefined) {
      violations.push(`${tenant}/${id}: ${read === null ? 'not in Redis' : 'no row'}`)
      continue
    }
    const { job } = read
    const metrics = jobMetrics(job, job.updated_at)
    const last = { epoch: job.epoch, rev: job.rev, seq: job.seq, state: job.state }
    const wanted = { ...last, completed: metrics.items_completed, skipped: metrics.items_skipped }
    const { epoch, rev, seq, state, completed, skipped } = row
    const found = { epoch, rev, seq, state, completed, skipped }
    if (JSON.stringify(found) !== JSON.stringify(wanted)) violations.push(`${tenant}/${id}: row ${JSON.stringify(found)}, Redis ${JSON.stringify(wanted)}`)
    const told = await postgres.query('select seq::float8, type from job_events where tenant_id = $1 and job_id = $2 order by seq', [tenant, id])
    const seqs = told.map(({ seq }) => seq)
    const all = Array.from({ length: job.seq }, (_, n) => n + 1)
    if (seqs.join() !== all.join()) violations.push(`${tenant}/${id}: ${seqs.length} events of ${all.length}, or others`)
    const [settled] = await postgres.query('select count(*)::int as n from bulk_job_items where tenant_id = $1 and job_id = $2', [tenant, id])
    if (settled?.['n'] !== metrics.items_completed + metrics.items_skipped) violations.push(`${tenant}/${id}: ${String(settled?.['n'])} items`)
    events += seqs.length
    truncated += told.filter(({ type }) => type === 'history_truncated').length
  }
  for (const child of children) if (/Item \d|sb_secret_[0-9a-f]|eyJhbGci/.test(child.output())) violations.push('a row or a secret stands in a log line')
  const poison = truncated > 0 ? `, ${truncated} refused by the database` : ''
  return { violations, summary: `${addresses.length} jobs, ${events} events each once${poison}` }
}
