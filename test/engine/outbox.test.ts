// With a sink: a finished job leaves Redis only when the persister is through with it, whichever way it learns of it.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { createWorld } from './model/world.ts'

const PARTITIONS = 8
const RETENTION_MS = 6_000

await onEachTopology(t, async (t, topology) => {
  for (const outbox of ['open', 'tight'] as const) {
    await t.test(`retention with the outbox ${outbox}`, async (t) => {
      const settings = { retention_ms: RETENTION_MS, outbox_bytes_max: outbox === 'open' ? 1_000_000 : 1 }
      const engine = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: PARTITIONS, settings })
      await engine.start({ drain: false })
      t.teardown(() => engine.stop())
      const { redis } = topology
      const world = createWorld(3, PARTITIONS)
      const [{ tenant, job }] = world.jobs as [typeof world.stranger]
      const { ingest, meta, dirty, outbox: stream } = engine.keys.partition(world.partition)
      const member = engine.keys.job(tenant, job).member
      let now = Number((await redis.hget(meta, '_') ?? '').split('\t')[4])
      const drainFor = async (ms: number): Promise<number> => {
        let timers = 0
        for (const end = now + ms; now < end;) {
          now = Math.min(now + 2_000, end)
          timers += (await engine.drain(world.partition, { now_ms: now })).timers
        }
        return timers
      }
      const say = async (type: string, data: object): Promise<void> => {
        await redis.xadd(ingest, `${now}-*`, 'type', type, 'tenant', tenant, 'job', job, 'data', JSON.stringify(data))
        await engine.drain(world.partition, { now_ms: now })
      }
      const known = async (): Promise<boolean> => await engine.readJob(tenant, job) !== null

      await say('job.register', { items_total: 1 })
      await say('job.control', { action: 'cancel' })
      t.equal(await redis.zscore(dirty, member), outbox === 'open' ? null : '1', 'the first seq that the outbox does not hold')
      await drainFor(RETENTION_MS * 3)
      t.ok(await known(), 'it waits for the persister')

      const [last] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1)
      await redis.hset(meta, 'ob', last?.[0] ?? '', 'obb', (await redis.hget(meta, '_') ?? '').split('\t')[7] ?? '')
      await redis.xtrim(stream, 'MAXLEN', 0)
      if (outbox === 'tight') {
        await drainFor(6_000)
        t.ok(await known(), 'what it was marked dirty for is not written yet')
        await redis.zrem(dirty, member)
      }
      await drainFor(6_000)
      t.notOk(await known(), 'at the latest 5 s after the persister was through')
      await say('job.register', { items_total: 1 })
      t.ok(await known(), 'its id may be used again')
    })
  }
})
