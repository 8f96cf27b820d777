// What does not belong: each has its documented answer, and what follows it is unharmed.

import { request } from 'node:http'
import { connect } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import type { Reach } from '../../src/gateway/reach.ts'
import { registerWorkerRoutes } from '../../src/gateway/routes/worker-calls.ts'
import { HeadwayError } from '../../src/protocol/errors.ts'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

const redis = await privateRedis(t)
const { url } = await startGateway(t, redis, {
  HEADWAY_FRAME_BYTES_MAX: '65536', HEADWAY_SUBSCRIPTIONS_MAX: '3', HEADWAY_MESSAGES_PER_S: '50', HEADWAY_MESSAGES_BURST: '100'
})
const worker = await tokenOf({ scope: WORKER_SCOPES })
await call(`${url}/v1/jobs`, 'POST', worker, { id: 'j', items_total: 4, state: 'running' })

const deep = (levels: number) => `{"id":"d","metadata":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`

t.test('bodies', async t => {
  const table: [string, string, string, unknown, number, string][] = [
    ['no JSON', 'POST', '/v1/jobs', '{"id":', 400, 'malformed_json'],
    ['an array', 'POST', '/v1/jobs', '[]', 400, 'invalid_field'],
    ['null', 'POST', '/v1/jobs', 'null', 400, 'invalid_field'],
    ['invalid UTF-8', 'POST', '/v1/jobs', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'invalid_utf8'],
    ['deep', 'POST', '/v1/jobs', deep(17), 400, 'too_deep'],
    ['very deep', 'POST', '/v1/jobs', '['.repeat(500_000), 400, 'too_deep'],
    ['over 1 MiB', 'POST', '/v1/jobs', JSON.stringify({ id: 'big', title: 'x'.repeat(1_100_000) }), 413, 'body_too_large'],
    ['long texts of an item, which are cut', 'PUT', '/v1/jobs/j/items/i', { state: 'processing', kind: 'k', title: '\t'.repeat(500), worker: 'w'.repeat(20_000) }, 200, ''],
    ['no id', 'POST', '/v1/jobs', { items_total: 1 }, 400, 'invalid_field'],
    ['a slash in the id', 'POST', '/v1/jobs', { id: 'a/b' }, 400, 'invalid_field'],
    ['braces in the id', 'POST', '/v1/jobs', { id: '{p1}' }, 400, 'invalid_field'],
    ['a newline in the id', 'POST', '/v1/jobs', { id: 'a\nb' }, 400, 'invalid_field'],
    ['an id of 129', 'POST', '/v1/jobs', { id: 'a'.repeat(129) }, 400, 'invalid_field'],
    ['a negative total', 'POST', '/v1/jobs', { id: 'x', items_total: -1 }, 400, 'invalid_field'],
    ['a total of 1e999', 'POST', '/v1/jobs', '{"id":"x","items_total":1e999}', 400, 'invalid_field'],
    ['NaN', 'POST', '/v1/jobs', '{"id":"x","items_total":NaN}', 400, 'malformed_json'],
    ['a total as text', 'POST', '/v1/jobs', { id: 'x', items_total: '5' }, 400, 'invalid_field'],
    ['half an item', 'POST', '/v1/jobs/j/progress', { items_completed: 1.5 }, 400, 'invalid_field'],
    ['a negative counter', 'POST', '/v1/jobs/j/progress', { items_completed: -3 }, 400, 'invalid_field'],
    ['an unknown state', 'POST', '/v1/jobs/j/state', { state: 'flying' }, 400, 'invalid_field'],
    ['an illegal transition', 'POST', '/v1/jobs/j/state', { state: 'paused' }, 409, 'invalid_transition'],
    ['an unknown job', 'POST', '/v1/jobs/none/state', { state: 'running' }, 404, 'unknown_job'],
    ['an item of an unknown job', 'PUT', '/v1/jobs/none/items/i', { state: 'processing' }, 404, 'unknown_job'],
    ['percent over 100', 'PUT', '/v1/jobs/j/items/i', { percent_complete: 101 }, 400, 'invalid_field'],
    ['two ids', 'PUT', '/v1/jobs/j/items/i', { id: 'other', state: 'processing' }, 400, 'invalid_field'],
    ['another registration', 'POST', '/v1/jobs', { id: 'j', items_total: 5 }, 409, 'job_exists'],
    ['an unknown control', 'POST', '/v1/jobs/j/control', { action: 'explode' }, 400, 'invalid_field'],
    ['an unknown field of control', 'POST', '/v1/jobs/j/control', { action: 'pause', reasn: 'x' }, 400, 'invalid_field'],
    ['a prototype in control', 'POST', '/v1/jobs/j/control', '{"action":"pause","__proto__":{"x":1}}', 400, 'invalid_field'],
    ['a bad id in the path', 'GET', '/v1/jobs/%7Bp1%7D', undefined, 400, 'invalid_field'],
    ['a path that is no text', 'GET', '/v1/jobs/%ff', undefined, 400, 'invalid_field'],
    ['a cursor of nobody', 'GET', '/v1/jobs/j/items?cursor=x', undefined, 400, 'invalid_field'],
    ['an unknown path', 'GET', '/v2/jobs', undefined, 404, 'not_found'],
    ['a socket without upgrade', 'GET', '/v1/ws', undefined, 426, 'upgrade_required']
  ]
  for (const [what, method, path, body, status, code] of table) {
    const reply = await call(url + path, method, worker, body)
    t.equal(reply.status, status, what)
    if (code === '') continue
    t.equal(reply.body['code'], code, what)
    t.match(reply.headers.get('content-type'), /^application\/problem\+json/)
    t.ok(String(reply.body['detail']).length > 0 && String(reply.body['detail']).length < 1_000)
  }
  const form = await fetch(`${url}/v1/jobs`, { method: 'POST', headers: { authorization: `Bearer ${worker}`, 'content-type': 'text/plain' }, body: 'id=x' })
  t.equal(form.status, 415)
  t.match(await call(`${url}/v1/jobs/j`, 'GET', worker), { status: 200, body: { state: 'running', items_total: 4, items_failed: 0 } }, 'unharmed')
})

