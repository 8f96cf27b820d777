// How much goes into one call: within the bounds, less when that is too much for what stands in between, and more again later.

import t from 'tap'
import type { Engine } from '../../src/engine/engine.ts'
import { SinkError, type Batch } from '../../src/persister/sink.ts'
import { startTopology } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { createMemorySink } from './memory-sink.ts'
import { faultsOfHistory, item, register, startEngine, startPersister } from './support.ts'

const topology = await startTopology('single')
t.teardown(() => topology.stop())

const rowsOf = ({ jobs, items, events }: Batch): number => jobs.length + items.length + events.length
const emptied = async ({ outbox }: Engine): Promise<boolean> =>
  (await outbox.readOutbox(0, { entries_max: 1, bytes_max: 1 }))?.waiting_bytes === 0

/** An entry of the outbox each: a batch takes entries whole. */
async function settle (engine: Engine, jobs: readonly string[], from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    for (const job of jobs) {
      await engine.append([item(job, `i${n}`, 'completed', 'acme', { result: 'x'.repeat(200) })])
      await engine.drain(0)
    }
  }
}

t.test('bounds of jobs, events and bytes: what does not fit comes in the next call', async (t) => {
  const jobs = ['a', 'b', 'c', 'd', 'e', 'f']
  const bounds = [
    { set: { jobs_max: 2 }, within: ({ jobs }: Batch) => jobs.length <= 2 },
    { set: { events_max: 10 }, within: ({ events }: Batch) => events.length <= 10 },
    // A job's row counts as more than 1.6 KB, so two entries or three.
    { set: { bytes_max: 5_000 }, within: (batch: Batch) => JSON.stringify(batch).length <= 10_000 }
  ]
  for (const { set, within } of bounds) {
    const engine = await startEngine(t, topology.url, { partitions: 1, drain: false })
    for (const job of jobs) {
      await engine.append([register(job, 100)])
      await engine.drain(0)
    }
    await settle(engine, jobs, 0, 10)
    const sink = createMemorySink()
    const batches: Batch[] = []
    sink.before = (batch) => { batches.push(batch) }
    await startPersister(t, engine, sink, set).start()
    await until(() => emptied(engine))
    t.ok(batches.length > 5, JSON.stringify(set))
    t.ok(batches.every(within), `${JSON.stringify(set)}: none is larger`)
    t.same(faultsOfHistory(sink), [])
  }
  const engine = await startEngine(t, topology.url, { partitions: 1, drain: false })
  await engine.append(jobs.map((job) => register(job, 100)))
  await settle(engine, jobs, 0, 10)
  const sink = createMemorySink()
  await startPersister(t, engine, sink).start()
  await until(() => emptied(engine))
  t.equal(sink.calls, 1, 'as it comes, all of it is one call')
})

t.test('too large for what stands in between: halved at once, smaller from then on, and larger again when it is let through', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1, drain: false })
  await engine.append([register('a', 10_000)])
  await settle(engine, ['a'], 0, 300)
  const sink = createMemorySink()
  let rowsMax = 60
  let refused = 0
  let sizes: number[] = []
  sink.before = (batch) => {
    sizes.push(rowsOf(batch))
    if (rowsOf(batch) <= rowsMax) return
    refused++
    throw new SinkError('shrink', 'too large', { status: 413 })
  }
  await startPersister(t, engine, sink, { events_max: 200 }).start()
  await until(() => emptied(engine))
  t.ok(refused > 0)
  t.ok(Math.max(...sizes) > 300, 'it began with a full one')
  const { before } = sink
  /** The sink is away while so many are written, so that they could be one batch. */
  async function backlog (from: number, to: number): Promise<number> {
    const gate = Promise.withResolvers<void>()
    t.teardown(() => { gate.resolve() })
    sizes = []
    sink.before = async (batch) => {
      await gate.promise
      await before?.(batch)
    }
    await settle(engine, ['a'], from, to)
    gate.resolve()
    await until(() => emptied(engine))
    return Math.max(...sizes)
  }
  t.ok(await backlog(300, 450) < 220, `not as much as at first: ${sizes.join()}`)
  rowsMax = Infinity
  for (let n = 450; n < 470; n++) {
    await settle(engine, ['a'], n, n + 1)
    await until(() => emptied(engine))
  }
  t.ok(await backlog(470, 620) > 200, `as much as at first: ${sizes.join()}`)
  t.same(faultsOfHistory(sink), [])
})
