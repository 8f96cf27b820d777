// Server-sent events: the same order as on a socket, cursors as ids, and an end.

import t from 'tap'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const { engine, url } = await startGateway(t, redis, { HEADWAY_PROGRESS_INTERVAL_MS: '0', HEADWAY_PING_INTERVAL_MS: '100' })
const token = await tokenOf()

interface Heard { id: string, event: string, data: { seq: number, data: Record<string, unknown> } }

/** Reads a stream until it ends or is left. */
async function listen (path: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  const response = await fetch(`${url}${path}`, { headers, signal: stop.signal })
  const heard: Heard[] = []
  let comments = 0
  let ended = false
  const reading = (async () => {
    let rest = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop()!
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
        if (fields['data'] === undefined) comments++
        else heard.push({ id: fields['id'] ?? '', event: fields['event'] ?? '', data: JSON.parse(fields['data']) })
      }
    }
    ended = true
  })().catch(() => {})
  return { response, heard, comments: () => comments, ended: () => ended, reading, leave: () => stop.abort() }
}

const address = { tenant: 'acme', job: 'sse' }
const logged = (heard: Heard[]) => heard.filter(({ event }) => !event.endsWith('.progress') && event !== 'job.snapshot')

t.test('snapshot, events, a cursor to resume from, the end', async t => {
  await engine.submit({ ...address, type: 'job.register', data: { items_total: 4, state: 'running' } })
  const first = await listen(`/v1/jobs/sse/events?token=${token}`)
  t.match(first.response.headers.get('content-type'), /^text\/event-stream/)
  await until(() => first.heard.length > 0, { what: 'a snapshot' })
  t.equal(first.heard[0]?.event, 'job.snapshot')
  for (const id of ['a', 'b']) await engine.submit({ ...address, type: 'item.update', data: { id, state: 'completed' } })
  await until(() => logged(first.heard).length === 2, { what: 'two items' })
  await until(() => first.comments() > 1, { what: 'a heartbeat' })
  first.leave()
  const cursor = logged(first.heard)[0]!.id
  t.match(cursor, /^\d{13}\.1$/)

  await engine.submit({ ...address, type: 'item.update', data: { id: 'c', state: 'completed' } })
  const again = await listen('/v1/jobs/sse/events', { authorization: `Bearer ${token}`, 'last-event-id': cursor })
  await until(() => logged(again.heard).length === 2, { what: 'what was missed' })
  const browser = await listen(`/v1/jobs/sse/events?token=${token}&since=${cursor}`, { 'last-event-id': logged(again.heard)[0]!.id })
  await until(() => logged(browser.heard).length === 1, { what: 'what a browser missed that began with a cursor in its address' })
  t.equal(logged(browser.heard)[0]?.data.seq, 3)
  browser.leave()
  await engine.submit({ ...address, type: 'job.state', data: { state: 'completed' } })
  await until(() => again.ended(), { what: 'the stream ends with the job' })
  t.notOk(again.heard.some(({ event }) => event === 'job.snapshot'))
  t.same(logged(again.heard).map(({ data }) => data.seq), logged(again.heard).map((_, n) => n + 2))
  t.equal(again.heard.at(-1)?.event, 'job.completed')

  const late = await listen(`/v1/jobs/sse/events?token=${token}`)
  await until(() => late.ended(), { what: 'a stream of an ended job ends too' })
  t.same(late.heard.map(({ event, id }) => [event, id]), [['job.snapshot', again.heard.at(-1)?.id]])
  const over = await fetch(`${url}/v1/jobs/sse/events?token=${token}`, { headers: { 'last-event-id': late.heard[0]!.id } })
  t.equal(over.status, 204, 'and a browser that has all of it stays away')
})

t.test('what cannot be watched is an HTTP status', async t => {
  t.match(await call(`${url}/v1/jobs/none/events`, 'GET', token), { status: 404, body: { code: 'unknown_job' } })
  t.match(await call(`${url}/v1/jobs/sse/events`, 'GET', null), { status: 401 })
  t.match(await call(`${url}/v1/jobs/sse/events?token=x`, 'GET', null), { status: 401 })
  t.match(await call(`${url}/v1/jobs/sse/events`, 'GET', await tokenOf({ tenant: 'other' })), { status: 404 })
  t.match(await call(`${url}/v1/jobs/sse/events?since=5`, 'GET', token), { status: 400 })
  const bad = await fetch(`${url}/v1/jobs/sse/events`, { headers: { authorization: `Bearer ${token}`, 'last-event-id': 'x' } })
  t.equal(bad.status, 400)
})

t.test('streams count as sockets, and are given back', async t => {
  const small = await startGateway(t, redis, { HEADWAY_SOCKETS_MAX: '2' })
  await small.engine.submit({ ...address, type: 'job.register', data: { items_total: 1, state: 'running' } })
  const path = `${small.url}/v1/jobs/sse/events?token=${token}`
  const stops = [new AbortController(), new AbortController()]
  for (const { signal } of stops) t.equal((await fetch(path, { signal })).status, 200)
  t.match(await call(path, 'GET', null), { status: 503, body: { code: 'overloaded' } })
  const refused = await new Client(`${small.url}/v1/ws?token=${token}`).refused()
  t.equal(refused.status, 503, 'for a WebSocket too')
  for (const stop of stops) stop.abort()
  await until(async () => (await call(`${small.url}/v1/jobs/none/events?token=${token}`, 'GET', null)).status === 404, { what: 'room again' })
  for (let n = 0; n < 5; n++) await call(`${small.url}/v1/jobs/none/events?token=${token}`, 'GET', null)
  t.match(await call(`${small.url}/v1/jobs/none/events?token=${token}`, 'GET', null), { status: 404 }, 'a refused one takes no place')
})

t.test('a gateway that stops ends its streams', async t => {
  const brief = await startGateway(t, redis)
  await brief.engine.submit({ ...address, type: 'job.register', data: { items_total: 1, state: 'running' } })
  const response = await fetch(`${brief.url}/v1/jobs/sse/events?token=${token}`)
  await brief.gateway.stop()
  t.match(await response.text(), /^retry: \d+\n\nid: /)
})

t.test('a stream that still waits for its job does not hold up a gateway that stops', async t => {
  const brief = await startGateway(t, redis)
  const waiting = call(`${brief.url}/v1/jobs/nobody/events?wait_ms=60000&token=${token}`, 'GET', null)
  await until(async () => (await fetch(`${brief.internal_url}/metrics`)).text().then(text => text.includes('headway_connections{kind="sse"} 1')), { what: 'it waits' })
  await brief.gateway.stop()
  t.match(await waiting, { status: 503, body: { code: 'not_ready' } })
})

t.test('a HEAD opens no stream', async t => {
  const response = await fetch(`${url}/v1/jobs/sse/events?token=${token}`, { method: 'HEAD' })
  t.ok(response.status === 404 || response.status === 405, String(response.status))
})
