// The source document's worker, example by example, on a real Redis with a real reducer.

import t from 'tap'
import type { ItemData } from '../../src/worker/index.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

t.test('the flow of the source document', async t => {
  const { monitor, jobOf, metricsOf, engine, refused } = await setup(t)
  const jobData = {
    id: 'job_123',
    state: 'pending' as const,
    items_total: 100,
    items_completed: 0,
    items_failed: 0,
    items_skipped: 0,
    items_canceled: 0,
    created_at: '2026-11-23T12:00:00.123456',
    rate_limited: false,
    processing_deadline_ms: 3600000
  }
  await monitor.registerJob('job_123', jobData)
  await monitor.updateJobState('job_123', 'running', 'worker_assigned')
  jobData.items_completed = 25
  await monitor.updateJobProgress('job_123', jobData)
  const video: ItemData = {
    id: 'vid_001',
    state: 'completed',
    percent_complete: 100.0,
    row_index: 1,
    title: 'Introduction Video',
    created_at: '2026-11-23T12:00:00.123456',
    updated_at: '2026-11-23T12:00:01'
  }
  await monitor.updateVideoProgress('job_123', video)
  await until(async () => (await jobOf('job_123'))?.seq === 2)
  t.match(await metricsOf('job_123'), { items_total: 100, items_completed: 25, items_pending: 75, percent_complete: 25 })
  await monitor.updateJobState('job_123', 'completed', 'all_items_processed')
  const read = await until(async () => {
    const found = await engine.readJob('acme', 'job_123')
    return found?.job.state === 'completed' ? found : null
  })
  t.match(read.items, [{ id: 'vid_001', title: 'Introduction Video', row_index: 1, state: 'completed' }])
  t.equal(read.job.reason, 'all_items_processed')
  t.same(await refused(), [])
})

t.test('its unit test: 50 completed, 2 failed, 1 skipped of 100 are 51 % and 47 pending', async t => {
  const { monitor, jobOf, metricsOf } = await setup(t)
  await monitor.registerJob('test_job', { items_total: 100, items_completed: 50, items_failed: 2, items_skipped: 1, items_canceled: 0, state: 'running' })
  await until(() => jobOf('test_job'))
  t.match(await metricsOf('test_job'), { percent_complete: 51, items_pending: 47 })
})

t.test('its queue worker, while a user pauses: running before every item undoes nothing, retries need no attempt', async t => {
  const { monitor, jobOf, settled, userDoes, engine, refused } = await setup(t)
  await monitor.registerJob('job', { items_total: 3 })
  const begin = (id: string) => [
    monitor.updateJobState('job', 'running', 'processing_item'),
    monitor.updateVideoProgress('job', { id, state: 'processing', percent_complete: 0, row_index: 1, title: id })
  ]
  await Promise.all([...begin('a'), monitor.updateVideoProgress('job', { id: 'a', state: 'failed', percent_complete: 0 })])
  await settled('job', 3)
  await userDoes('pause', 'job')
  await Promise.all([...begin('a'), monitor.updateVideoProgress('job', { id: 'a', state: 'completed' })])
  await settled('job', 6)
  t.equal((await jobOf('job'))!.state, 'pausing')
  await monitor.updateJobState('job', 'paused')
  await until(async () => (await jobOf('job'))?.state === 'paused')
  await monitor.updateJobState('job', 'running', 'resumed', { resume: true })
  await until(async () => (await jobOf('job'))?.state === 'running')
  const { items } = (await engine.readJob('acme', 'job'))!
  t.match(items, [{ id: 'a', state: 'completed', attempt: 2 }])
  t.match((await jobOf('job'))!.counted, { completed: 1, failed: 0 })
  t.same(await refused(), [])
})

t.test('its rate limit: a condition that the next running clears', async t => {
  const { monitor, jobOf } = await setup(t)
  await monitor.registerJob('job', { state: 'running' })
  await monitor.updateJobState('job', 'rate_limited', 'quota_exceeded')
  await until(async () => (await jobOf('job'))?.rate_limited)
  t.equal((await jobOf('job'))!.state, 'running')
  await monitor.updateJobState('job', 'running', 'processing_item')
  await until(async () => (await jobOf('job'))?.rate_limited === false)
})

t.test('control: a request is seen, acknowledged and gone', async t => {
  const { monitor, userDoes, jobOf } = await setup(t, { worker: 'w1' })
  t.same(await monitor.control('job'), { state: null, request_id: null })
  await monitor.registerJob('job', { state: 'running' })
  await until(() => jobOf('job'))
  await userDoes('cancel', 'job')
  const { state, request_id: request } = await monitor.control('job')
  t.equal(state, 'canceling')
  await monitor.acknowledge('job', request!)
  await until(async () => (await jobOf('job'))?.control.acked)
  t.equal((await monitor.control('job')).request_id, null)
})
