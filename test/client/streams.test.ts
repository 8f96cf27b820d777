// Without WebSockets: the same client over server-sent events and POSTs, against a real gateway.

import t, { type Test } from 'tap'
import { NO_LOG } from '../../src/engine/connections.ts'
import { createEventParser } from '../../src/protocol/event-stream.ts'
import type { StreamEvent } from '../../src/protocol/event-stream.ts'
import { createStreamSocket } from '../../src/client/stream-socket.ts'
import { createClient } from '../../src/client/index.ts'
import type { ClientOptions, JobMessage } from '../../src/client/index.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { privateRedis, startGateway, tokenOf } from '../gateway/support.ts'
import { until } from '../support/wait.ts'
import { FakeSocket, turn } from './fakes.ts'
import { setup } from './support.ts'

/** Cuts the responses that are open, as a dying gateway does. */
function cuttableFetch (): { fetch: typeof fetch, urls: string[], cut: () => void } {
  const open = new Set<AbortController>()
  const urls: string[] = []
  return {
    urls,
    fetch (input, init) {
      const own = new AbortController()
      open.add(own)
      urls.push(`${init?.method ?? 'GET'} ${new URL(String(input)).pathname}`)
      return fetch(input, { ...init, signal: AbortSignal.any([own.signal, ...init?.signal ? [init.signal] : []]) })
    },
    cut () {
      for (const one of open) one.abort()
      open.clear()
    }
  }
}

async function gateway (t: Test, options: Partial<ClientOptions> = {}) {
  const redis = await privateRedis(t)
  const { url, engine } = await startGateway(t, redis)
  const monitor = new ProgressMonitor({ redisUrl: redis.url, prefix: engine.keys.prefix, tenantId: 'acme', log: NO_LOG })
  const client = createClient({ url, getToken: () => tokenOf(), WebSocket: null, ...options })
  t.teardown(async () => {
    client.close()
    await monitor.close()
  })
  return { monitor, client }
}

t.test('a stream is read whatever pieces it comes in', async t => {
  const text = ': hello\r\nretry: 500\n\nid: 1.2\nevent: job.progress\ndata: {"a":\ndata: 1}\n\ndata:x\r\n\r\nevent: nothing\n\nid: 1.3\ndata: y\n\n'
  const read = (pieces: string[]): [StreamEvent[], number] => {
    const events: StreamEvent[] = []
    let comments = 0
    const feed = createEventParser(event => events.push(event), () => { comments++ })
    for (const piece of pieces) feed(piece)
    return [events, comments]
  }
  const expected = [[
    { type: 'job.progress', data: '{"a":\n1}', id: '1.2' }, { type: 'message', data: 'x', id: '1.2' }, { type: 'message', data: 'y', id: '1.3' }
  ], 1]
  t.same(read([text]), expected)
  t.same(read([...text]), expected, 'byte by byte')
})

t.test('a gateway that stops says when to come back; what stands first is for lines that break', async t => {
  const begin = 'retry: 500\n\nid: 1.2\nevent: job.progress\ndata: {}\n\n'
  const endOf = (body: string) => new Promise<{ code?: number, reason?: string }>(resolve => {
    const Socket = createStreamSocket({
      base: new URL('http://gateway/'),
      fetch: async () => new Response(body),
      clock: { setTimeout: (run, ms) => setTimeout(run, ms), clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout) }
    })
    const socket = new Socket('', ['headway.v1', 'bearer.x'])
    socket.onclose = resolve
    socket.send(JSON.stringify({ action: 'subscribe', job_id: 'job', since: '1.1' }))
  })
  t.match(await endOf(`${begin}retry: 1234\n\n`), { code: 1012, reason: '{"reconnect_after_ms":1234}' })
  t.match(await endOf(begin), { code: 1006 })
})

t.test('a job to its end over a line that is cut, control calls, the tenant: no event is missed or doubled', async t => {
  const { fetch, urls, cut } = cuttableFetch()
  const { monitor, client } = await gateway(t, { fetch })
  await monitor.registerJob('job', { items_total: 60, state: 'running', auto_complete: true })
  const tenant = client.watchTenant()
  const watch = client.watch('job', { wait_ms: 10_000 })
  const heard: JobMessage[] = []
  watch.onMessage(message => heard.push(message))
  let cuts = 0
  watch.subscribe(() => { if (watch.getSnapshot().connection === 'reconnecting') cuts++ })
  await until(() => watch.getSnapshot().connection === 'live')
  t.match(await client.pause('job', 'lunch'), { effect: 'applied', state: 'pausing' })
  t.match(await client.resume('job'), { effect: 'applied', state: 'running' })
  await t.rejects(client.cancel('nobody'), { code: 'unknown_job' })
  for (let i = 0; i < 60; i++) {
    await monitor.updateItemProgress('job', { id: `i${i}`, state: 'completed' })
    if (i !== 20 && i !== 40) continue
    await until(() => watch.getSnapshot().connection === 'live')
    const before = cuts
    cut()
    await until(() => cuts > before, { what: 'it notices' }) // it may be back before anybody looks
  }
  await until(() => watch.getSnapshot().connection === 'ended')
  t.match(watch.getSnapshot().job, { state: 'completed', items_completed: 60 })
  const [first, ...rest] = heard
  const logged = rest.filter(({ type }) => !type.endsWith('.progress')).map(({ seq }) => seq)
  t.equal(first?.type, 'job.snapshot')
  t.same(logged, Array.from(logged, (_, n) => first!.seq + 1 + n), 'resumed by cursor, each event once')
  t.equal(logged.at(-1), watch.getSnapshot().job?.seq)
  await until(() => tenant.getSnapshot().jobs[0]?.state === 'completed')
  t.ok(urls.includes('POST /v1/jobs/job/control'))
  t.notOk(urls.some(url => url === 'GET /v1/jobs'), 'nobody asks again and again')
  t.ok(urls.filter(url => url === 'GET /v1/events').length >= 3, 'after each cut the list came again')

  await monitor.registerJob('later', { items_total: 1, title: 'Heard of by the stream' })
  await until(() => tenant.getSnapshot().jobs[0]?.title === 'Heard of by the stream')
  tenant.close()
  t.equal(tenant.getSnapshot().connection, 'closed')
})

