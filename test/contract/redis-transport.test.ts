// The transport straight into Redis keeps the contract of transports, on a single Redis and on a Cluster.

import t from 'tap'
import { connect, NO_LOG } from '../../src/engine/connections.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { createRedisTransport } from '../../src/worker/redis-transport.ts'
import { onEachTopology, randomPrefix } from '../support/topology.ts'
import { transportContract } from './transport.ts'

void onEachTopology(t, async (t, topology) => {
  await transportContract(t, async t => {
    const prefix = randomPrefix()
    const engine = createEngine({ redis_url: topology.url, prefix, partitions: 4, settings: { sweep_interval_ms: 30 } })
    await engine.start()
    const transport = createRedisTransport({ redis_url: topology.url, prefix, log: NO_LOG, producer: { check_ms: { min: 10, max: 50 } } })
    t.teardown(async () => {
      await transport.close()
      await engine.stop()
    })
    const admin = connect(topology.url)
    t.teardown(() => admin.close())
    return {
      transport,
      engine,
      async interrupt () {
        const nodes = topology.cluster === null ? [topology.server.client()] : topology.cluster.primaries.map(({ redis }) => redis)
        await Promise.all(nodes.map(node => node.call('CLIENT', 'KILL', 'TYPE', 'pubsub')))
      },
      async cut () {
        // A stream that is none: every XADD fails, and goes on failing.
        for (let n = 0; n < engine.partitions; n++) await admin.command.set(engine.keys.partition(n).ingest, 'not a stream')
      }
    }
  })
})
