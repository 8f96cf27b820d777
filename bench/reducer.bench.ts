// What does one event cost Redis, from XADD to the written job? Main-thread CPU of ingest and drain together, divided by
// that of redis-benchmark's plain pipelined XADD (-P 16, 60 bytes) in the same run.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { createEngine } from '../src/engine/engine.ts'
import type { Engine } from '../src/engine/engine.ts'
import { packBatch } from '../src/protocol/pack.ts'
import type { WorkerEvent } from '../src/protocol/worker-events.ts'
import { startRedis } from '../test/support/redis.ts'
import { atMost, median } from './bench.ts'
import type { Bench } from './bench.ts'

interface Case {
  name: string
  goal: number
  jobs: number
  /** Events an entry; `spread`: neighbours belong to other jobs. */
  entry: number
  events: number
  /** Events a call of the reducer. */
  call: number
}

const CASES: Case[] = [
  { name: '1 event an entry, 16 jobs', goal: 7, jobs: 16, entry: 1, events: 60_000, call: 128 },
  { name: 'entries of 8, 16 jobs', goal: 4.5, jobs: 16, entry: 8, events: 60_000, call: 128 },
  { name: 'entries of 32, 2 jobs', goal: 2.8, jobs: 2, entry: 32, events: 60_000, call: 128 },
  { name: 'worst: every event another of 1,000 jobs', goal: 14, jobs: 1000, entry: 1, events: 30_000, call: 64 },
  { name: 'one event a call', goal: 38, jobs: 16, entry: 1, events: 6_000, call: 1 }
]

const TENANT = 'bench'

/** Started and completed of one item after the other, a worker's most frequent words. */
function eventOf (job: number, n: number): WorkerEvent {
  const item = n >> 1
  return {
    type: 'item.update',
    tenant: TENANT,
    job: `job_${job}`,
    data: n % 2 === 0
      ? { id: `item_${item}`, state: 'processing', row_index: item, title: `Introduction video ${item}` }
      : { id: `item_${item}`, state: 'completed' }
  }
}

/** Entries in order: each belongs to one job, neighbours to different ones. */
function entriesOf ({ jobs, entry, events }: Case): string[] {
  const next = new Array<number>(jobs).fill(0)
  return Array.from({ length: Math.ceil(events / entry) }, (_, at) => {
    const job = at % jobs
    return packBatch(Array.from({ length: entry }, () => eventOf(job, (next[job] as number)++)))
  })
}

/** Main-thread CPU of Redis, µs. */
async function cpuUs (engine: Engine): Promise<number> {
  const info = await (engine.connections.command as unknown as { info (section: string): Promise<string> }).info('cpu')
  const read = (name: string): number => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1])
  return (read('used_cpu_user_main_thread') + read('used_cpu_sys_main_thread')) * 1e6
}

async function baseline (engine: Engine, port: number, events: number): Promise<number> {
  const before = await cpuUs(engine)
  await promisify(execFile)('redis-benchmark', ['-p', String(port), '-P', '16', '-n', String(events), '-q', 'XADD', 'baseline', '*', 'f', 'x'.repeat(60)])
  const cost = (await cpuUs(engine) - before) / events
  await engine.connections.command.unlink('baseline')
  return cost
}

async function measure (engine: Engine, one: Case): Promise<number> {
  const partition = 0
  const entries = entriesOf(one)
  const { ingest } = engine.keys.partition(partition)
  const before = await cpuUs(engine)
  let applied = 0
  const step = Math.max(1, Math.floor(one.call / one.entry))
  for (let at = 0; at < entries.length; at += step) {
    const pipeline = engine.connections.command.pipeline()
    for (const batch of entries.slice(at, at + step)) pipeline.xadd(ingest, '*', 'b', batch, 'p', 'bench', 'n', ++sent)
    await pipeline.exec()
    applied += (await engine.drain(partition, { events_max: one.call })).applied
  }
  const cost = (await cpuUs(engine) - before) / one.events
  if (applied !== entries.length * one.entry) throw new Error(`${one.name}: ${applied} of ${entries.length * one.entry} events took effect`)
  return cost
}

let sent = 0

async function once (one: Case): Promise<{ base: number, cost: number }> {
  const redis = await startRedis()
  const engine = createEngine({ redis_url: redis.url, partitions: 1 })
  try {
    await engine.start({ drain: false })
    sent = 0
    for (let job = 0; job < one.jobs; job++) {
      await engine.append([{ type: 'job.register', tenant: TENANT, job: `job_${job}`, data: { items_total: one.events, state: 'running' } }])
    }
    while ((await engine.drain(0)).more);
    const port = Number(new URL(redis.url).port)
    const cost = await measure(engine, one)
    return { base: await baseline(engine, port, 200_000), cost }
  } finally {
    await engine.stop()
    await redis.stop()
  }
}

export const run: Bench = async ({ quick, say }) => {
  const runs = quick ? 1 : 5
  const results: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  say(`reducer: Redis main-thread CPU an event, ${runs} run(s), against redis-benchmark -P 16 XADD of the same server`)
  for (const one of CASES) {
    const measured: { base: number, cost: number }[] = []
    for (let n = 0; n < runs; n++) measured.push(await once(quick ? { ...one, events: Math.ceil(one.events / 4) } : one))
    results[`${one.name}, µs`] = median(measured.map(({ cost }) => cost))
    results[`${one.name}, XADD µs`] = median(measured.map(({ base }) => base))
    ratios[one.name] = median(measured.map(({ base, cost }) => cost / base))
  }
  return { runs, results, ratios, goals: CASES.map(({ name, goal }) => atMost(name, goal, ratios[name] as number)) }
}
