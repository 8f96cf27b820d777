// Durations beyond the hundredth: the oldest leaves the decayed sum, however many attempts one call of the reducer settles.

import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import { averageDuration } from '../../src/protocol/pace.ts'
import { randomPrefix, startTopology } from '../support/topology.ts'

const topology = await startTopology('single')
t.teardown(() => topology.stop())

const DECAY = 0.95
const WINDOW = 100

t.test('the last 100 samples, in calls of every size', async (t) => {
  const engine = createEngine({ redis_url: topology.url, prefix: randomPrefix(), partitions: 1 })
  t.teardown(() => engine.stop())
  await engine.start({ drain: false })
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'a', data: { items_total: 1_000, state: 'running' } }])
  await engine.drain(0)
  const durations: number[] = []
  // Up to the window, over its edge, one by one and two by two, then more than a whole window at once.
  const calls = [1, 1, 96, 1, 3, 1, 1, 1, 2, 2, 1, 7, 1, 150, 1, 1, 2, 98, 1]
  for (const size of calls) {
    const events = Array.from({ length: size }, () => {
      const n = durations.push(((durations.length * 7_919) % 997) * 10 + 1)
      return { type: 'item.update' as const, tenant: 'acme', job: 'a', data: { id: `i${n}`, state: 'completed' as const, duration_ms: durations[n - 1] as number } }
    })
    await engine.append(events)
    while ((await engine.drain(0, { events_max: size })).more);
    const job = (await engine.readJob('acme', 'a'))?.job
    const kept = durations.slice(-WINDOW)
    const sum = kept.reduceRight((total, ms, at) => total + ms * DECAY ** (kept.length - 1 - at), 0)
    t.equal(job?.pace.samples, kept.length, `${durations.length} in all`)
    t.ok(Math.abs((job?.pace.sum ?? 0) / sum - 1) < 1e-6, `the sum after ${durations.length}: ${job?.pace.sum} for ${sum}`)
    t.ok(Math.abs((job === undefined ? 0 : averageDuration(job.pace) ?? 0) / (sum * (1 - DECAY) / (1 - DECAY ** kept.length)) - 1) < 1e-6)
    const stored = (await engine.connections.command.hget(engine.keys.job('acme', 'a').key, 's'))?.split(',').map(Number)
    t.same(stored, kept)
  }
})
