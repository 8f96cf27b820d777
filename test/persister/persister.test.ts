// The persister on a real Redis, into a sink in memory: every logged event once, newest rows, whatever happens in between.

import t from 'tap'
import { SinkError, type Sink } from '../../src/persister/sink.ts'
import { startTopology } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { createMemorySink } from './memory-sink.ts'
import { drainAll, faultsOfHistory, item, register, runJob, startEngine, startPersister, type Spoken } from './support.ts'

const topology = await startTopology('single')
t.teardown(() => topology.stop())

t.test('a job, its items and every event, once; then the outbox is empty and the job may go', async (t) => {
  const engine = await startEngine(t, topology.url, { settings: { retention_ms: 100 } })
  const sink = createMemorySink()
  const persister = startPersister(t, engine, sink)
  await persister.start()
  await runJob(engine, 'a', 20)
  await until(() => sink.jobs.get('acme/a')?.state === 'completed')
  t.match(sink.jobs.get('acme/a'), { title: 'Job a', items_completed: 20, percent_complete: 100, history_truncated: false, ended_at: /Z$/ })
  t.same(faultsOfHistory(sink), [])
  t.equal(sink.items.size, 20)
  t.ok([...sink.items.values()].every(({ state, percent_complete: percent }) => state === 'completed' && percent === 100))
  await until(async () => await engine.readJob('acme', 'a') === null, { what: 'the job leaves Redis' })
  await until(() => persister.meters.waiting_bytes === 0)
  t.match(await persister.meters.text(), /headway_persister_rows_written_total\{table="items"\} 20\n/)
})

t.test('whatever the sink does, nothing is lost and nothing is doubled', async (t) => {
  const engine = await startEngine(t, topology.url)
  const sink = createMemorySink()
  const faults = [
    () => { throw new SinkError('retry', 'HTTP 503', { status: 503 }) },
    () => { throw new SinkError('retry', 'statement timeout', { code: '57014', status: 500 }) },
    () => { throw new SinkError('retry', 'statement timeout', { code: '57014', status: 500 }) },
    () => { throw new SinkError('shrink', 'too large', { status: 413 }) },
    () => { throw new SinkError('configuration', 'no such function', { code: 'PGRST202', status: 404 }) },
    () => { throw new TypeError('anything') }
  ]
  let seed = 7
  const below = (n: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor(seed / 65_536) % n
  }
  sink.before = () => { if (below(3) === 0) faults[below(faults.length)]?.() }
  sink.after = () => { if (below(4) === 0) throw new SinkError('retry', 'the reply was lost') }
  const spoken: Spoken[] = []
  await startPersister(t, engine, sink, {}, spoken).start()
  await Promise.all(['a', 'b', 'c', 'd'].map((job) => runJob(engine, job, 30)))
  await until(() => sink.jobs.size === 4 && [...sink.jobs.values()].every(({ state }) => state === 'completed'))
  t.same(faultsOfHistory(sink), [])
  t.ok(spoken.some(({ event }) => event === 'sink_retry'))
})

t.test('several at once, one of them stopped again and again, leases too short to be of use', async (t) => {
  const engine = await startEngine(t, topology.url)
  const sink = createMemorySink()
  sink.before = () => new Promise((resolve) => setImmediate(resolve))
  const others = [startPersister(t, engine, sink, { lease_ms: 3 }), startPersister(t, engine, sink, { lease_ms: 3 })]
  await Promise.all(others.map((one) => one.start()))
  const jobs = Promise.all(['a', 'b', 'c', 'd'].map((job) => runJob(engine, job, 40)))
  for (let n = 0; n < 10; n++) {
    const one = startPersister(t, engine, sink, { lease_ms: 3 })
    await one.start()
    const calls = sink.calls
    await until(() => sink.calls > calls || sink.jobs.size === 4)
    await one.stop()
  }
  await jobs
  await until(() => sink.jobs.size === 4 && [...sink.jobs.values()].every(({ state }) => state === 'completed'))
  t.same(faultsOfHistory(sink), [])
})

