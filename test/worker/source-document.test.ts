// The source document's worker, example by example, on a real Redis with a real reducer; those that listen with a real gateway.
// docs/from-progress-monitor.md names each test that an example has become.

import t from 'tap'
import type { Test } from 'tap'
import { JobState, ProgressMonitor, VideoState } from '../../src/worker/index.ts'
import type { ItemData, JobProgress } from '../../src/worker/index.ts'
import { Client, privateRedis, startGateway, tokenOf } from '../gateway/support.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

/** A monitor and, at the same Redis, a gateway. */
async function deployment (t: Test) {
  const redis = await privateRedis(t)
  const { engine, url } = await startGateway(t, redis)
  const monitor = new ProgressMonitor({ redisUrl: redis.url, prefix: engine.keys.prefix, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  return { engine, url, monitor }
}

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

t.test('basic setup: handlers, then monitoring', async t => {
  const { monitor } = await setup(t)
  const lines: string[] = []
  function onStateChange (jobId: string, prior: string, next: string, reason: string | null): void {
    lines.push(`Job ${jobId} state changed: ${prior} -> ${next} (${reason})`)
  }
  function onProgressUpdate (jobId: string, progress: JobProgress): void {
    lines.push(`Job ${jobId} progress: ${progress.percent_complete.toFixed(1)}%`)
  }
  monitor.addStateChangeHandler(onStateChange)
  monitor.addProgressHandler(onProgressUpdate)
  await monitor.startMonitoring()

  const jobData = { items_total: 100, items_completed: 0 }
  await monitor.registerJob('job_123', jobData)
  await monitor.updateJobState('job_123', JobState.RUNNING, 'worker_assigned')
  jobData.items_completed = 25
  await monitor.updateJobProgress('job_123', jobData)
  await until(() => lines.includes('Job job_123 progress: 25.0%'))
  await monitor.updateJobState('job_123', JobState.COMPLETED, 'all_items_processed')
  await until(() => lines.at(-1) === 'Job job_123 state changed: running -> completed (all_items_processed)')
  t.ok(lines.includes('Job job_123 state changed: pending -> running (worker_assigned)'))
})

t.test('WebSocket client: the switch over its messages', async t => {
  const { monitor, url } = await deployment(t)
  await monitor.registerJob('job_123', { items_total: 1 })
  const shown: string[] = []
  const client = new Client(`${url}/?job_id=job_123&wait_ms=5000&token=${await tokenOf()}`)
  t.teardown(() => client.socket.terminate())
  client.socket.on('message', text => {
    const message = JSON.parse(String(text))
    switch (message.type) {
      case 'job.state_changed':
        shown.push(`State changed: ${message.data.prior_state} -> ${message.data.new_state}`)
        break
      case 'job.progress':
        shown.push(`${message.data.percent_complete} %, ${message.data.eta_ms} ms`)
        break
      case 'video.completed':
        shown.push(`Video completed: ${message.data.title}`)
        break
    }
  })
  await client.of('job.snapshot')
  await monitor.updateJobState('job_123', JobState.RUNNING)
  await monitor.updateVideoProgress('job_123', { id: 'vid_001', state: VideoState.COMPLETED, title: 'Introduction Video' })
  await until(() => shown.includes('100 %, 0 ms'))
  t.same(shown.filter(line => !line.includes('%')), ['State changed: pending -> running', 'Video completed: Introduction Video'])
})

t.test('process_job_item: an item is begun, and completed or failed', async t => {
  const { monitor, engine, settled } = await setup(t)
  await monitor.registerJob('job', { items_total: 2, state: 'running' })

  async function processJobItem (jobId: string, itemData: { id: string, row_index: number, title: string }, work: () => Promise<string>) {
    const { id, row_index: rowIndex, title } = itemData
    const common = { id, row_index: rowIndex, title, created_at: new Date().toISOString(), updated_at: new Date().toISOString() }
    await monitor.updateVideoProgress(jobId, { ...common, state: VideoState.PROCESSING, percent_complete: 0 })
    try {
      const result = await work()
      await monitor.updateVideoProgress(jobId, { ...common, state: VideoState.COMPLETED, percent_complete: 100 })
      return result
    } catch (error) {
      await monitor.updateVideoProgress(jobId, { ...common, state: VideoState.FAILED, percent_complete: 0 })
      throw error
    }
  }

  t.equal(await processJobItem('job', { id: 'a', row_index: 1, title: 'A' }, async () => 'made'), 'made')
  await t.rejects(processJobItem('job', { id: 'b', row_index: 2, title: 'B' }, async () => { throw new Error('of the item') }), /of the item/)
  await settled('job', 4)
  const { items } = (await engine.readJob('acme', 'job'))!
  t.match(items.sort((a, b) => a.id < b.id ? -1 : 1), [{ id: 'a', state: 'completed', row_index: 1 }, { id: 'b', state: 'failed', title: 'B' }])
})

t.test('before_item_processing: nothing is begun while the job is rate limited', async t => {
  const { monitor, jobOf } = await setup(t)
  await monitor.startMonitoring()
  await monitor.registerJob('job', { items_total: 1 })

  async function beforeItemProcessing (jobId: string): Promise<boolean> {
    if (monitor.isRateLimited(jobId)) {
      await monitor.updateJobState(jobId, JobState.RATE_LIMITED, 'quota_exceeded')
      return false
    }
    await monitor.updateJobState(jobId, JobState.RUNNING, 'processing_item')
    return true
  }

  t.equal(await beforeItemProcessing('job'), true)
  await until(async () => (await jobOf('job'))?.state === 'running')
  await monitor.updateJobProgress('job', { rate_limited: true })
  await until(() => monitor.isRateLimited('job'))
  t.equal(await beforeItemProcessing('job'), false)
  await monitor.updateJobProgress('job', { rate_limited: false })
  await until(() => !monitor.isRateLimited('job'))
  t.equal(await beforeItemProcessing('job'), true)
})

t.test('test_websocket_broadcasting: what a monitor reports is heard on a socket', async t => {
  const { monitor, url } = await deployment(t)
  await monitor.startMonitoring()
  const jobId = 'test_job_001'
  await monitor.registerJob(jobId, { items_total: 4 })
  const client = new Client(`${url}/?job_id=${jobId}&wait_ms=5000&token=${await tokenOf()}`)
  t.teardown(() => client.socket.terminate())
  await client.of('job.snapshot')
  await monitor.updateJobProgress(jobId, { items_completed: 3 })
  const { data } = await client.of('job.progress')
  t.match(data, { items_total: 4, items_completed: 3, percent_complete: 75 })
})

t.test('production setup and monitor health: the status of all jobs', async t => {
  const { monitor } = await deployment(t)
  const told: string[] = []
  monitor.addStateChangeHandler((jobId, _prior, next) => { told.push(`${jobId} ${next}`) })
  monitor.addProgressHandler(() => {})
  await monitor.startMonitoring()
  for (const id of ['a', 'b']) await monitor.registerJob(id, { items_total: 1 })
  await monitor.updateJobState('b', JobState.RUNNING)
  await until(() => told.includes('b running') && Object.keys(monitor.getAllJobsStatus()).length === 2)
  const status = monitor.getAllJobsStatus()
  t.equal(`Active jobs: ${Object.keys(status).length}`, 'Active jobs: 2')
  t.match(status, { a: { state: 'pending' }, b: { state: 'running', items_total: 1, percent_complete: 0 } })
})
