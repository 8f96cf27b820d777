// What stands in Redis for a job, what an event puts into the outbox, and what a gateway takes before anybody comes: sizes, not speeds, so
// they are the same on any machine. The calculator of docs/capacity.md stands on them.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createEngine } from '../src/engine/engine.ts'
import { spawnGuarded } from '../test/support/child.ts'
import { startRedis } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import type { Bench } from './bench.ts'

const TENANT = 'bench'
const ITEMS = 100
const HEADWAY = fileURLToPath(new URL('../src/cli/headway.ts', import.meta.url))

/** Jobs of 100 items that run and end, two logged events each, as the SDK sends them: titles of 12 characters. */
async function redisBytes (jobs: number, listpack: number): Promise<{ job_bytes: number, outbox_bytes_per_event: number }> {
  const redis = await startRedis({ flags: ['--hash-max-listpack-value', String(listpack)] })
  const client = redis.client()
  const engine = createEngine({ redis_url: redis.url, partitions: 1, settings: { outbox_bytes_max: 2 ** 40 } })
  try {
    await engine.start({ drain: false })
    for (let n = 0; n < jobs; n++) {
      await engine.append([{ type: 'job.register', tenant: TENANT, job: `job_${n}`, data: { items_total: ITEMS, state: 'running', title: 'A nightly import' } }])
      for (let at = 0; at < ITEMS; at += 8) {
        await engine.append(Array.from({ length: Math.min(8, ITEMS - at) }, (_, k) => (['processing', 'completed'] as const).map((state) => ({
          type: 'item.update' as const, tenant: TENANT, job: `job_${n}`, data: { id: `item_${at + k}`, state, title: `Item no. ${at + k}` }
        }))).flat())
        while ((await engine.drain(0, { events_max: 16 })).more);
      }
    }
    const sizes = await Promise.all(Array.from({ length: jobs }, async (_, n) => Number(await client.memory('USAGE', engine.keys.job(TENANT, `job_${n}`).key, 'SAMPLES', 0))))
    const waiting = await engine.outbox.readOutbox(0, { entries_max: 1, bytes_max: 1 })
    return {
      job_bytes: sizes.reduce((sum, one) => sum + one, 0) / jobs,
      outbox_bytes_per_event: (waiting?.waiting_bytes ?? NaN) / (jobs * ITEMS * 2)
    }
  } finally {
    await engine.stop()
    await redis.stop()
  }
}

/** Resident memory of a gateway that nobody watches, a few seconds after its start. */
async function gatewayBytes (): Promise<number> {
  const redis = await startRedis()
  const settings = {
    REDIS_URL: redis.url,
    HEADWAY_JWT_SECRET: 'a secret of the benchmarks, long enough',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_PORT: '0'
  }
  const env = Object.entries(settings).map((pair) => pair.join('='))
  const child = await spawnGuarded('/usr/bin/env', [...env, process.execPath, '--max-semi-space-size=4', HEADWAY, 'gateway'])
  try {
    await until(() => child.output().includes('"event":"listening"'), { what: 'the gateway listens', timeout_ms: 30_000 })
    let [last, now] = [0, 1]
    await until(() => {
      [last, now] = [now, Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024]
      return Math.abs(now - last) < 2 ** 18
    }, { what: 'its memory settles', interval_ms: 2_000, timeout_ms: 60_000 })
    return now
  } finally {
    await child.end()
    await redis.stop()
  }
}

export const run: Bench = async ({ quick, say }) => {
  const jobs = quick ? 20 : 200
  const plain = await redisBytes(jobs, 64)
  const packed = await redisBytes(jobs, 4096)
  const gateway = await gatewayBytes()
  say(`a job of ${ITEMS} ended items in Redis: ${Math.round(packed.job_bytes)} bytes; with hash-max-listpack-value 64: ${Math.round(plain.job_bytes)}`)
  say(`an event in the outbox: ${Math.round(packed.outbox_bytes_per_event)} bytes`)
  say(`a gateway without sockets: ${Math.round(gateway / 2 ** 20)} MiB`)
  return {
    runs: 1,
    results: { ...packed, job_bytes_plain: plain.job_bytes, gateway_bytes: gateway },
    ratios: { 'packed / plain hash': packed.job_bytes / plain.job_bytes },
    goals: []
  }
}