t.test('poison is put aside row by row, what was around it is stored, and the place of a refused event says so', async (t) => {
  const engine = await startEngine(t, topology.url, { drain: false })
  const sink = createMemorySink()
  await engine.append([register('a', 3), item('a', 'good', 'completed'), item('a', 'bad', 'completed'), item('a', 'last', 'completed')])
  await engine.append([register('b', 1)])
  await drainAll(engine)
  sink.before = ({ items, events }) => {
    const bad = items.some(({ id }) => id === 'bad') || events.some(({ type, data }) => type !== 'history_truncated' && (data as { id?: string }).id === 'bad')
    if (bad) throw new SinkError('poison', 'a value is refused', { code: '23514', status: 400 })
  }
  const spoken: Spoken[] = []
  await startPersister(t, engine, sink, {}, spoken).start()
  await until(async () => (await Promise.all([0, 1].map((n) => engine.outbox.readOutbox(n, { entries_max: 1, bytes_max: 1 }))))
    .every((read) => read?.waiting_bytes === 0))
  t.match([...sink.jobs.values()].map(({ id, state }) => [id, state]).sort(), [['a', 'completed'], ['b', 'running']])
  t.same(faultsOfHistory(sink), [])
  t.same([...sink.items.values()].map(({ id }) => id).sort(), ['good', 'last'])
  t.equal([...sink.events.values()].filter(({ type }) => type === 'history_truncated').length, 1)
  t.match([...sink.jobs.values()].map(({ id, history_truncated: told }) => [id, told]).sort(), [['a', true], ['b', false]])
  const { rejected } = engine.keys.partition(engine.keys.job('acme', 'a').partition)
  const letters = await engine.connections.command.xrange(rejected, '-', '+')
  t.same(letters.map(([, fields]) => fields[fields.indexOf('type') + 1]).sort(), ['sink.event', 'sink.item'])
  t.notMatch(JSON.stringify(spoken), /Job a|"good"|bad/, 'no row in a log line')
})

t.test('a sink that refuses everything is misconfigured: nothing becomes a dead letter', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1 })
  const sink = createMemorySink()
  let broken = true
  sink.before = () => { if (broken) throw new SinkError('poison', 'a value is refused', { code: '22023', status: 400 }) }
  const spoken: Spoken[] = []
  await runJob(engine, 'a', 20)
  await startPersister(t, engine, sink, {}, spoken).start()
  await until(() => spoken.some(({ event }) => event === 'sink_misconfigured'))
  broken = false
  await until(() => sink.jobs.get('acme/a')?.state === 'completed')
  t.same(faultsOfHistory(sink), [])
  t.equal(await engine.connections.command.xlen(engine.keys.partition(0).rejected), 0)
})

t.test('one whose key is wrong leaves its partitions to those that can write; alone it keeps them, and goes on when that is mended', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 8 })
  const stored = createMemorySink()
  let wrong = true
  const stranger: Sink = {
    ...stored,
    async persist (batch, signal) {
      if (wrong) throw new SinkError('configuration', 'Invalid API key', { status: 401 })
      return await stored.persist(batch, signal)
    }
  }
  const misled = startPersister(t, engine, stranger)
  await misled.start()
  const held = async ({ meters }: typeof misled): Promise<number> => Number(/headway_persister_partitions (\d+)/.exec(await meters.text())?.[1])
  const jobs = Array.from({ length: 12 }, (_, n) => `j${n}`)
  await Promise.all(jobs.map((job) => runJob(engine, job, 3)))
  await until(() => misled.meters.fault === 'configuration' && misled.meters.waiting_bytes > 0, { what: 'it tells what waits' })
  t.equal(await held(misled), 8, 'nobody else is there')

  const other = startPersister(t, engine, stored)
  await other.start()
  await until(() => jobs.every((job) => stored.jobs.get(`acme/${job}`)?.state === 'completed'), { what: 'the other one writes all of it' })
  await until(async () => await held(other) === 8)
  t.equal(await held(misled), 0)
  t.same(faultsOfHistory(stored), [])

  wrong = false
  await until(async () => await held(misled) === 4 && await held(other) === 4, { what: 'mended, it has its share again' })
})

