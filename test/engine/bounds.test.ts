// H11: nothing costs O(items), and every queue in Redis has a bound and a behaviour at it.

import t from 'tap'
import type { Test } from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import type { Engine, EngineSettings } from '../../src/engine/engine.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import type { Topology } from '../support/topology.ts'

const TENANT = 'acme'

async function started (t: Test, topology: Topology, settings: Partial<EngineSettings> = {}): Promise<Engine> {
  // Its own probes would be among the commands that are counted.
  const probe = { interval_ms: 3_600_000 }
  const engine = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: 1, settings, probe })
  t.teardown(() => engine.stop())
  await engine.start({ drain: false })
  return engine
}

async function drainAll (engine: Engine, now_ms = 0): Promise<void> {
  while ((await engine.drain(0, { now_ms })).more);
}

function items (job: string, from: number, to: number, state: 'processing' | 'completed' = 'processing'): WorkerEvent[] {
  return Array.from({ length: to - from }, (_, n) => ({ type: 'item.update', tenant: TENANT, job, data: { id: `item_${from + n}`, state } }))
}

async function register (engine: Engine, job: string): Promise<void> {
  await engine.submit({ type: 'job.register', tenant: TENANT, job, data: { items_total: 100, state: 'running' } })
}

/** How many commands Redis ran, those inside scripts included. */
async function commandsOf (topology: Topology, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const nodes = topology.cluster === null ? [topology.redis] : (topology.redis as unknown as { nodes (role: string): Topology['redis'][] }).nodes('master')
  await Promise.all(nodes.map((node) => (node as unknown as { config (...args: string[]): Promise<unknown> }).config('RESETSTAT')))
  await work()
  const calls: Record<string, number> = {}
  for (const node of nodes) {
    const info = await (node as unknown as { info (section: string): Promise<string> }).info('commandstats')
    for (const [, name, count] of info.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)) {
      if (/^(hget|hmget|hset|hdel|unlink|zadd|zrem|xadd|hgetall|hkeys|hvals|hscan|del|publish|spublish)$/.test(name as string)) {
        calls[name as string] = (calls[name as string] ?? 0) + Number(count)
      }
    }
  }
  return calls
}