t.test('what a worker is refused tells it of control all the same', async t => {
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'held', state: 'running' })
  await call(`${url}/v1/jobs/held/items/i`, 'PUT', worker, { state: 'processing' })
  const { body: { request_id: requestId } } = await call(`${url}/v1/jobs/held/control`, 'POST', worker, { action: 'pause' })
  t.type(requestId, 'string')
  const open = { state: 'pausing', request_id: requestId }
  const none = { state: null, request_id: null }
  const table: [string, string, string, unknown, number, object][] = [
    ['a schema', 'POST', '/v1/jobs/held/state', { state: 'flying' }, 400, open],
    ['no JSON', 'POST', '/v1/jobs/held/progress', '{"items', 400, open],
    ['a body too large', 'POST', '/v1/jobs/held/heartbeat', JSON.stringify({ worker: 'x'.repeat(1_100_000) }), 413, open],
    ['two ids', 'PUT', '/v1/jobs/held/items/i', { id: 'other', state: 'processing' }, 400, open],
    ['a registration', 'POST', '/v1/jobs', { id: 'held', items_total: 'many' }, 400, open],
    ['a registration of no job', 'POST', '/v1/jobs', { id: 'new', items_total: 'many' }, 400, none],
    ['a registration without an id', 'POST', '/v1/jobs', { items_total: 1 }, 400, none],
    ['a schema, of no job', 'POST', '/v1/jobs/none/state', { state: 'flying' }, 400, none],
    ['an id that is none', 'POST', '/v1/jobs/%7Bp1%7D/state', { state: 'running' }, 400, none]
  ]
  for (const [what, method, path, body, status, control] of table) {
    const reply = await call(url + path, method, worker, body)
    t.equal(reply.status, status, what)
    t.same(reply.body['control'], control, what)
  }
  const user = await call(`${url}/v1/jobs/held/state`, 'POST', await tokenOf(), { state: 'running' })
  t.equal(user.status, 403)
  t.same(user.body['control'], none, 'who may not write is told nothing')
})