t.test('while the sink holds everything up, what waits and its age are told as they grow', async (t) => {
  const engine = await startEngine(t, topology.url)
  const sink = createMemorySink()
  const gate = Promise.withResolvers<void>()
  sink.before = () => gate.promise
  t.teardown(() => gate.resolve())
  const { meters, ...persister } = startPersister(t, engine, sink)
  await persister.start()
  await engine.append([register('first', 1)])
  await until(() => sink.calls > 0 && meters.waiting_bytes > 0, { what: 'the sink is asked' })
  const { waiting_bytes: bytes, lag_ms: lag } = meters
  await engine.append([register('second', 1)])
  await until(() => meters.waiting_bytes > bytes && meters.lag_ms > lag, { what: 'both have grown, though no lane reads' })
  gate.resolve()
  await until(() => meters.waiting_bytes === 0 && meters.lag_ms === 0, { what: 'nothing waits' })
  t.equal(sink.jobs.size, 2)
})

t.test('a full outbox: jobs go on, the newest row is written later, lost history says so', async (t) => {
  const settings = { outbox_bytes_max: 2_000, log_events_max: 10, log_bytes_max: 100_000 }
  const engine = await startEngine(t, topology.url, { partitions: 1, drain: false, settings })
  const sink = createMemorySink()
  for (const job of ['long', 'short']) await engine.append([register(job, 100)])
  await drainAll(engine)
  for (let n = 0; n < 30; n++) {
    await engine.append([item('long', `i${n}`, 'completed')])
    if (n < 12) await engine.append([item('short', `i${n}`, 'completed')])
    if (n === 5 || n === 20) await engine.append([{ type: 'job.progress', tenant: 'acme', job: 'long', data: { items_failed: n } }])
    await drainAll(engine)
  }
  const dirty = engine.keys.partition(0).dirty
  t.same((await engine.connections.command.zrange(dirty, '0', '-1')).sort(), ['-', 'acme/long', 'acme/short'])
  await startPersister(t, engine, sink).start()
  await until(async () => (await engine.connections.command.zcard(dirty)) === 1)
  t.match(sink.jobs.get('acme/long'), { seq: 30, items_completed: 30, history_truncated: true })
  t.match(sink.jobs.get('acme/short'), { seq: 12, items_completed: 12, history_truncated: false }, 'its log still had all of it')
  const told = [...sink.events.values()].filter(({ job_id: job }) => job === 'long').sort((a, b) => a.seq - b.seq)
  const gap = told.find(({ type }) => type === 'history_truncated')
  t.ok(gap)
  const { from_seq: from, to_seq: to } = gap?.data as { from_seq: number, to_seq: number }
  t.same(told.map(({ seq }) => seq), Array.from({ length: 30 }, (_, n) => n + 1).filter((seq) => seq <= from || seq > to))
  t.same([...sink.events.values()].filter(({ job_id: job }) => job === 'short').length, 12)
  await engine.append([item('long', 'after', 'completed')])
  await drainAll(engine)
  await until(() => sink.jobs.get('acme/long')?.seq === 31)
  t.equal(sink.jobs.get('acme/long')?.history_truncated, true, 'once lost is lost')
})

t.test('HEADWAY_OUTBOX_FULL=hold: the reducer stops at the bound and goes on when there is room; nothing is truncated', async (t) => {
  const engine = await startEngine(t, topology.url, { partitions: 1, drain: false, settings: { outbox_bytes_max: 3_000, outbox_full: 'hold' } })
  const sink = createMemorySink()
  await engine.append([register('a', 40)])
  for (let n = 0; n < 40; n++) {
    await engine.append([item('a', `i${n}`, 'completed')])
    await engine.drain(0)
  }
  t.equal((await engine.drain(0)).word, 'held')
  t.not((await engine.readJob('acme', 'a'))?.job.state, 'completed')
  await startPersister(t, engine, sink).start()
  await until(async () => { await engine.drain(0); return sink.jobs.get('acme/a')?.state === 'completed' })
  t.same(faultsOfHistory(sink), [])
  t.equal(sink.jobs.get('acme/a')?.history_truncated, false)
})
