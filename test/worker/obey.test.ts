// A worker that obeys its users: held while they pause, told by its signal when they cancel, and acknowledged in its name.

import t from 'tap'
import { JobStopped, ProgressMonitor } from '../../src/worker/index.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

t.test('a pause holds it, is acknowledged and settles; a resume lets it go on', async t => {
  const { monitor, jobOf, userDoes, engine } = await setup(t)
  await monitor.registerJob('job', { items_total: 2, state: 'running' })
  const job = monitor.job('job')
  await job.waitWhilePaused()
  await monitor.updateItemProgress('job', { id: 'a', state: 'processing' })
  await userDoes('pause', 'job')
  await until(async () => (await jobOf('job'))?.control.acked)
  t.equal((await jobOf('job'))!.state, 'pausing', 'it waits for the item')
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  let goes = false
  const held = job.waitWhilePaused().then(() => { goes = true })
  await until(async () => (await jobOf('job'))?.state === 'paused')
  t.equal(goes, false)
  await userDoes('resume', 'job')
  await held
  const log = await engine.readLog('acme', 'job', 0)
  t.match(log!.events.filter(({ event }) => event === 'state_changed'), [
    { next: 'pausing' }, { next: 'paused', forced: false }, { next: 'running' }
  ])
})

t.test('a worker that counts by itself: once all its lanes wait, the job is paused', async t => {
  const { monitor, jobOf, userDoes } = await setup(t)
  await monitor.registerJob('job', { items_total: 2, concurrency: 2, state: 'running' })
  const job = monitor.job('job')
  await job.waitWhilePaused()
  await userDoes('pause', 'job')
  await until(() => job.state === 'pausing')
  const lanes = [job.waitWhilePaused()]
  await until(async () => (await jobOf('job'))?.control.acked)
  t.equal((await jobOf('job'))!.state, 'pausing')
  lanes.push(job.waitWhilePaused())
  await until(async () => (await jobOf('job'))?.state === 'paused')
  await userDoes('resume', 'job')
  await Promise.all(lanes)
})

t.test('a worker that starts again finds its job paused, and waits', async t => {
  const { monitor, jobOf, userDoes, server, engine } = await setup(t)
  await monitor.registerJob('job', { items_total: 2, state: 'running' })
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  await userDoes('pause', 'job')
  await monitor.close()

  const again = new ProgressMonitor({ redisUrl: server.url, prefix: engine.keys.prefix, tenantId: 'acme' })
  t.teardown(() => again.close())
  await again.registerJob('job', { items_total: 2, state: 'running' })
  const job = again.job('job')
  let goes = false
  const held = job.waitWhilePaused().then(() => { goes = true })
  await until(async () => (await jobOf('job'))?.state === 'paused', { what: 'the wait is its word: no item was in process' })
  t.match(await jobOf('job'), { reason: 'worker_waits' })
  t.equal(goes, false)
  await userDoes('resume', 'job')
  await held
})

t.test('a cancel aborts the signal with its reason, and ends the wait', async t => {
  const { monitor, jobOf, engine, userDoes } = await setup(t)
  await monitor.registerJob('job', { items_total: 1, state: 'running' })
  const job = monitor.job('job')
  const { signal } = job
  await monitor.updateItemProgress('job', { id: 'a', state: 'processing' })
  await until(() => job.state === 'running')
  await engine.submit({ type: 'job.control', tenant: 'acme', job: 'job', data: { action: 'cancel', reason: 'wrong file' } }, { request_id: 'req_1' })
  await until(() => signal.aborted)
  t.ok(signal.reason instanceof JobStopped)
  t.match(signal.reason, { name: 'AbortError', job_id: 'job', state: 'canceling', reason: 'wrong file' })
  await t.rejects(job.waitWhilePaused(), { name: 'AbortError' })
  await until(async () => (await jobOf('job'))?.control.acked)
  await monitor.updateItemProgress('job', { id: 'a', state: 'canceled' })
  await until(async () => (await jobOf('job'))?.state === 'canceled')
  t.equal((await jobOf('job'))!.reason, 'items_settled')

  await monitor.registerJob('held', { state: 'running' })
  const held = monitor.job('held')
  await held.waitWhilePaused()
  await userDoes('pause', 'held')
  await until(() => held.state === 'paused' || held.state === 'pausing')
  const waits = t.rejects(held.waitWhilePaused(), { name: 'AbortError' })
  await userDoes('cancel', 'held')
  await waits
})

