// Worker SDK → Redis → gateway → client SDK, nothing faked: what the worker says is what the watcher sees, in order.

import t, { type Test } from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { createClient } from '../../src/client/index.ts'
import type { JobMessage, JobWatch } from '../../src/client/index.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { privateRedis, startGateway, tokenOf } from '../gateway/support.ts'
import { until } from '../support/wait.ts'

async function setup (t: Test, { scope = 'jobs:read jobs:control', tenant = 'acme' } = {}) {
  const redis = await privateRedis(t)
  const running = await startGateway(t, redis)
  const token = await tokenOf({ tenant, scope })
  const client = createClient({ url: running.url, getToken: () => token })
  const monitor = new ProgressMonitor({ redisUrl: redis.url, prefix: running.engine.keys.prefix, tenantId: 'acme', log: NO_LOG })
  t.teardown(async () => {
    client.close()
    await monitor.close()
  })
  return { client, monitor, ...running }
}

const seen = (watch: JobWatch, state: string) => until(() => watch.getSnapshot().job?.state === state, { what: `the watcher sees ${state}` })

t.test('a job from its registration to its end', async t => {
  const { client, monitor } = await setup(t)
  const watch = client.watch('job', { wait_ms: 10_000 })
  const logged: number[] = []
  const types: string[] = []
  watch.onMessage((message: JobMessage) => {
    types.push(message.type)
    if (!message.type.endsWith('.progress') && message.type !== 'job.snapshot') logged.push(message.seq)
  })
  await monitor.registerJob('job', { items_total: 40, title: 'forty', auto_complete: true, item_kind: 'page' })
  await until(() => watch.getSnapshot().job !== null)
  const { seq } = watch.getSnapshot().job!
  void monitor.updateJobState('job', 'running')
  for (let i = 0; i < 40; i++) {
    void monitor.updateItemProgress('job', { id: `p${i}`, state: 'processing', percent_complete: 50 })
    void monitor.updateItemProgress('job', { id: `p${i}`, state: 'completed' })
  }
  await until(() => watch.getSnapshot().connection === 'ended')
  t.match(watch.getSnapshot(), { job: { state: 'completed', title: 'forty', percent_complete: 100, items_completed: 40 }, items_seen: 40, error: null })
  t.ok(watch.getSnapshot().items.every(({ state }) => state === 'completed'))
  t.same(logged, Array.from({ length: watch.getSnapshot().job!.seq - seq }, (_, i) => seq + 1 + i), 'every logged event once, in order')
  t.equal(types[0], 'job.snapshot')
  t.equal(types.at(-1), 'job.completed')
  t.ok(types.includes('page.completed'))
})

t.test('pause, acknowledged by the worker, resume, cancel; a second watcher sees the same', async t => {
  const { client, monitor } = await setup(t)
  await monitor.registerJob('job', { items_total: 10, state: 'running' })
  const watch = client.watch('job', { wait_ms: 10_000 })
  await seen(watch, 'running')
  const { state, request_id: request } = await client.pause('job', 'lunch')
  t.equal(state, 'pausing')
  await seen(watch, 'pausing')
  t.equal((await monitor.control('job')).request_id, request)
  await monitor.acknowledge('job', request!)
  await monitor.updateJobState('job', 'paused')
  await seen(watch, 'paused')
  t.match(await client.resume('job'), { effect: 'applied', state: 'running' })
  t.match(await client.resume('job'), { effect: 'repeat', state: 'running' })
  await seen(watch, 'running')
  await monitor.updateJobState('job', 'completing')
  await seen(watch, 'completing')
  await t.rejects(client.pause('job'), { code: 'invalid_transition' })
  await t.rejects(client.cancel('nobody'), { code: 'unknown_job' })
})

/** A client whose sockets can be cut. */
async function cuttable (t: Test, url: string) {
  const sockets: WebSocket[] = []
  const token = await tokenOf()
  const cutting = createClient({
    url,
    getToken: () => token,
    WebSocket: class extends WebSocket {
      constructor (url: string, protocols: string[]) {
        super(url, protocols)
        sockets.push(this)
      }
    } as never
  })
  t.teardown(() => cutting.close())
  return { sockets, cutting }
}

