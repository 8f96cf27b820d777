// A partition that stands still is told, by why, and no longer once it goes on: what the alert HeadwayPartitionHalted rings by.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { packBatch } from '../../src/protocol/pack.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const NONE = { torn: 0, held: 0, restoring: 0, newer_format: 0, failed: 0 }

t.test('newer entries, and a Redis that refuses: counted while it lasts', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const lines: { event?: string, err?: Error }[] = []
  const keep = (line: object): void => { lines.push(line) }
  const engine = createEngine({ redis_url: redis.url, partitions: 1, log: { debug: keep, info: keep, warn: keep, error: keep } })
  t.teardown(() => engine.stop())
  await engine.start()
  const client = redis.client()
  const { ingest } = engine.keys.partition(0)
  const register: WorkerEvent = { type: 'job.register', tenant: 'acme', job: 'job', data: { items_total: 1, state: 'running' } }
  t.same(engine.drained().halted, NONE)

  const id = await client.xadd(ingest, '*', 'b', packBatch([register]).replace(/^1/, '2')) as string
  await until(() => engine.drained().halted.newer_format === 1, { what: 'the newer entry is told' })
  await client.xdel(ingest, id)
  await until(() => engine.drained().halted.newer_format === 0, { what: 'it goes on' })

  await client.xadd(ingest, '*', 'b', packBatch([register]))
  await until(async () => await engine.readJob('acme', 'job') !== null, { what: 'the job is there' })
  const { meta } = engine.keys.partition(0)
  await client.rename(meta, `${meta}:aside`)
  await client.set(meta, 'another program')
  await until(() => engine.drained().halted.failed === 1, { what: 'the refusal is told' })
  t.equal(lines.filter(({ event }) => event === 'reducer_refused').length, 1, 'and said once')
  t.match(lines.find(({ event }) => event === 'reducer_refused')?.err?.message, /WRONGTYPE/)
  await client.rename(`${meta}:aside`, meta)
  await until(() => engine.drained().halted.failed === 0, { what: 'it goes on' })
  t.same(engine.drained().halted, NONE)
})
