// Does anything cost O(items)? A job of 100,000 items is registered, filled, read, canceled and removed; Redis's own
// SLOWLOG says what each call took. The times are of this machine: compare them with the same calls on a job of 100 items.

import type { Redis } from 'ioredis'
import { createEngine } from '../src/engine/engine.ts'
import type { Engine } from '../src/engine/engine.ts'
import type { ControlData, StateData } from '../src/protocol/worker-events.ts'
import { startRedis } from '../test/support/redis.ts'
import { atMost, median } from './bench.ts'
import type { Bench } from './bench.ts'

const STEPS = ['register', 'snapshot', 'cancel', 'removal'] as const
type Step = typeof STEPS[number]
type Costs = Record<Step, number> & { filling_max: number }

const TENANT = 'bench'
const RETENTION_MS = 1000
const FILL_STEP = 2560

/** The slowest logged call since the last look, ms. */
async function slowestMs (redis: Redis): Promise<number> {
  const entries = await redis.slowlog('GET', 1000) as [number, number, number][]
  await redis.slowlog('RESET')
  return Math.max(0, ...entries.map(([, , us]) => us)) / 1000
}

async function fill (engine: Engine, job: string, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 256) {
    await engine.append(Array.from({ length: Math.min(256, to - at) }, (_, n) => ({
      type: 'item.update' as const, tenant: TENANT, job, data: { id: `item_${at + n}`, state: 'processing' as const, title: `Item ${at + n}` }
    })))
    while ((await engine.drain(0)).more);
  }
}

async function live (engine: Engine, redis: Redis, items: number): Promise<Costs> {
  const job = `job_${items}`
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    await slowestMs(redis)
    await work()
    return await slowestMs(redis)
  }
  const ask = async (event: { type: 'job.control', data: ControlData } | { type: 'job.state', data: StateData }): Promise<unknown> =>
    await engine.submit({ tenant: TENANT, job, ...event })
  const data = { items_total: items, state: 'running' as const }
  const register = await timed(() => engine.submit({ type: 'job.register', tenant: TENANT, job, data }))
  let fillingMax = 0
  for (let at = 0; at < items; at += FILL_STEP) {
    fillingMax = Math.max(fillingMax, await timed(() => fill(engine, job, at, Math.min(items, at + FILL_STEP))))
  }
  const snapshot = await timed(() => engine.readJob(TENANT, job))
  const cancel = await timed(() => ask({ type: 'job.control', data: { action: 'cancel' } }))
  await ask({ type: 'job.state', data: { state: 'canceled' } })
  const read = await engine.readJob(TENANT, job)
  if (read?.items_seen !== items) throw new Error(`${read?.items_seen} of ${items} items were seen`)
  const removal = await timed(() => engine.drain(0, { now_ms: Date.now() + RETENTION_MS + 1000 }))
  if (await engine.readJob(TENANT, job) !== null) throw new Error('the job was not removed')
  return { register, snapshot, cancel, removal, filling_max: fillingMax }
}

/** A job of 100 items before it, so that no script is compiled while it is measured. */
async function once (): Promise<{ small: Costs, large: Costs }> {
  const server = await startRedis({ flags: ['--slowlog-log-slower-than', '0', '--slowlog-max-len', '1000'] })
  const engine = createEngine({ redis_url: server.url, partitions: 1, settings: { retention_ms: RETENTION_MS } })
  const redis = server.client()
  try {
    await engine.start({ drain: false })
    await live(engine, redis, 10)
    return { small: await live(engine, redis, 100), large: await live(engine, redis, 100_000) }
  } finally {
    await engine.stop()
    await server.stop()
  }
}

export const run: Bench = async ({ quick, say }) => {
  const runs = quick ? 1 : 3
  const costs = { small: [] as Costs[], large: [] as Costs[] }
  for (let n = 0; n < runs; n++) {
    const { small, large } = await once()
    costs.small.push(small)
    costs.large.push(large)
  }
  const results: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  say(`large-job: slowest call of Redis, ms, ${runs} run(s); 100,000 items against 100`)
  for (const step of [...STEPS, 'filling_max'] as const) {
    const small = median(costs.small.map((one) => one[step]))
    const large = median(costs.large.map((one) => one[step]))
    results[`${step}, 100 items, ms`] = small
    results[`${step}, 100,000 items, ms`] = large
    ratios[step] = large / small
    say(`  ${step.padEnd(12)} ${small.toFixed(3)} → ${large.toFixed(3)} ms`)
  }
  return {
    runs,
    results,
    ratios,
    goals: [
      ...STEPS.map((step) => atMost(`${step}, ms`, 1, results[`${step}, 100,000 items, ms`] as number)),
      atMost('any call while filling, ms', 10, results['filling_max, 100,000 items, ms'] as number)
    ]
  }
}
