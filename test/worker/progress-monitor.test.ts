// What a worker survives, and how it ends: connections killed, Redis emptied or away, buffers full, processes over.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { HeadwayError, ProgressMonitor } from '../../src/worker/index.ts'
import { createRedisTransport } from '../../src/worker/redis-transport.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

t.test('its connections are killed all the time: every event once and in order', async t => {
  const { monitor, observer, engine, settled, refused } = await setup(t)
  await monitor.registerJob('job', { items_total: 500, state: 'running' })
  const calls: Promise<void>[] = []
  for (let i = 0; i < 500; i++) {
    calls.push(monitor.updateItemProgress('job', { id: `i${i}`, state: 'processing' }), monitor.updateItemProgress('job', { id: `i${i}`, state: 'completed' }))
    if (i % 25 === 0) await calls.at(-1)
    if (i % 100 === 50) await observer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  }
  await Promise.all(calls)
  await settled('job', 1000)
  const log = await engine.readLog('acme', 'job', 0)
  t.equal(log!.job.seq, 1000, 'nothing doubled')
  t.same(log!.events.map(event => event.event === 'item' && `${event.name} ${event.item.id}`),
    Array.from({ length: 500 }, (_, i) => [`started i${i}`, `completed i${i}`]).flat())
  t.match(log!.job.counted, { completed: 500 })
  t.same(await refused(), [])
})

t.test('Redis is emptied under it: what it sent in the last 30 s is there again', async t => {
  const { monitor, observer, engine, jobOf, settled } = await setup(t)
  await monitor.registerJob('job', { items_total: 2, state: 'running' })
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  await settled('job', 1)
  const { epoch } = (await jobOf('job'))!
  await observer.flushall()
  await observer.hset(`${engine.keys.prefix}:config`, 'partitions', 2)
  await engine.start()
  await settled('job', 1)
  await monitor.updateItemProgress('job', { id: 'b', state: 'completed' })
  await settled('job', 2)
  const job = (await jobOf('job'))!
  t.match(job, { seq: 2, counted: { completed: 2 } })
  t.ok(job.epoch > epoch, 'told as a new epoch')
})

t.test('Redis goes away and comes back: the buffer is bounded, nothing is lost', async t => {
  const BOUND = 20_000
  const { monitor, server, transport, engine } = await setup(t, { bufferBytesMax: BOUND })
  await monitor.registerJob('job', { state: 'running' })
  await server.kill()
  let overloaded = 0
  const calls: Promise<void>[] = []
  while (overloaded < 10) {
    const call = monitor.updateItemProgress('job', { id: `i${calls.length}`, state: 'completed', title: 'x'.repeat(200) })
    calls.push(call)
    call.catch(error => { if (error.code === 'overloaded') overloaded++ })
    if (calls.length % 50 === 0) await new Promise(resolve => setImmediate(resolve))
    const { buffered_bytes: buffered, waiting_bytes: waiting } = transport.status()
    if (buffered > BOUND + 16_384 || waiting > BOUND) throw new Error(`over the bound: ${buffered} and ${waiting}`)
  }
  t.ok(calls.length > 100)
  const again = await startRedis({ port: server.port })
  t.teardown(() => again.stop())
  await again.client().hset(`${engine.keys.prefix}:config`, 'partitions', 2)
  const results = await Promise.allSettled(calls)
  t.equal(results.filter(({ status }) => status === 'rejected').length, results.length - results.findIndex(({ status }) => status === 'rejected'),
    'those taken are the first, in one piece')
  t.same(transport.status().buffered_bytes, 0)
})

t.test('a caller that does not await loses nothing and does not end the process', async t => {
  const { monitor, jobOf } = await setup(t)
  void monitor.registerJob('job', { items_total: -1 })
  void monitor.registerJob('job', { items_total: 1 })
  void monitor.updateJobState('job', 'running')
  await monitor.flush()
  await until(async () => (await jobOf('job'))?.state === 'running')
})

t.test('close stores what was called before, and waits no longer than it may', async t => {
  const { monitor, jobOf, engine, server } = await setup(t)
  void monitor.registerJob('job')
  await Promise.all([monitor.close(), monitor.close()])
  t.ok(await until(() => jobOf('job')))
  await t.rejects(monitor.heartbeat('job'), { code: 'closed' })

  const hasty = new ProgressMonitor({ redisUrl: server.url, prefix: engine.keys.prefix, closeTimeoutMs: 50, log: NO_LOG })
  await hasty.registerJob('job')
  await server.kill()
  const lost = hasty.updateJobState('job', 'running')
  await hasty.close()
  await t.rejects(lost, { code: 'closed' })
})

t.test('control says when Redis is away', async t => {
  const { monitor, server } = await setup(t)
  await monitor.registerJob('job')
  await server.kill()
  await t.rejects(monitor.control('job'), { code: 'redis_unavailable', temporary: true })
})

t.test('without a way out, or with an impossible one, it says so at once', async t => {
  t.throws(() => new ProgressMonitor({}), { code: 'invalid_config' })
  t.throws(() => new ProgressMonitor({ redisUrl: 'http://nowhere' }), HeadwayError)
})

t.test('partitions that the deployment does not have are refused, by every call', async t => {
  const { engine, server } = await setup(t)
  const transport = createRedisTransport({ redis_url: server.url, prefix: engine.keys.prefix, partitions: 64, log: NO_LOG })
  const first = transport.send({ type: 'job.heartbeat', tenant: 'acme', job: 'job', data: {} })
  await t.rejects(first, { code: 'invalid_field', message: /has 2/ })
  await t.rejects(transport.send({ type: 'job.heartbeat', tenant: 'acme', job: 'job', data: {} }), { message: /has 2/ })
  await transport.close()
})

t.test('a process that simply ends has sent everything, and is not held by its connection', async t => {
  const { server, engine, jobOf } = await setup(t)
  const script = `
    import { ProgressMonitor } from ${JSON.stringify(new URL('../../src/worker/index.ts', import.meta.url).href)}
    const monitor = new ProgressMonitor({ redisUrl: ${JSON.stringify(server.url)}, prefix: ${JSON.stringify(engine.keys.prefix)}, tenantId: 'acme' })
    monitor.registerJob('job', { items_total: 100 })
    for (let i = 0; i < 100; i++) monitor.updateItemProgress('job', { id: 'i' + i, state: 'completed' })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'inherit', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  await until(async () => (await jobOf('job'))?.counted.completed === 100)
})
