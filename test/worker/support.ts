// A ProgressMonitor on a private Redis with a running reducer.

import type { Test } from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { jobMetrics } from '../../src/protocol/metrics.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import type { ProgressMonitorOptions } from '../../src/worker/index.ts'
import { createRedisTransport } from '../../src/worker/redis-transport.ts'
import { startRedis } from '../support/redis.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'

export async function setup (t: Test, options: ProgressMonitorOptions = {}) {
  const server = await startRedis()
  const prefix = randomPrefix()
  const engine = createEngine({ redis_url: server.url, prefix, partitions: 2, settings: { sweep_interval_ms: 30 } })
  await engine.start()
  const transport = createRedisTransport({
    redis_url: server.url,
    prefix,
    buffer_bytes_max: options.bufferBytesMax,
    log: NO_LOG,
    poll_ms: 200,
    producer: { check_ms: { min: 10, max: 50 } }
  })
  const monitor = new ProgressMonitor({ tenantId: 'acme', transport, ...options })
  const observer = server.client()
  t.teardown(async () => {
    await monitor.close()
    await engine.stop()
    await server.stop()
  })

  const jobOf = async (id: string) => (await engine.readJob('acme', id))?.job ?? null
  return {
    server,
    engine,
    monitor,
    transport,
    observer,
    jobOf,
    metricsOf: async (id: string) => jobMetrics((await jobOf(id))!, Date.now()),
    settled: async (id: string, seq: number) => await until(async () => ((await jobOf(id))?.seq ?? -1) >= seq, { what: `seq ${seq} of ${id}` }),
    /** Reasons of all dead letters. */
    async refused () {
      const letters = await Promise.all([0, 1].map(n => observer.xrange(engine.keys.partition(n).rejected, '-', '+')))
      return letters.flat().map(([, fields]) => fields[fields.indexOf('code') + 1])
    },
    userDoes: (action: 'pause' | 'resume' | 'cancel', job: string) =>
      engine.submit({ type: 'job.control', tenant: 'acme', job, data: { action } }, { request_id: `req_${action}` })
  }
}