t.test('the line is cut in the middle: the end is right', async t => {
  const { monitor, url } = await setup(t)
  await monitor.registerJob('job', { items_total: 200, state: 'running', auto_complete: true })
  const { sockets, cutting } = await cuttable(t, url)
  const watch = cutting.watch('job', { wait_ms: 10_000 })
  await seen(watch, 'running')
  for (let i = 0; i < 200; i++) {
    await monitor.updateItemProgress('job', { id: `i${i}`, state: 'completed' })
    if (i % 70 === 30) sockets.at(-1)!.close()
  }
  await until(() => watch.getSnapshot().connection === 'ended')
  t.match(watch.getSnapshot().job, { state: 'completed', items_completed: 200, percent_complete: 100 })
  t.ok(sockets.length > 1)
})

t.test('the line is cut in the middle: no second snapshot, every event once and in order', async t => {
  const { monitor, url } = await setup(t)
  await monitor.registerJob('job', { items_total: 200, state: 'running', auto_complete: true })
  const { sockets, cutting } = await cuttable(t, url)
  const watch = cutting.watch('job', { wait_ms: 10_000 })
  const heard: JobMessage[] = []
  watch.onMessage(message => heard.push(message))
  await seen(watch, 'running')
  for (let i = 0; i < 200; i++) {
    await monitor.updateItemProgress('job', { id: `i${i}`, state: 'completed' })
    if (i % 70 !== 30) continue
    sockets.at(-1)!.close()
    await until(() => watch.getSnapshot().connection === 'reconnecting')
  }
  await until(() => watch.getSnapshot().connection === 'ended')
  t.match(watch.getSnapshot(), { job: { state: 'completed', items_completed: 200, percent_complete: 100 }, items_seen: 200 })
  t.ok(sockets.length > 1)
  const [first, ...rest] = heard
  t.equal(first!.type, 'job.snapshot')
  t.notOk(rest.some(({ type }) => type === 'job.snapshot'))
  const logged = rest.filter(({ type }) => !type.endsWith('.progress')).map(({ seq }) => seq)
  t.same(logged, logged.map((_, i) => first!.seq + 1 + i))
  t.equal(logged.at(-1), watch.getSnapshot().job!.seq)
})

t.test('what the server refuses stops the watch and says why', async t => {
  const { client, monitor, url } = await setup(t)
  await monitor.registerJob('job', { state: 'running' })
  const missing = client.watch('nobody')
  await until(() => missing.getSnapshot().connection === 'stopped')
  t.equal(missing.getSnapshot().error?.code, 'unknown_job')

  for (const [token, code] of [['no.such.token', 'unauthorized'], [await tokenOf({ scope: 'jobs:control' }), 'forbidden']] as const) {
    const stranger = createClient({ url, getToken: () => token })
    t.teardown(() => stranger.close())
    const watch = stranger.watch('job')
    await until(() => watch.getSnapshot().connection === 'stopped', { what: code })
    t.equal(watch.getSnapshot().error?.code, code)
    t.equal(watch.getSnapshot().job, null)
  }
})

t.test('another tenant sees nothing, not even that there is something', async t => {
  const { monitor, url } = await setup(t)
  await monitor.registerJob('job', { state: 'running' })
  const token = await tokenOf({ tenant: 'other' })
  const other = createClient({ url, getToken: () => token })
  t.teardown(() => other.close())
  const watch = other.watch('job')
  await until(() => watch.getSnapshot().connection === 'stopped')
  t.equal(watch.getSnapshot().error?.code, 'unknown_job')
  await t.rejects(other.getJob('job'), { code: 'unknown_job' })
  t.same((await other.listJobs()).data, [])
})

t.test('lists by pages', async t => {
  const { client, monitor } = await setup(t)
  for (let i = 0; i < 5; i++) void monitor.registerJob(`job_${i}`, { title: `number ${i}` })
  for (let i = 0; i < 5; i++) void monitor.updateItemProgress('job_0', { id: `i${i}`, state: i < 2 ? 'failed' : 'completed' })
  await monitor.flush()
  await until(async () => (await client.listJobs()).data.length === 5)
  const first = await client.listJobs({ limit: 3 })
  const second = await client.listJobs({ limit: 3, cursor: first.next_cursor! })
  t.equal(new Set([...first.data, ...second.data].map(({ id }) => id)).size, 5)
  await until(async () => (await client.listItems('job_0', { state: 'failed' })).data.length === 2)
  t.equal((await client.listItems('job_0')).data.length, 5)
  t.equal((await client.getJob('job_0')).title, 'number 0')
})
