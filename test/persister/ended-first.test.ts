// After an outage: which jobs are done is in the database before the hours of history that stand in order before their ends.

import t from 'tap'
import { SinkError } from '../../src/persister/sink.ts'
import { isTerminal } from '../../src/protocol/states.ts'
import { startTopology } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { createMemorySink } from './memory-sink.ts'
import { faultsOfHistory, item, register, runJob, startEngine, startPersister, type Spoken } from './support.ts'

const topology = await startTopology('single')
t.teardown(() => topology.stop())

t.test('a late partition: ended jobs first, running ones and all history in order, everything once', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1 })
  const sink = createMemorySink()
  let away = true
  sink.before = () => { if (away) throw new SinkError('retry', 'HTTP 503', { status: 503 }) }
  /** What the database knew after each stored batch: rows, and how many events. */
  const steps: { ended: string[], events: number }[] = []
  sink.after = () => {
    const ended = [...sink.jobs.values()].filter(({ state }) => isTerminal(state)).map(({ id }) => id).sort()
    steps.push({ ended, events: sink.events.size })
  }
  const spoken: Spoken[] = []
  const persister = startPersister(t, engine, sink, { late_ms: 100, events_max: 20 }, spoken)
  await persister.start()
  await engine.append([register('open', 1_000)])
  for (let n = 0; n < 100; n++) await engine.append([item('open', `i${n}`, 'completed')])
  await runJob(engine, 'b', 5)
  await runJob(engine, 'a', 5, 'other')
  await until(async () => (await engine.readJob('other', 'a'))?.job.state === 'completed', { what: 'the last job ends' })
  await until(() => persister.meters.lag_ms > 200, { what: 'the oldest change is late' })
  away = false
  await until(() => persister.meters.waiting_bytes === 0 && sink.jobs.size === 3, { what: 'the outbox is empty' })
  const first = steps.findIndex(({ ended }) => ended.join() === 'a,b')
  t.ok(first >= 0 && (steps[first] as typeof steps[number]).events < 60, 'both ends were there while most of the history was not')
  t.match(spoken.find(({ event }) => event === 'ended_first')?.fields, { partition: 0, jobs: 2 })
  t.match(sink.jobs.get('acme/open'), { state: 'running', items_completed: 100 })
  t.same(faultsOfHistory(sink), [], 'every event once')
  const { jobs, next } = await engine.outbox.listEnded(0, 10)
  t.same([jobs, next], [[], null], 'nobody is told again of what the position has passed')
})

t.test('who is not late writes in order only', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1 })
  const sink = createMemorySink()
  const spoken: Spoken[] = []
  const persister = startPersister(t, engine, sink, { late_ms: 60_000 }, spoken)
  await persister.start()
  await runJob(engine, 'a', 5)
  await until(() => sink.jobs.get('acme/a')?.state === 'completed')
  t.notOk(spoken.some(({ event }) => event === 'ended_first'))
})

t.test('pages: every ended job once, in whatever steps', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1 })
  for (let n = 0; n < 7; n++) await runJob(engine, `j${n}`, n % 2)
  await engine.append([register('open', 3)])
  await until(async () => await engine.readJob('acme', 'open') !== null)
  const found: string[] = []
  for (let after: string | null = null, pages = 0; pages < 20; pages++) {
    const page = await engine.outbox.listEnded(0, 2, after)
    found.push(...page.jobs.map(({ job }) => job.id))
    if (page.next === null) break
    after = page.next
  }
  // A job of no items never ends by itself.
  t.same(found.sort(), ['j1', 'j3', 'j5'])
})
