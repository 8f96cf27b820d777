// A worker that has nothing but HTTP obeys and hears all the same, from a real gateway; also where streams do not pass.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { ProgressMonitor } from '../../src/worker/index.ts'
import type { ProgressMonitorOptions } from '../../src/worker/index.ts'
import { call, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { until } from '../support/wait.ts'

async function overHttp (t: Test, options: ProgressMonitorOptions & { through?: (url: string) => Promise<string> } = {}) {
  const redis = await privateRedis(t)
  const running = await startGateway(t, redis)
  const { through = async (url: string) => url, ...others } = options
  const warnings: string[] = []
  const monitor = new ProgressMonitor({
    gatewayUrl: await through(running.url),
    token: await tokenOf({ scope: WORKER_SCOPES }),
    log: { debug () {}, info () {}, warn: (_, message) => { warnings.push(message) }, error: (_, message) => { warnings.push(message) } },
    ...others
  })
  t.teardown(() => monitor.close())
  const token = await tokenOf({ scope: WORKER_SCOPES })
  const changes: string[] = []
  return {
    ...running,
    redis,
    monitor,
    warnings,
    changes,
    follow: () => monitor.addStateChangeHandler((job, prior, next) => { changes.push(`${job} ${prior}>${next}`) }),
    jobOf: async (id: string) => (await running.engine.readJob('acme', id))?.job ?? null,
    userDoes: (action: string, job: string) => call(`${running.url}/v1/jobs/${job}/control`, 'POST', token, { action, reason: 'asked' })
  }
}

t.test('pause holds it and is acknowledged, resume lets it go on, cancel aborts its signal', async t => {
  const { monitor, userDoes, jobOf, changes, follow } = await overHttp(t)
  follow()
  await monitor.registerJob('job', { items_total: 2 })
  await monitor.updateJobState('job', 'running')
  const job = monitor.job('job')
  await job.waitWhilePaused()
  await monitor.updateItemProgress('job', { id: 'a', state: 'processing' })
  await userDoes('pause', 'job')
  await until(async () => (await jobOf('job'))?.control.acked)
  const held = job.waitWhilePaused()
  await monitor.updateItemProgress('job', { id: 'a', state: 'completed' })
  await until(() => job.state === 'paused')
  await userDoes('resume', 'job')
  await held
  await monitor.updateItemProgress('job', { id: 'b', state: 'processing' })
  await userDoes('cancel', 'job')
  await until(() => job.signal.aborted)
  t.match(job.signal.reason, { name: 'AbortError', reason: 'asked' })
  await until(async () => (await jobOf('job'))?.control.acked)
  await monitor.updateItemProgress('job', { id: 'b', state: 'canceled' })
  await until(() => job.state === 'canceled')
  t.same(changes, ['pending>running', 'running>pausing', 'pausing>paused', 'paused>running', 'running>canceling', 'canceling>canceled'].map(one => `job ${one}`))
})

t.test('where no stream passes: posts and reads tell everything', async t => {
  // A marked stand-in for what stands between: it passes everything on but streams.
  const through = async (url: string): Promise<string> => {
    const server = createServer(async (request, answer) => {
      if (request.url!.includes('/events?')) return answer.writeHead(502).end('no streams here')
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const headers = { ...request.headers, 'content-length': undefined, connection: undefined, host: undefined } as unknown as Record<string, string>
      for (const [name, value] of Object.entries(headers)) if (value === undefined) delete headers[name]
      const body = chunks.length === 0 ? null : Buffer.concat(chunks)
      const passed = await fetch(url + request.url!, { method: request.method!, headers, body })
      answer.writeHead(passed.status, { 'content-type': passed.headers.get('content-type') ?? '' }).end(await passed.text())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => new Promise(resolve => {
      server.close(resolve)
      server.closeAllConnections()
    }))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const { monitor, userDoes, jobOf, changes, follow, warnings } = await overHttp(t, { through, heartbeatMs: 100 })
  await monitor.registerJob('job', { items_total: 1, state: 'running' })
  follow()
  const job = monitor.job('job')
  await job.waitWhilePaused()
  await until(() => job.state === 'running')
  await userDoes('pause', 'job')
  await until(async () => (await jobOf('job'))?.control.acked)
  await userDoes('resume', 'job')
  await userDoes('cancel', 'job')
  await until(() => job.signal.aborted)
  await until(() => changes.at(-1) === 'job running>canceling')
  t.same(changes, ['job running>pausing', 'job pausing>running', 'job running>canceling'])
  t.match(warnings, [/jobs cannot be watched at .*502/])
})

t.test('a token that may not read is told at once', async t => {
  const { monitor, warnings } = await overHttp(t, { token: await tokenOf({ scope: 'jobs:write' }) })
  await monitor.registerJob('job')
  await t.rejects(monitor.startMonitoring(), { code: 'forbidden', message: /jobs:read/ })
  t.match(warnings, [/cannot be watched.*jobs:read/])
})

t.test('the gateway dies and another one answers at its address: what happened meanwhile is told', async t => {
  const { monitor, engine, gateway, redis, changes, follow, url } = await overHttp(t)
  follow()
  await monitor.registerJob('job', { state: 'running' })
  await until(() => monitor.getAllJobsStatus()['job'])
  await gateway.stop()
  await engine.submit({ type: 'job.state', tenant: 'acme', job: 'job', data: { state: 'pausing' } })
  await engine.submit({ type: 'job.state', tenant: 'acme', job: 'job', data: { state: 'failed' } })
  await startGateway(t, redis, { HEADWAY_PREFIX: engine.keys.prefix, WEBSOCKET_PORT: new URL(url).port })
  await until(() => changes.length === 2)
  t.same(changes, ['job running>pausing', 'job pausing>failed'])
})