t.test('a gateway that has no stream of the tenant yet gives its list, until one has it', async t => {
  let status = 405 // POST /v1/events is older than GET; before it the answer was 404
  const asked: string[] = []
  const pause = { over: () => {} }
  const { monitor, client } = await gateway(t, {
    clock: { // the next list comes when the test says so
      setTimeout: (callback, ms) => { if (ms === 5000) pause.over = callback; else return setTimeout(callback, ms) },
      clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout)
    },
    async fetch (input, init) { // an older gateway, played: this route is not there
      const { pathname } = new URL(String(input))
      asked.push(pathname)
      return pathname === '/v1/events' && status !== 200 ? Response.json({ code: 'method_not_allowed' }, { status }) : await fetch(input, init)
    }
  })
  await monitor.registerJob('job', { items_total: 1, state: 'running', auto_complete: true })
  await monitor.flush()
  const tenant = client.watchTenant()
  const shown = () => tenant.getSnapshot()
  await until(() => shown().jobs.length === 1)
  t.match(shown(), { connection: 'live', loaded: true, error: null, jobs: [{ id: 'job', state: 'running' }] })

  status = 404
  await monitor.updateItemProgress('job', { id: 'only', state: 'completed' })
  await until(async () => (await client.getJob('job')).state === 'completed')
  pause.over()
  await until(() => shown().jobs[0]?.state === 'completed', { what: 'the next list' })
  t.equal(shown().connection, 'live')

  status = 200
  pause.over()
  await until(() => asked.filter(path => path === '/v1/events').length === 3)
  await monitor.registerJob('later', { items_total: 1 })
  await until(() => shown().jobs.length === 2, { what: 'the stream tells of it' })
  t.equal(asked.filter(path => path === '/v1/jobs').length, 2, 'no more lists')
})

t.test('more jobs than streams may run take turns', async t => {
  const clock = { turns: [] as (() => void)[] }
  const { monitor, client } = await gateway(t, {
    clock: { // turns come when the test says so
      setTimeout: (callback, ms) => ms === 5000 ? clock.turns.push(callback) : setTimeout(callback, ms),
      clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout)
    }
  })
  const ids = Array.from({ length: 7 }, (_, n) => `job_${n}`)
  for (const id of ids) await monitor.registerJob(id, { items_total: 1, state: 'running', auto_complete: true })
  await monitor.flush()
  const watches = ids.map(id => client.watch(id, { wait_ms: 10_000 }))
  const live = (): number => watches.filter(watch => watch.getSnapshot().connection === 'live').length
  await until(() => live() === 4)
  for (let n = 5; n <= 7; n++) {
    clock.turns.at(-1)?.()
    await until(() => live() === n)
  }
  for (const id of ids) await monitor.updateItemProgress(id, { id: 'only', state: 'completed' })
  await until(() => {
    clock.turns.at(-1)?.()
    return watches.every(watch => watch.getSnapshot().connection === 'ended')
  }, { interval_ms: 100, what: 'all end' })
  t.ok(watches.every(watch => watch.getSnapshot().job?.items_completed === 1))
})

t.test('two sockets that do not open while HTTP answers: streams take over, and refusals stop as on a socket', async t => {
  let sockets = 0
  const { monitor, client } = await gateway(t, {
    random: () => 0,
    WebSocket: class extends FakeSocket { // a stand-in for a proxy that answers upgrades with an error page
      constructor (url: string, protocols: string[]) {
        super(url, protocols)
        sockets++
        setImmediate(() => this.end(1006))
      }
    }
  })
  await monitor.registerJob('job', { items_total: 1, state: 'running' })
  await monitor.flush()
  const watch = client.watch('job')
  await until(() => watch.getSnapshot().connection === 'live')
  t.equal(sockets, 2)
  const missing = client.watch('nobody')
  await until(() => missing.getSnapshot().connection === 'stopped')
  t.equal(missing.getSnapshot().error?.code, 'unknown_job')
  const stranger = (await gateway(t, { getToken: () => 'no.such.token' })).client.watch('job')
  await until(() => stranger.getSnapshot().connection === 'stopped')
  t.equal(stranger.getSnapshot().error?.code, 'unauthorized')
})

t.test('a server that is away is not a proxy', async t => {
  const { client, made, socket, clock, world } = setup()
  world.answer = new TypeError('fetch failed')
  client.watch('job_1')
  for (const ms of [125, 250, 500, 1000]) {
    await turn()
    socket().end(1006)
    await turn()
    await clock.pass(ms)
  }
  t.equal(made.length, 5, 'it goes on with sockets')
})