t.test('a refusal stays one when control cannot be read', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateRequest('identity', null)
  app.addHook('onRequest', async request => { request.identity = { tenant_id: 'acme', scopes: new Set(['jobs:write']), expires_at: null, user_token: null } })
  const away = async () => { throw new HeadwayError('redis_unavailable', 'away') }
  registerWorkerRoutes(app, {
    engine: {
      submit: async () => ({ outcome: 'refused', code: 'invalid_transition', detail: 'no', state: 'pausing', allowed: ['paused'] }),
      readJob: away
    } as unknown as Reach
  })
  const reply = await app.inject({ method: 'POST', url: '/v1/jobs/j/state', payload: { state: 'running' } })
  t.equal(reply.statusCode, 409)
  t.match(reply.json(), { code: 'invalid_transition', control: { state: 'pausing', request_id: null } })
})

t.test('what is let through, cut or dropped', async t => {
  const reply = await call(`${url}/v1/jobs`, 'POST', worker, {
    id: 'a:log', items_total: 1, title: `tab\tnewline\npercent%25 ${'é'.repeat(600)}`, tenant_id: 'rival', flavour: 'new', metadata: { n: [1, { deep: true }] }
  })
  const job = reply.body['job'] as { title: string, tenant_id: string, metadata: unknown }
  t.equal(job.tenant_id, 'acme', 'the tenant is the token\'s')
  t.ok(job.title.startsWith('tab\tnewline\npercent%25 é'))
  t.ok(Buffer.byteLength(job.title) <= 512)
  t.same(job.metadata, { n: [1, { deep: true }] })
  t.match(await call(`${url}/v1/jobs/a:log/items/i1`, 'PUT', worker, { state: 'failed', error: { text: 'x'.repeat(5_000) } }), { status: 200 })
  t.match(await call(`${url}/v1/jobs/a:log/progress`, 'POST', worker, { items_completed: 7 }), { status: 200 })
  const read = await call(`${url}/v1/jobs/a:log`, 'GET', worker)
  t.match(read.body, { items_total: 8, items_completed: 7, items_failed: 1, items_pending: 0 }, 'the total is at least what is settled')
  const items = await call(`${url}/v1/jobs/a:log/items`, 'GET', worker)
  t.match(items.body['data'], [{ id: 'i1', state: 'failed', truncated: true }])
})

t.test('handshakes', async t => {
  const table: [string, string, number, string][] = [
    ['a malformed job id', `/?job_id=${encodeURIComponent('a/b')}&token=${worker}`, 400, 'invalid_field'],
    ['two job ids', `/?job_id=a&job_id=b&token=${worker}`, 400, 'invalid_field'],
    ['a wait that is too long', `/?job_id=j&wait_ms=60001&token=${worker}`, 400, 'invalid_field'],
    ['a wait that is no number', `/?job_id=j&wait_ms=soon&token=${worker}`, 400, 'invalid_field'],
    ['an unknown job', `/?job_id=none&token=${worker}`, 404, 'unknown_job'],
    ['a ticket that was never given', '/?job_id=j&ticket=abc', 401, 'unauthorized'],
    ['another path', `/v1/jobs?token=${worker}`, 404, 'not_found'],
    ['no path at all', `/nowhere?token=${worker}`, 404, 'not_found']
  ]
  for (const [what, path, status, code] of table) t.match(await new Client(url + path).refused(), { status, body: { code } }, what)

  const status = await new Promise(resolve => {
    const { port } = new URL(url)
    request({ port, path: `/?job_id=j&token=${worker}`, headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '12', 'sec-websocket-key': 'eA==' } })
      .on('response', response => { response.resume(); resolve(response.statusCode) }).end()
  })
  t.equal(status, 400, 'a handshake that is none')
  const h2c = await new Promise(resolve => {
    const { port } = new URL(url)
    request({ port, path: '/livez', headers: { connection: 'upgrade', upgrade: 'h2c' } })
      .on('response', response => { response.resume(); resolve(response.statusCode) }).end()
  })
  t.equal(h2c, 200, 'another upgrade is not taken')
})

