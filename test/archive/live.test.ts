// Who watches a job that has left Redis sees its end, and nothing hangs: sockets, server-sent events, waiting, the client.

import t from 'tap'
import { WebSocket } from 'ws'
import { createClient } from '../../src/client/index.ts'
import { Client } from '../gateway/support.ts'
import { item, runJob } from '../persister/support.ts'
import { until } from '../support/wait.ts'
import { readerOf, startHouse } from './support.ts'

const house = await startHouse(t)
const { rest } = house
const token = await readerOf('acme')

const first = await house.gateway(t)
await runJob(first.engine, 'over', 3)
await first.persist()
await first.gone('over')

t.test('a socket: from the address and by subscribing, one snapshot of the end; the socket stays of use', async t => {
  const { url } = await house.gateway(t)
  const client = await new Client(`${url}/v1/ws?job_id=over&token=${token}`).open()
  const snapshot = await client.of('job.snapshot')
  t.match(snapshot, {
    job_id: 'over',
    seq: 9,
    data: { reset: false, items_seen: 3, job: { state: 'completed', archived: true, items_completed: 3 }, items: [{ id: 'i2' }, { id: 'i1' }, { id: 'i0' }] }
  })
  client.say({ action: 'subscribe', job_id: 'over', id: 'again' })
  t.match(await client.answer('again'), { type: 'ack' })
  client.say({ action: 'subscribe', job_id: 'never', id: 'never' })
  t.match(await client.answer('never'), { type: 'error', code: 'unknown_job' })
  client.say({ action: 'ping', id: 'p' })
  await client.answer('p')
  t.equal(client.messages.filter(({ type }) => type === 'job.snapshot').length, 2)
  client.socket.close()
})

t.test('of many items the newest fifty, and how many there are', async t => {
  const { url, engine, persist, gone } = await house.gateway(t)
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'many', data: { items_total: 120, state: 'running', auto_complete: true } }])
  for (let n = 0; n < 120; n += 40) await engine.append(Array.from({ length: 40 }, (_, m) => item('many', `i${n + m}`, 'completed')))
  await persist()
  await gone('many')
  const client = await new Client(`${url}/v1/ws?job_id=many&token=${token}`).open()
  const { data } = await client.of('job.snapshot')
  t.equal(data['items_seen'], 120)
  t.same((data['items'] as { id: string }[]).map(({ id }) => id), Array.from({ length: 50 }, (_, n) => `i${119 - n}`))
  client.socket.close()
})

t.test('with a cursor: at the end nothing, before it a snapshot that takes its place', async t => {
  const { url } = await house.gateway(t)
  const { data } = await (await new Client(`${url}/v1/ws?job_id=over&token=${token}`).open()).of('job.snapshot')
  const epoch = String(data['epoch'])
  const behind = await new Client(`${url}/v1/ws?job_id=over&since=${epoch}.4&token=${token}`).open()
  t.match(await behind.of('job.snapshot'), { data: { reset: true, job: { state: 'completed' } } })
  behind.socket.close()
  const there = await new Client(`${url}/v1/ws?token=${token}`).open()
  there.say({ action: 'subscribe', job_id: 'over', since: `${epoch}.9`, id: 's' })
  t.match(await there.answer('s'), { type: 'ack', data: { resumed: true } })
  there.say({ action: 'ping', id: 'p' })
  await there.answer('p')
  t.same(there.messages.map(({ type }) => type), ['ack', 'pong'])
  there.socket.close()

  const events = (headers: Record<string, string>) => fetch(`${url}/v1/jobs/over/events?token=${token}`, { headers })
  const text = await (await events({})).text()
  t.match(text, new RegExp(`id: ${epoch}\\.9\\nevent: job\\.snapshot\\ndata: `), 'and the stream ends')
  t.equal((await events({ 'last-event-id': `${epoch}.9` })).status, 204, 'so that a browser stays away')
  t.match(await (await events({ 'last-event-id': `${epoch}.2` })).text(), /"reset":true/)
})

t.test('who would wait for a job sees the end of one that is over; one that is not there is waited for', async t => {
  const { url, engine } = await house.gateway(t)
  const over = await new Client(`${url}/v1/ws?job_id=over&wait_ms=60000&token=${token}`).open()
  t.match(await over.of('job.snapshot'), { data: { job: { archived: true } } })
  over.socket.close()
  const waiting = await new Client(`${url}/v1/ws?job_id=coming&wait_ms=30000&token=${token}`).open()
  rest.fault = () => ({ status: 503 })
  const patient = await new Client(`${url}/v1/ws?job_id=coming-2&wait_ms=30000&token=${token}`).open()
  await runJob(engine, 'coming', 1)
  await runJob(engine, 'coming-2', 1)
  t.match(await waiting.of('job.snapshot'), { data: { job: { id: 'coming' } } })
  t.match(await patient.of('job.snapshot'), { data: { job: { id: 'coming-2' } } }, 'with the database away too')
  const inVain = await new Client(`${url}/v1/ws?job_id=never&wait_ms=50&token=${token}`).open()
  t.match(await inVain.of('error'), { code: 'archive_unavailable' }, 'nobody can say that it does not exist')
  rest.fault = null
  const unknown = await new Client(`${url}/v1/ws?job_id=never&wait_ms=50&token=${token}`).open()
  t.match(await unknown.of('error'), { code: 'unknown_job' })
  for (const client of [waiting, patient, inVain, unknown]) client.socket.close()
})

t.test('an id that is used again: the live run, never the old one', async t => {
  const { url, engine, get } = await house.gateway(t)
  await runJob(engine, 'twice', 1)
  await engine.append([{ type: 'job.register', tenant: 'acme', job: 'over', data: { items_total: 7, state: 'running' } }])
  await until(async () => (await get('/v1/jobs/over', token)).body['items_total'] === 7)
  const client = await new Client(`${url}/v1/ws?job_id=over&token=${token}`).open()
  t.match(await client.of('job.snapshot'), { data: { job: { state: 'running', items_total: 7 } } })
  await engine.append([item('over', 'new', 'completed')])
  t.match(await client.of('video.completed'), { data: { id: 'new' } })
  client.socket.close()
})

t.test('the client: a view that has ended, over a socket and over a stream', async t => {
  const { url, engine, persist, gone } = await house.gateway(t)
  await runJob(engine, 'viewed', 2)
  await persist()
  await gone('viewed')
  for (const Socket of [WebSocket as never, null]) {
    const client = createClient({ url, getToken: () => token, WebSocket: Socket })
    const watch = client.watch('viewed')
    await until(() => watch.getSnapshot().connection === 'ended', { what: `the watch ends; it is ${watch.getSnapshot().connection}` })
    t.match(watch.getSnapshot(), { error: null, items_seen: 2, job: { archived: true, state: 'completed' } })
    t.match(await client.listItems('viewed'), { archived: true, data: [{ id: 'i0' }, { id: 'i1' }] })
    t.match(await client.listJobs({ archived: true }), { data: [{ id: 'viewed' }] })
    const nothing = client.watch('nothing')
    await until(() => nothing.getSnapshot().connection === 'stopped')
    t.match(nothing.getSnapshot().error, { code: 'unknown_job' })
    client.close()
  }
})
