// Redis loses everything: jobs that had not ended come back from the sink, under a greater epoch, and their workers carry on.

import t from 'tap'
import { jobMetrics } from '../../src/protocol/metrics.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { createMemorySink } from './memory-sink.ts'
import { SinkError } from '../../src/persister/sink.ts'
import { item, register, runJob, startEngine, startPersister, type Spoken } from './support.ts'

t.test('jobs come back as they were, with their items, and go on', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const engine = await startEngine(t, server.url)
  const sink = createMemorySink()
  const spoken: Spoken[] = []
  const persister = startPersister(t, engine, sink, {}, spoken)
  await persister.start()
  await runJob(engine, 'ended', 2)
  await engine.append([register('a', 50)])
  for (let n = 0; n < 20; n++) await engine.append([item('a', `i${n}`, 'completed', 'acme', { title: `Title\t${n}`, result: { n } })])
  await engine.append([
    item('a', 'lost', 'processing'),
    item('a', 'again', 'failed', 'acme', { retryable: true }), item('a', 'again', 'processing'),
    { type: 'job.progress', tenant: 'acme', job: 'a', data: { items_skipped: 3 } }
  ])
  await engine.append([register('held', 5)])
  await engine.submit({ type: 'job.control', tenant: 'acme', job: 'held', data: { action: 'pause' } })
  await until(async () => {
    const revs = await Promise.all(['a', 'held'].map(async (id) => (await engine.readJob('acme', id))?.job.rev === sink.jobs.get(`acme/${id}`)?.rev))
    return revs.every(Boolean) && sink.jobs.get('acme/ended')?.state === 'completed'
  })
  const before = await engine.readJob('acme', 'a')
  const heard: number[] = []
  await engine.subscribe('acme', 'a', (message) => { if (message.type === 'update') heard.push(message.epoch) })

  await server.client().flushall()
  await until(() => spoken.some(({ event }) => event === 'jobs_rebuilt'))
  const after = await until(async () => await engine.readJob('acme', 'a'))
  t.ok(before !== null && after.job.epoch > before.job.epoch, 'a greater epoch')
  t.equal(after.job.registered_epoch, before?.job.registered_epoch, 'the same run')
  t.equal(after.job.seq, before?.job.seq)
  t.match(after.registration, { title: 'Job a', auto_complete: true })
  const metrics = jobMetrics(after.job, Date.now())
  t.match(metrics, { items_total: 50, items_completed: 20, items_skipped: 3, items_processing: 1, items_failed: 0 })
  const page = await engine.readItems('acme', 'a', { limit: 500 })
  t.equal(page?.items.length, 21)
  const seventh = page?.items.find(({ id }) => id === 'i7')
  t.match(seventh, { state: 'completed', title: 'Title\t7', result_json: '{"n":7}', percent_complete: 100 })
  t.match(page?.items.find(({ id }) => id === 'again'), { state: 'processing', attempt: 2 })
  t.equal(await engine.readJob('acme', 'ended'), null, 'what had ended does not come back')
  t.ok(heard.some((epoch) => epoch === after.job.epoch), 'watchers hear of it')
  const held = await engine.readJob('acme', 'held')
  t.match(held?.job, { state: 'pausing', control: { action: 'pause', acked: false } })
  t.ok(held?.job.control.id, 'the open request is still open')

  await engine.append([item('a', 'i3', 'completed'), item('a', 'again', 'completed'), item('a', 'lost', 'completed')])
  await engine.append(Array.from({ length: 15 }, (_, n) => item('a', `new${n}`, 'completed')))
  await until(() => sink.jobs.get('acme/a')?.epoch === after.job.epoch)
  await until(async () => sink.jobs.get('acme/a')?.items_completed === 37)
  t.equal(sink.jobs.get('acme/a')?.seq, after.job.seq + 17, 'a repeat of what it had counted before counts nothing')
  await engine.append([register('a', 50)])
  t.match(await engine.submit(register('a', 50)), { effect: 'repeat' }, 'the worker registers it again: the same job')
  await until(async () => (await engine.connections.command.zcard(engine.keys.partition(0).dirty)) === 1)
})

t.test('a database that somebody has to mend first: what it writes is written, what Redis lost is looked for until it is found', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const engine = await startEngine(t, server.url, { settings: { restore_hold_ms: 50 } })
  const memory = createMemorySink()
  let isMended = false
  const sink = {
    ...memory,
    async activeJobs (...args: Parameters<typeof memory.activeJobs>) {
      if (!isMended) throw new SinkError('configuration', 'permission denied for function headway_active', { code: '42501', status: 403 })
      return await memory.activeJobs(...args)
    }
  }
  const spoken: Spoken[] = []
  await startPersister(t, engine, sink, {}, spoken).start()
  await engine.append([register('a', 5), item('a', 'i1', 'completed')])
  await until(() => memory.jobs.get('acme/a')?.items_completed === 1)
  await server.client().flushall()
  const failures = (): number => spoken.filter(({ event }) => event === 'rebuild_failed').length
  await until(() => failures() > 2, { what: 'it is tried again' })
  await runJob(engine, 'meanwhile', 1)
  await until(() => memory.jobs.get('acme/meanwhile')?.state === 'completed', { what: 'what happens meanwhile is written' })
  t.equal(await engine.readJob('acme', 'a').catch(() => null), null)
  isMended = true
  await until(() => spoken.some(({ event }) => event === 'jobs_rebuilt'))
  const job = await until(async () => await engine.readJob('acme', 'a').catch(() => null))
  t.equal(job.job.counted.completed, 1)
  await until(async () => (await engine.restore.beginRestore(engine.keys.job('acme', 'a').partition)).word === 'done')
})
