// What the engine does when Redis is not the one it was: another replication id, everything wiped, entries of a newer build,
// another number of partitions, producers that fell silent.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { createPartition } from '../../src/engine/partitions.ts'
import { loadScript } from '../../src/engine/script.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'

const ADDRESS = { tenant: 'acme', job: 'job' }

function register (job = 'job'): WorkerEvent {
  return { type: 'job.register', tenant: 'acme', job, data: { items_total: 3, state: 'running' } }
}

function item (id: string): WorkerEvent {
  return { ...ADDRESS, type: 'item.update', data: { id, state: 'completed' } }
}

t.test('epochs and formats', async (t) => {
  await onEachTopology(t, async (t, topology) => {
    const started = async (prefix = randomPrefix()): Promise<Engine> => {
      const engine = createEngine({ redis_url: topology.url, prefix, partitions: 1 })
      t.teardown(() => engine.stop())
      await engine.start({ drain: false })
      return engine
    }

    await t.test('another Redis answers: nothing is written until the epoch is raised; seq goes on', async (t) => {
      const engine = await started()
      const { meta } = engine.keys.partition(0)
      const redis = engine.connections.command
      await engine.submit(register())
      await engine.submit(item('a'))
      const before = await engine.readJob('acme', 'job')
      await redis.hset(meta, 'rid', 'f'.repeat(40)) // as a promoted replica finds it
      await engine.append([item('b')])
      const untouched = await redis.hgetall(meta)
      t.equal((await engine.drain(0)).word, 'replica_changed')
      t.same(await redis.hgetall(meta), untouched)
      t.match(await engine.submit(item('c')), { outcome: 'ok', effect: 'applied' }, 'who submits raises the epoch and goes on')
      const after = await engine.readJob('acme', 'job')
      t.ok(after !== null && before !== null && after.job.epoch > before.job.epoch, 'a greater epoch')
      t.equal(after?.job.registered_epoch, before?.job.registered_epoch, 'the same run of the job')
      t.equal(after?.job.seq, 3, 'b and c were logged once each')
    })

    await t.test('a wiped partition is made anew, and a job of the same id has a greater epoch', async (t) => {
      const engine = await started()
      await engine.submit(register())
      const before = await engine.readJob('acme', 'job')
      const { key } = engine.keys.job('acme', 'job')
      for (const name of [key, ...Object.values(engine.keys.partition(0))]) await engine.connections.command.unlink(name)
      t.equal((await engine.drain(0)).word, 'absent')
      t.match(await engine.submit(item('a')), { outcome: 'refused', code: 'unknown_job' })
      t.match(await engine.submit(register()), { outcome: 'ok', effect: 'applied' })
      const after = await engine.readJob('acme', 'job')
      t.ok(after !== null && before !== null && after.job.epoch > before.job.epoch)
    })

    await t.test('a job of a partition that was lost is not called unknown until jobs have had time to be put back', async (t) => {
      const engine = await started()
      await engine.submit(register())
      const { command } = engine.connections
      const { key } = engine.keys.job('acme', 'job')
      const lost = { code: 'redis_unavailable' }
      const reads: (() => Promise<unknown>)[] = [
        () => engine.readJob('acme', 'job'), () => engine.readLog('acme', 'job', 0), () => engine.readItems('acme', 'job', { limit: 1 })
      ]
      for (const name of [key, ...Object.values(engine.keys.partition(0))]) await command.unlink(name)
      for (const read of reads) await t.rejects(read(), lost, 'nobody has made the partition anew yet')
      await createPartition(command, engine.keys, 0, { hold_ms: 60_000 })
      for (const read of reads) await t.rejects(read(), lost, 'it waits for the persister')
      await command.hset(engine.keys.partition(0).meta, 'hold', Date.now() - 1)
      for (const read of reads) t.equal(await read(), null, 'that is over')
    })

    await t.test('an entry of a newer format stops the reducer before it; what stood before it took effect', async (t) => {
      const engine = await started()
      const { ingest } = engine.keys.partition(0)
      await engine.submit(register())
      await engine.append([item('a')])
      await engine.connections.command.xadd(ingest, '*', 'b', '2\nwho knows')
      await engine.append([item('b')])
      t.match(await engine.drain(0), { word: 'newer_format', applied: 1 })
      t.match(await engine.drain(0), { word: 'newer_format', applied: 0, consumed: 0 })
      t.match((await engine.readJob('acme', 'job'))?.job, { seq: 1, counted: { completed: 1 } })
      t.equal(await engine.connections.command.xlen(engine.keys.partition(0).rejected), 0, 'it waits for a newer build, it is not refused')
    })

    await t.test('a start with another number of partitions is refused, and says which one is right', async (t) => {
      const prefix = randomPrefix()
      await started(prefix)
      const other = createEngine({ redis_url: topology.url, prefix, partitions: 4 })
      t.teardown(() => other.stop())
      await t.rejects(other.start(), { code: 'invalid_field', message: /HEADWAY_PARTITIONS is 4.*created with 1/ })
      const odd = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: 3 })
      t.teardown(() => odd.stop())
      await t.rejects(odd.start(), { code: 'invalid_field', message: /power of two/ })
      const braces = createEngine({ redis_url: topology.url, prefix: 'a{b}' })
      t.teardown(() => braces.stop())
      await t.rejects(braces.start(), { code: 'invalid_field', message: /braces/ })
    })

    await t.test('a producer is forgotten after an hour of service time, and then begins at 1', async (t) => {
      const engine = await started()
      const { ingest, meta, producers } = engine.keys.partition(0)
      const redis = engine.connections.command
      const heartbeat = '1\nh\tacme\tjob\t\t\t'
      await engine.submit(register())
      await redis.xadd(ingest, '*', 'b', heartbeat, 'p', 'old', 'n', '1')
      await redis.xadd(ingest, '*', 'b', heartbeat, 'p', 'young', 'n', '1')
      await engine.drain(0)
      const seen = Number((await redis.hget(producers, 'old'))?.split('\t')[1])
      await redis.hset(producers, 'old', `1\t${seen - 3_700_000}`)
      const forget = loadScript('forget_producers.lua')
      t.match(await forget.run(redis, { meta, producers }, { position: '0', silent_ms: 3_600_000 }), ['ok', '0', 1])
      t.same((await redis.hkeys(producers)).sort(), ['-', 'young'])
      await redis.xadd(ingest, '*', 'b', heartbeat, 'p', 'old', 'n', '2')
      t.match(await engine.drain(0), { gaps: 1 })
      await redis.xadd(ingest, '*', 'b', heartbeat, 'p', 'old', 'n', '0')
      t.match(await engine.drain(0), { gaps: 1 })
      await redis.xadd(ingest, '*', 'b', heartbeat, 'p', 'old', 'n', '1')
      t.match(await engine.drain(0), { gaps: 0, repeated: 1 })
    })
  })
})