t.test('H11', async (t) => {
  await onEachTopology(t, async (t, topology) => {
    await t.test('a job of 100,000 items is read, canceled and removed by the commands of one of 100', async (t) => {
      const counts: Record<string, number>[][] = []
      for (const size of [100, 100_000]) {
        const engine = await started(t, topology, { retention_ms: 1000 })
        await register(engine, 'job')
        for (let at = 0; at < size; at += 5000) {
          await engine.append(items('job', at, Math.min(size, at + 5000)))
          await drainAll(engine)
        }
        const read = await engine.readJob(TENANT, 'job')
        t.equal(read?.items_seen, size)
        t.equal(read?.job.counted.processing, size)
        const page = await engine.readItems(TENANT, 'job', { cursor: String(size - 50), limit: 50 })
        t.same([page?.items.length, page?.items[0]?.id, page?.next_cursor], [50, `item_${size - 50}`, null])
        counts.push([
          await commandsOf(topology, () => engine.readJob(TENANT, 'job')),
          await commandsOf(topology, () => engine.submit({ type: 'job.control', tenant: TENANT, job: 'job', data: { action: 'cancel' } })),
          await commandsOf(topology, () => engine.submit({ type: 'job.state', tenant: TENANT, job: 'job', data: { state: 'canceled' } })),
          await commandsOf(topology, () => engine.drain(0, { now_ms: Date.now() + 3000 }))
        ])
        t.equal(await engine.readJob(TENANT, 'job'), null, 'removed')
      }
      t.same(counts[1], counts[0])
    })

    await t.test('the log keeps its newest events within its bounds', async (t) => {
      const engine = await started(t, topology, { log_events_max: 50 })
      await register(engine, 'job')
      for (let at = 0; at < 200; at += 8) {
        await engine.append(items('job', at, at + 8))
        await engine.drain(0)
      }
      const read = await engine.readJob(TENANT, 'job')
      t.ok(read !== null && read.job.store.log_events <= 50 && read.job.store.log_events > 40, `${read?.job.store.log_events} events`)
      t.equal((await engine.readLog(TENANT, 'job', 0))?.truncated, true)
      const tail = await engine.readLog(TENANT, 'job', 180)
      t.same(tail?.events.map(({ seq }) => seq), Array.from({ length: 20 }, (_, n) => 181 + n))
    })

    await t.test('beyond the limit of items an unknown one is refused, known ones go on', async (t) => {
      const engine = await started(t, topology, { items_max: 10 })
      await register(engine, 'job')
      await engine.append(items('job', 0, 10))
      const refused = await engine.submit({ type: 'item.update', tenant: TENANT, job: 'job', data: { id: 'one_more', state: 'processing' } })
      t.match(refused, { outcome: 'refused', code: 'too_many_items' })
      const known = await engine.submit({ type: 'item.update', tenant: TENANT, job: 'job', data: { id: 'item_3', state: 'completed' } })
      t.match(known, { outcome: 'ok', effect: 'applied' })
    })

    await t.test('dead letters are capped, the newest stay', async (t) => {
      const engine = await started(t, topology, { rejected_max: 100 })
      await engine.append(items('unknown', 0, 2000))
      await drainAll(engine)
      const { rejected } = engine.keys.partition(0)
      const kept = await engine.connections.command.xlen(rejected)
      t.ok(kept >= 100 && kept < 400, `${kept} dead letters`)
      const [newest] = await engine.connections.command.xrevrange(rejected, '+', '-', 'COUNT', 1)
      t.ok(newest?.[1].includes('unknown_job'))
    })

    await t.test('a full outbox marks jobs dirty; they wait for the persister, beyond a number as their header only', async (t) => {
      const engine = await started(t, topology, { outbox_bytes_max: 2000, waiting_jobs_max: 1, retention_ms: 1000 })
      const { outbox, dirty, meta } = engine.keys.partition(0)
      const redis = engine.connections.command
      for (const job of ['one', 'two']) {
        await register(engine, job)
        await engine.append(items(job, 0, 40, 'completed'))
        await drainAll(engine)
        await engine.submit({ type: 'job.state', tenant: TENANT, job, data: { state: 'completed' } })
      }
      t.ok(await redis.xlen(outbox) > 0)
      t.same((await redis.zrange(dirty, '0', '-1')).filter((member) => member !== '-').sort(), ['acme/one', 'acme/two'])
      for (const ms of [2000, 4000]) await engine.drain(0, { now_ms: Date.now() + ms })
      const waiting = await Promise.all(['one', 'two'].map(async (job) => (await engine.readJob(TENANT, job))?.job))
      t.same(waiting.map((job) => job?.waits), [true, true], 'neither has left')
      t.same(waiting.map((job) => job?.stripped).sort(), [false, true], 'one of them keeps its header only')
      t.same(waiting.map((job) => job?.counted.completed), [40, 40])

      const last = (await redis.xrevrange(outbox, '+', '-', 'COUNT', 1))[0]?.[0] as string
      await redis.hset(meta, 'ob', last) // the persister is through with the outbox, and then with the dirty jobs
      await redis.zrem(dirty, 'acme/one', 'acme/two')
      for (const ms of [8000, 12_000]) await engine.drain(0, { now_ms: Date.now() + ms })
      t.same(await Promise.all(['one', 'two'].map((job) => engine.readJob(TENANT, job))), [null, null], 'both have left')
    })

    await t.test('outbox_full: hold stops the reducer until the persister has made room', async (t) => {
      const engine = await started(t, topology, { outbox_bytes_max: 500, outbox_full: 'hold' })
      await register(engine, 'job')
      await engine.append(items('job', 0, 20))
      await engine.drain(0)
      await engine.append(items('job', 20, 21))
      t.equal((await engine.drain(0)).word, 'held')
      const { meta } = engine.keys.partition(0)
      await engine.connections.command.hset(meta, 'obb', '1000000')
      t.match(await engine.drain(0), { word: 'ok', applied: 1 })
    })

    await t.test('without a sink nothing is written to the outbox', async (t) => {
      const engine = await started(t, topology)
      await register(engine, 'job')
      t.equal(await engine.connections.command.xlen(engine.keys.partition(0).outbox), 0)
    })
  })
})
