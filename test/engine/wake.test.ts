// An entry is reduced when it comes in, not when a gateway finds the time to ask for it: the call waits in Redis. No engine here sweeps.

import t from 'tap'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { packBatch } from '../../src/protocol/pack.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

const NEVER_MS = 3_600_000

function item (n: number): WorkerEvent {
  return { type: 'item.update', tenant: 'acme', job: 'job', data: { id: `i${n}`, state: 'completed' } }
}

t.test('the wake-up', async t => {
  await onEachTopology(t, async (t, topology) => {
    const nodes = topology.cluster === null ? [topology.server.client()] : topology.cluster.primaries.map(({ redis }) => redis)
    const waiting = async (): Promise<number> => {
      const infos = await Promise.all(nodes.map(async node => await node.info('clients')))
      return infos.reduce((sum, info) => sum + Number(/blocked_clients:(\d+)/.exec(info)?.[1]), 0)
    }
    const started = async (prefix: string, drain: boolean): Promise<Engine> => {
      const engine = createEngine({ redis_url: topology.url, prefix, partitions: 1, settings: { sweep_interval_ms: NEVER_MS } })
      t.teardown(() => engine.stop())
      await engine.start({ drain })
      return engine
    }
    const prefix = randomPrefix()
    const [gateway, worker] = [await started(prefix, true), await started(prefix, false)]
    const done = async (count: number): Promise<unknown> => await until(async () => {
      return (await worker.readJob('acme', 'job'))?.job.counted.completed === count
    }, { what: `${count} items are completed` })

    await t.test('of a script that Redis does not know', async () => {
      await until(async () => await waiting() === 1, { what: 'the call waits' })
      await topology.flushScripts()
      await worker.append([{ type: 'job.register', tenant: 'acme', job: 'job', data: { items_total: 5_000, state: 'running' } }])
      await until(async () => await worker.readJob('acme', 'job') !== null, { what: 'the job is there' })
    })

    await t.test('more than one call takes', async () => {
      const { ingest } = worker.keys.partition(0)
      const entries = Array.from({ length: 40 }, (_, n) => packBatch(Array.from({ length: 64 }, (_, m) => item(n * 64 + m))))
      await Promise.all(entries.map(entry => topology.redis.xadd(ingest, '*', 'b', entry)))
      await done(40 * 64)
    })

    await t.test('without a message from who was woken', async t => {
      await until(async () => await waiting() === 1, { what: 'the call waits' })
      gateway.connections.command.disconnect()
      await worker.append([item(4_000)])
      await done(40 * 64 + 1)
      await until(() => gateway.drained().entries >= 42, { what: 'it hears what it did' })
      t.equal(gateway.drained().applied, 1 + 40 * 64 + 1)
    })

    await t.test('it does not outlive who waited', async t => {
      await until(async () => await waiting() === 1, { what: 'the call waits' })
      await gateway.stop()
      await until(async () => await waiting() === 0, { what: 'nobody waits' })
      await worker.append([item(4_001)])
      t.equal((await worker.drain(0)).consumed, 1, 'nobody has reduced it')
    })
  })
})