t.test('nobody obeys: nothing is acknowledged', async t => {
  const { monitor, jobOf, userDoes, engine } = await setup(t)
  await monitor.startMonitoring()
  await monitor.registerJob('job', { state: 'running' })
  await monitor.registerJob('signal', { state: 'running' })
  const { signal } = monitor.job('signal')
  await until(() => Object.keys(monitor.getAllJobsStatus()).length === 2)
  await userDoes('pause', 'job')
  await userDoes('pause', 'signal')
  await until(() => monitor.getAllJobsStatus()['job']?.state === 'pausing' && monitor.job('signal').state === 'pausing')
  await monitor.flush()
  for (const job of ['job', 'signal']) await engine.submit({ type: 'job.heartbeat', tenant: 'acme', job, data: {} }) // behind all that was sent
  t.equal((await jobOf('job'))!.control.acked, false)
  t.equal((await jobOf('signal'))!.control.acked, false, 'a signal does not obey a pause')
  await userDoes('cancel', 'signal')
  await until(() => signal.aborted)
  await until(async () => (await jobOf('signal'))?.control.acked)
})

t.test('heartbeats by themselves while it works; in pausing only while an item of its own is in process', async t => {
  const { transport, userDoes, jobOf, engine } = await setup(t)
  const beats: string[] = []
  const monitor = new ProgressMonitor({
    tenantId: 'acme',
    heartbeatMs: 20,
    worker: 'w1',
    transport: {
      ...transport,
      send (event) {
        if (event.type === 'job.heartbeat') beats.push(`${event.job} ${event.data.worker}${event.data.ack ? ' ack' : ''}`)
        return transport.send(event)
      }
    }
  })
  t.teardown(() => monitor.close())
  const beatsOf = async (job: string) => {
    beats.length = 0
    await until(() => beats.filter(one => one === `${job} w1`).length >= 3)
  }
  for (const id of ['beacon', 'job']) {
    await monitor.registerJob(id, { state: 'running' })
    await monitor.job(id).waitWhilePaused()
  }
  const job = monitor.job('job')
  await beatsOf('job')
  await monitor.updateItemProgress('job', { id: 'a', state: 'processing' })
  // Of another worker, so that the job stays in pausing.
  await engine.submit({ type: 'item.update', tenant: 'acme', job: 'job', data: { id: 'other', state: 'processing' } })
  await userDoes('pause', 'job')
  await until(async () => job.state === 'pausing' && (await jobOf('job'))!.control.acked)
  await beatsOf('job')
  await monitor.updateItemProgress('job', { id: 'a', state: 'failed' })
  await beatsOf('beacon')
  t.same(beats.filter(one => one.startsWith('job')), [])
  await userDoes('resume', 'job')
  await beatsOf('job')
  job.release()
  await beatsOf('beacon')
  t.same(beats.filter(one => one.startsWith('job')), [], 'released')
})

t.test('close ends the waits; until then the job is the same object', async t => {
  const { monitor, userDoes } = await setup(t)
  await monitor.registerJob('job', { state: 'running' })
  const job = monitor.job('job')
  t.equal(monitor.job('job'), job)
  await job.waitWhilePaused()
  await userDoes('pause', 'job')
  await until(() => job.state !== 'running')
  const waits = t.rejects(job.waitWhilePaused(), { code: 'closed' })
  await monitor.close()
  await waits
})
