// What a worker hears of its jobs: changes whoever made them, views that answer at once, handlers that throw.

import t from 'tap'
import { ProgressMonitor } from '../../src/worker/index.ts'
import type { ProgressMonitorOptions } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

type Change = [job: string, prior: string, next: string, reason: string | null]

function changesOf (monitor: ProgressMonitor): Change[] {
  const changes: Change[] = []
  monitor.addStateChangeHandler((...change) => { changes.push(change) })
  return changes
}

t.test('handlers get every change of a registered job, whoever made it, in order', async t => {
  const { monitor, userDoes, jobOf } = await setup(t)
  const changes = changesOf(monitor)
  const percents: number[] = []
  monitor.addProgressHandler((_, progress) => { percents.push(progress.percent_complete) })
  void monitor.registerJob('job', { items_total: 2 })
  void monitor.updateJobState('job', 'running', 'worker_assigned')
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  await until(() => percents.at(-1) === 50)
  await userDoes('pause', 'job')
  await until(async () => (await jobOf('job'))?.state === 'pausing')
  await monitor.updateJobState('job', 'paused')
  await until(async () => (await jobOf('job'))?.state === 'paused')
  await userDoes('resume', 'job')
  await monitor.updateItemProgress('job', { id: 'b', state: 'completed' })
  await monitor.updateJobState('job', 'completed', 'all_items_processed')
  await until(() => changes.at(-1)?.[2] === 'completed')
  t.same(changes, [
    ['job', 'pending', 'running', 'worker_assigned'],
    ['job', 'running', 'pausing', null],
    ['job', 'pausing', 'paused', null],
    ['job', 'paused', 'running', null],
    ['job', 'running', 'completed', 'all_items_processed']
  ])
  t.equal(percents.at(-1), 100)
  t.same(percents, [...percents].sort((a, b) => a - b))
})

t.test('two monitors see each other\'s changes', async t => {
  const { monitor, transport, server, engine } = await setup(t)
  const options: ProgressMonitorOptions = { redisUrl: server.url, prefix: engine.keys.prefix, tenantId: 'acme' }
  const other = new ProgressMonitor(options)
  t.teardown(() => other.close())
  await monitor.registerJob('job', { items_total: 1 })
  await until(() => transport.control('acme', 'job').then(({ state }) => state === 'pending'))
  const [seenHere, seenThere] = [changesOf(monitor), changesOf(other)]
  other.job('job')
  await other.startMonitoring()
  await monitor.startMonitoring()
  await monitor.updateJobState('job', 'running', 'here')
  await until(() => seenHere.length === 1 && seenThere.length === 1)
  await other.updateJobState('job', 'failed', 'there')
  await until(() => seenHere.length === 2 && seenThere.length === 2)
  const both: Change[] = [['job', 'pending', 'running', 'here'], ['job', 'running', 'failed', 'there']]
  t.same(seenHere, both)
  t.same(seenThere, both)
})

t.test('isRateLimited and getAllJobsStatus answer at once, from what is known', async t => {
  const { monitor } = await setup(t)
  t.equal(monitor.isRateLimited('a'), false)
  t.same(Object.keys(monitor.getAllJobsStatus()), [])
  await monitor.registerJob('a', { items_total: 4, title: 'A' })
  await monitor.registerJob('b', { items_total: 1 })
  await monitor.updateJobState('a', 'running')
  await monitor.updateJobState('a', 'rate_limited', 'quota_exceeded')
  await until(() => monitor.isRateLimited('a'))
  await until(() => Object.keys(monitor.getAllJobsStatus()).length === 2)
  t.match(monitor.getAllJobsStatus(), {
    a: { id: 'a', title: 'A', state: 'running', items_total: 4, items_pending: 4, rate_limited: true },
    b: { id: 'b', state: 'pending', rate_limited: false }
  })
  await monitor.updateJobState('a', 'running')
  await until(() => !monitor.isRateLimited('a'))
})

t.test('a handler that throws is reported and harms nobody; one that was taken away is not called', async t => {
  const reported: string[] = []
  const log = { debug () {}, info () {}, warn () {}, error: (_: object, message: string) => { reported.push(message) } }
  const { monitor } = await setup(t, { log })
  const leave = monitor.addStateChangeHandler(() => { throw new Error('of the application') })
  monitor.addProgressHandler(async () => { throw new Error('of its promise') })
  const changes = changesOf(monitor)
  await monitor.registerJob('job', { items_total: 3, state: 'running' })
  await monitor.updateJobState('job', 'completing')
  await monitor.updateJobState('job', 'completed')
  await until(() => changes.length === 2 && reported.length === 2)
  t.same(reported.sort().map(message => message.replace(/;.*:/, ':')), ['a progress handler threw: of its promise', 'a state change handler threw: of the application'])

  leave()
  await monitor.registerJob('next', { state: 'running' })
  await monitor.updateJobState('next', 'failed')
  await until(() => changes.length === 3)
  t.equal(reported.filter(message => message.includes('state change')).length, 1)
})

t.test('Redis restarts with its data: what happened meanwhile is told', async t => {
  const { monitor, server, engine, jobOf } = await setup(t)
  const changes = changesOf(monitor)
  await monitor.registerJob('job', { state: 'running' })
  await until(() => monitor.getAllJobsStatus()['job'])
  await server.client().config('SET', 'appendonly', 'yes')
  await server.client().config('SET', 'appendfsync', 'always')
  await until(async () => (await server.client().info('persistence')).includes('aof_rewrite_in_progress:0'))
  await server.kill()
  const again = await startRedis({ port: server.port, dir: server.dir, flags: ['--appendonly', 'yes'] })
  t.teardown(() => again.stop())
  const other = new ProgressMonitor({ redisUrl: server.url, prefix: engine.keys.prefix, tenantId: 'acme' })
  t.teardown(() => other.close())
  await other.updateJobState('job', 'failed', 'elsewhere')
  await until(async () => (await jobOf('job'))?.state === 'failed')
  await until(() => changes.length > 0)
  t.same(changes, [['job', 'running', 'failed', 'elsewhere']])
})
