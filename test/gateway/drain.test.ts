// A gateway that goes, and one to which too many come at once: who is turned away, with what, and when.

import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const token = await tokenOf()

t.test('not ready at once, serving for the delay, then closed within the window, each told when to come back', async t => {
  const { gateway, url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_DRAIN_DELAY_MS: '500', HEADWAY_DRAIN_WINDOW_MS: '2000' })
  const clients = await Promise.all(Array.from({ length: 20 }, () => new Client(`${url}/v1/ws?token=${token}`).open()))
  const stopped = gateway.stop()
  t.match(await call(`${internalUrl}/readyz`, 'GET', null), { status: 503 })
  const last = await new Client(`${url}/v1/ws?token=${token}`).open()
  t.pass('the load balancer has not noticed yet, and is served')
  t.ok(clients.every(({ closed }) => closed === null))
  await until(() => clients.some(({ closed }) => closed !== null), { what: 'the first is closed' })
  t.ok(clients.some(({ closed }) => closed === null), 'not all at once')
  t.match(await new Client(`${url}/v1/ws?token=${token}`).refused(), { status: 503, headers: { 'retry-after': String }, body: { code: 'not_ready' } })
  await stopped
  for (const client of [...clients, last]) {
    const { code, reason } = await client.end()
    t.equal(code, 1012)
    t.type((JSON.parse(reason) as { reconnect_after_ms: unknown }).reconnect_after_ms, 'number')
  }
})

t.test('streams go like sockets: spread over the window, each told when to come back', async t => {
  const { gateway, engine, url } = await startGateway(t, redis, { HEADWAY_DRAIN_WINDOW_MS: '1500' })
  await engine.submit({ tenant: 'acme', job: 'j', type: 'job.register', data: { items_total: 1 } })
  const path = `${url}/v1/jobs/j/events?token=${token}`
  const texts = await Promise.all(Array.from({ length: 12 }, async () => {
    const response = await fetch(path)
    return { ended: false, response }
  }))
  const all = Promise.all(texts.map(async one => {
    const text = await one.response.text()
    one.ended = true
    return text
  }))
  const stopped = gateway.stop()
  await until(() => texts.some(({ ended }) => ended), { what: 'the first ends' })
  t.notOk(texts.every(({ ended }) => ended), 'not all at once')
  t.match(await call(path, 'GET', null), { status: 503, body: { code: 'not_ready' } })
  await stopped
  const delays = (await all).map(text => {
    const [, last] = /\nretry: (\d+)\n\n$/.exec(text) ?? []
    t.match(text, /event: job.snapshot/)
    return Number(last)
  })
  t.ok(delays.every(ms => ms >= 1 && ms <= 5_000), delays.join())
  t.ok(new Set(delays).size > 6, 'not the same for all')
})

t.test('a connection on which nobody has asked anything does not hold it up', async t => {
  const { gateway, url } = await startGateway(t, redis)
  const ahead = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  await once(ahead, 'connect')
  const gone = once(ahead, 'close')
  ahead.resume()
  await gateway.stop()
  await gone
  t.pass('it is cut, sooner than Node would')
})

t.test('more handshakes a second than allowed', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_HANDSHAKES_PER_S: '3' })
  const comers = Array.from({ length: 12 }, () => new Client(`${url}/v1/ws?token=${token}`))
  const answerTo = (comer: Client) => Promise.race([comer.open().then(() => 101), comer.refused().then(({ status }) => status)])
  const statuses = await Promise.all(comers.map(answerTo))
  t.ok(statuses.filter(status => status === 101).length >= 3)
  t.ok(statuses.includes(503))
  await until(async () => {
    const again = new Client(`${url}/v1/ws?token=${token}`)
    return await answerTo(again) === 101
  }, { what: 'there is room again', interval_ms: 100 })
  for (const { socket } of comers) socket.close()
})
