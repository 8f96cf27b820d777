// The helpers themselves: a Cluster that is whole, a slot that moves with its keys and back, servers that leave nothing behind.

import t from 'tap'
import { existsSync } from 'node:fs'
import { startCluster } from './cluster.ts'
import { startRedis } from './redis.ts'
import { until } from './wait.ts'

t.test('a private Redis answers, and is gone with its folder after stop', async (t) => {
  const server = await startRedis({ flags: ['--maxmemory', '50mb'] })
  t.teardown(() => server.stop())
  const redis = server.client()
  t.equal((await redis.config('GET', 'maxmemory') as string[])[1], '52428800')
  await server.stop()
  await server.stop()
  t.notOk(existsSync(server.dir))
  t.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' })
})

t.test('a slot moves to another primary and back, with its keys', async (t) => {
  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  const redis = cluster.client()
  const slot = await redis.cluster('KEYSLOT', '{p3}')
  const home = await cluster.ownerOf(slot)
  const away = (home + 1) % 3
  for (let n = 0; n < 25; n++) await redis.set(`{p3}:${n}`, n)

  const steps: number[] = []
  await cluster.moveSlot(slot, away, { onStep: (moved) => { steps.push(moved) } })
  t.same(steps, [0, 10, 20, 25])
  await until(async () => await cluster.ownerOf(slot) === away)
  t.equal(await redis.get('{p3}:24'), '24')
  await cluster.moveSlot(slot, home)
  await until(async () => await cluster.ownerOf(slot) === home)
  t.equal(await redis.get('{p3}:7'), '7')
  t.equal(await cluster.primaries[away]?.redis.call('CLUSTER', 'COUNTKEYSINSLOT', slot), 0)
})

t.test('waiting is bounded, and says for what', async (t) => {
  await t.rejects(until(() => false, { timeout_ms: 20, what: 'pigs fly' }), { message: 'not within 20 ms: pigs fly' })
})
