// What one tenant may have of a gateway, whatever the others ask: connections, handshakes, messages. And pages of foreign origins at
// a stream.

import t from 'tap'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const acme = await tokenOf()
const rival = await tokenOf({ tenant: 'rival' })

const answerTo = (comer: Client) => Promise.race([comer.open().then(() => 101), comer.refused().then(({ status }) => status)])
const figure = async (internalUrl: string, line: string) => (await (await fetch(`${internalUrl}/metrics`)).text()).includes(`${line}\n`)

t.test('connections of a tenant: sockets and streams together', async t => {
  const { engine, url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_TENANT_SOCKETS_MAX: '2' })
  for (const tenant of ['acme', 'rival']) await engine.submit({ tenant, job: 'j', type: 'job.register', data: { items_total: 1 } })
  const socket = await new Client(`${url}/v1/ws?token=${acme}`).open()
  const stop = new AbortController()
  t.equal((await fetch(`${url}/v1/jobs/j/events?token=${acme}`, { signal: stop.signal })).status, 200)
  const refused = await new Client(`${url}/v1/ws?token=${acme}`).refused()
  t.match(refused, { status: 429, headers: { 'retry-after': '1' }, body: { code: 'too_many_requests', detail: /HEADWAY_TENANT_SOCKETS_MAX/ } })
  const stream = await call(`${url}/v1/jobs/j/events?token=${acme}`, 'GET', null)
  t.match(stream, { status: 429, body: { code: 'too_many_requests' } })
  t.equal(stream.headers.get('retry-after'), '1')
  const other = await new Client(`${url}/v1/ws?token=${rival}`).open()
  t.ok(await figure(internalUrl, 'headway_connections_refused_total{reason="tenant_connections"} 2'))

  const late = await new Client(`${url}/v1/ws`).open()
  late.say({ action: 'authenticate', token: acme, id: 'a' })
  t.match(await late.answer('a'), { type: 'error', code: 'too_many_requests' })
  t.equal((await late.end()).code, 4429, 'whose token comes later is refused then')

  stop.abort()
  await until(async () => await answerTo(new Client(`${url}/v1/ws?token=${acme}`)) === 101, { what: 'there is room again' })
  const unknown = () => call(`${url}/v1/jobs/none/events?token=${rival}`, 'GET', null)
  for (let n = 0; n < 5; n++) t.match(await unknown(), { status: 404 }, 'one that is refused for its job takes no place')
  const lost = () => new Client(`${url}/v1/ws?job_id=none&token=${rival}`).refused()
  for (let n = 0; n < 5; n++) t.match(await lost(), { status: 404 })
  for (const client of [socket, other]) client.socket.close()
})

t.test('handshakes of a tenant: one that floods leaves the others theirs', async t => {
  const { url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_HANDSHAKES_PER_S: '10', HEADWAY_TENANT_HANDSHAKES_PER_S: '1' })
  const statuses: number[] = []
  for (let n = 0; n < 30; n++) statuses.push(await answerTo(new Client(`${url}/v1/ws?token=${acme}`)))
  t.ok(statuses.includes(101))
  t.ok(statuses.includes(429))
  t.notOk(statuses.includes(503), 'what it was refused it has not taken from the gateway')
  t.equal(await answerTo(new Client(`${url}/v1/ws?token=${rival}`)), 101)
  const refused = statuses.filter(status => status === 429).length
  t.ok(await figure(internalUrl, `headway_connections_refused_total{reason="tenant_handshakes"} ${refused}`))
})

t.test('messages of a tenant, over all its sockets', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_TENANT_MESSAGES_PER_S: '1' })
  const clients = await Promise.all([1, 2].map(() => new Client(`${url}/v1/ws?token=${acme}`).open()))
  for (let n = 0; n < 8; n++) clients[n % 2]?.say({ action: 'ping', id: `p${n}` })
  const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => clients[n % 2]!.answer(`p${n}`)))
  const refused = answers.filter(({ type }) => type === 'error')
  t.ok(refused.length > 0 && refused.length <= 3, `${refused.length} of 8 are beyond the five at once`)
  t.ok(refused.every(({ code }) => code === 'too_many_requests'))
  const other = await new Client(`${url}/v1/ws?token=${rival}`).open()
  other.say({ action: 'ping', id: 'p' })
  t.match(await other.answer('p'), { type: 'pong' })
  t.ok(clients.every(({ closed }) => closed === null), 'an error each, no close')
  for (const client of [...clients, other]) client.socket.close()
})

t.test('pages of foreign origins open no stream', async t => {
  const { engine, url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_ALLOWED_ORIGINS: 'https://app.example.com' })
  await engine.submit({ tenant: 'acme', job: 'j', type: 'job.register', data: { items_total: 1 } })
  const open = async (origin: string) => {
    const stop = new AbortController()
    const { status } = await fetch(`${url}/v1/jobs/j/events?token=${acme}`, { headers: { origin }, signal: stop.signal })
    stop.abort()
    return status
  }
  t.equal(await open('https://evil.example'), 403)
  t.equal(await open('null'), 403)
  t.equal(await open('https://app.example.com'), 200)
  t.equal(await open(url), 200)
  t.ok(await figure(internalUrl, 'headway_connections_refused_total{reason="origin"} 2'))
})
