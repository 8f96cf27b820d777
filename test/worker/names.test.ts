// What a port of the source document imports and constructs.

import t from 'tap'
import { EventType, JobState, ProgressCalculator, ProgressMonitor, VideoState } from '../../src/worker/index.ts'
import type { ProgressMonitorOptions } from '../../src/worker/index.ts'
import { privateRedis, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { until } from '../support/wait.ts'

t.test('its names are the words of the wire', async t => {
  t.equal(JobState.RUNNING, 'running')
  t.equal(VideoState.COMPLETED, 'completed')
  t.equal(EventType.JOB_STATE_CHANGED, 'job.state_changed')
  t.same(Object.entries(JobState).filter(([name, word]) => name !== word.toUpperCase()), [])
  t.same(Object.entries(EventType).filter(([name, word]) => name !== word.toUpperCase().replace('.', '_')), [])
})

t.test('its unit test: 51 % and 47 pending', async t => {
  const calculator = new ProgressCalculator()
  const jobData = {
    id: 'test_job',
    items_total: 100,
    items_completed: 50,
    items_failed: 2,
    items_skipped: 1,
    items_canceled: 0,
    created_at: new Date(),
    state: JobState.RUNNING
  }
  const progress = calculator.calculateProgress(jobData)
  t.equal(progress.percent_complete, 51)
  t.equal(progress.items_pending, 47)
  t.match(calculator.calculateProgress({}), { percent_complete: 0, items_pending: 0 })
})

t.test('options that have gone are refused with the setting that replaced them', async t => {
  for (const [name, setting] of [
    ['supabaseUrl', /SUPABASE_URL of the persister/], ['supabase_key', /SUPABASE_SERVICE_ROLE_KEY/], ['wsHost', /WEBSOCKET_HOST/], ['ws_port', /WEBSOCKET_PORT/]
  ] as const) {
    t.throws(() => new ProgressMonitor({ redisUrl: 'redis://127.0.0.1:1', [name]: 'x' } as ProgressMonitorOptions), { code: 'invalid_config', message: setting })
  }
  t.throws(() => new ProgressMonitor({ redisUrl: 'redis://a', gatewayUrl: 'http://a' }), { code: 'invalid_config' })
  t.throws(() => new ProgressMonitor({ gatewayUrl: 'redis://a' }), { code: 'invalid_field' })
})

t.test('a worker with nothing but HTTP; what a job refuses rejects its call', async t => {
  const redis = await privateRedis(t)
  const { engine, url } = await startGateway(t, redis)
  const monitor = new ProgressMonitor({ gatewayUrl: url, token: await tokenOf({ scope: WORKER_SCOPES }), tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await t.rejects(monitor.updateJobState('nobody', JobState.RUNNING), { code: 'unknown_job' })
  await monitor.registerJob('job', { items_total: 1 })
  await Promise.all([monitor.updateJobState('job', JobState.RUNNING), monitor.updateVideoProgress('job', { id: 'a', state: VideoState.COMPLETED })])
  await monitor.updateJobState('job', JobState.COMPLETED)
  t.ok(await until(async () => (await engine.readJob('acme', 'job'))?.job.state === 'completed'))
  await t.rejects(monitor.updateVideoProgress('job', { id: 'b' }), { code: 'job_ended' })

  const reader = new ProgressMonitor({ gatewayUrl: url, token: await tokenOf({ scope: 'jobs:read' }) })
  t.teardown(() => reader.close())
  await t.rejects(reader.registerJob('job'), { code: 'forbidden', message: /jobs:write/ })
})