t.test('messages of a socket', async t => {
  const client = await new Client(`${url}/?job_id=j&token=${worker}`).open()
  await client.of('job.snapshot')
  const table: [unknown, string][] = [
    [{ action: 'fly', id: '1' }, 'unknown_action'],
    [{ id: '2' }, 'unknown_action'],
    [{ action: 'constructor', id: '3' }, 'unknown_action'],
    [{ action: 'subscribe', id: '4' }, 'invalid_field'],
    [{ action: 'subscribe', job_id: '{x}', id: '5' }, 'invalid_field'],
    [{ action: 'subscribe', job_id: 'j', wait_ms: -1, id: '6' }, 'invalid_field'],
    [{ action: 'pause', job_id: 'j', id: '7', force: true }, 'invalid_field'],
    [{ action: 'pause', job_id: 'j', reason: 5, id: '8' }, 'invalid_field'],
    [{ action: 'cancel', job_id: 'none', id: '9' }, 'unknown_job'],
    [{ action: 'subscribe_tenants', id: '10' }, 'unknown_action']
  ]
  for (const [message, code] of table) {
    client.say(message)
    const { id } = message as { id: string }
    t.match(await client.answer(id), { type: 'error', id, code }, JSON.stringify(message))
  }
  client.say({ action: 'ping', id: 'still' })
  t.match(await client.answer('still'), { type: 'pong' })
  client.say({ action: 'subscribe', job_id: 'none-2', id: 'x'.repeat(129) })
  t.match(await client.hear(({ type, job_id: job }) => type === 'error' && job === 'none-2', 'an error without id'), { id: null })
  client.socket.close()
})

t.test('frames that end a socket', async t => {
  const ends = async (say: (client: Client) => void) => {
    const client = await new Client(`${url}/v1/ws?token=${worker}`).open()
    say(client)
    return { ...await client.end(), errors: client.messages.map(({ code }) => code) }
  }
  t.match(await ends(client => client.say('x'.repeat(65_537))), { code: 1009 }, 'over 64 KiB')
  t.match(await ends(client => client.socket.send(Buffer.from('{"action":"ping"}'))), { code: 4400 }, 'binary')
  t.match(await ends(client => client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false })), { code: 1007 }, 'invalid UTF-8')
  t.match(await ends(client => { for (let n = 0; n < 5; n++) client.say(n === 0 ? '['.repeat(30_000) : '{oops') }), {
    code: 4400, errors: ['too_deep', 'malformed_json', 'malformed_json', 'malformed_json', 'malformed_json']
  }, 'no JSON, again and again')
  t.match(await ends(client => { for (let n = 0; n < 300; n++) client.say({ action: 'ping' }) }), { code: 4429 }, 'too many')
  t.match(await ends(client => {
    for (let n = 0; n < 40; n++) client.socket.send('{', { fin: false })
  }), { code: 1008 }, 'too many fragments')
})

t.test('as many jobs as a socket may watch', async t => {
  for (let n = 0; n < 4; n++) await call(`${url}/v1/jobs`, 'POST', worker, { id: `many-${n}` })
  const client = await new Client(`${url}/v1/ws?token=${worker}`).open()
  for (let n = 0; n < 4; n++) client.say({ action: 'subscribe', job_id: `many-${n}`, id: `m${n}` })
  t.match(await client.answer('m2'), { type: 'ack' })
  t.match(await client.answer('m3'), { type: 'error', code: 'too_many_subscriptions' })
  client.say({ action: 'unsubscribe', job_id: 'many-0', id: 'u' })
  await client.answer('u')
  client.say({ action: 'subscribe', job_id: 'many-3', id: 'again' })
  t.match(await client.answer('again'), { type: 'ack' })
  client.socket.close()
})

t.test('a connection that says nothing sensible does not stay', async t => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GIBBERISH\r\n\r\n')
  let text = ''
  socket.on('data', chunk => { text += String(chunk) })
  await until(() => socket.closed, { what: 'the server hangs up' })
  t.match(text, /^HTTP\/1\.1 400 /)
})
