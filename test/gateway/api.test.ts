// The HTTP interface beyond single calls: many events at once, keys that make a repeat harmless, tickets, pages, methods, quotas.

import t from 'tap'
import { createQuota } from '../../src/gateway/quotas.ts'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES, type Reply } from './support.ts'

const redis = await privateRedis(t)
const running = await startGateway(t, redis)
const { url, engine } = running
const other = await startGateway(t, redis, { HEADWAY_PREFIX: engine.keys.prefix })
const worker = await tokenOf({ scope: WORKER_SCOPES })
const user = await tokenOf()

async function send (path: string, { body = '', token = worker, ...headers }: Record<string, string> = {}, method = 'POST'): Promise<Reply> {
  const response = await fetch(url + path, {
    method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers }, body
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) }
}

t.test('many events at once: each is judged by itself', async t => {
  const events = [
    { type: 'job.register', job: 'many', data: { items_total: 3, state: 'running' } },
    { type: 'item.update', job: 'many', data: { id: 'a', state: 'completed' } },
    { type: 'item.update', job: 'none', data: { id: 'a', state: 'completed' } },
    { type: 'job.control', job: 'many', data: { action: 'cancel' } },
    { type: 'item.update', job: 'many', data: { id: 'b', percent_complete: 200 } },
    'no object',
    { type: 'item.update', job: 'many', tenant: 'rival', data: { id: 'x' } },
    { type: 'job.state', job: 'many', data: { state: 'paused' } },
    { type: 'item.update', job: 'many', data: { id: 'b', state: 'failed', error: 'x'.repeat(20_000) } },
    { type: 'job.heartbeat', job: 'many' }
  ]
  const reply = await call(`${url}/v1/events`, 'POST', worker, events)
  t.equal(reply.status, 200)
  t.equal(reply.body['accepted'], 4)
  t.match(reply.body['rejected'], [
    { index: 2, code: 'unknown_job' },
    { index: 3, code: 'invalid_field' },
    { index: 4, code: 'invalid_field', detail: /percent_complete/ },
    { index: 5, code: 'invalid_field' },
    { index: 6, code: 'forbidden' },
    { index: 7, code: 'invalid_transition', allowed: ['pausing', 'completing', 'completed', 'canceling', 'failed'] }
  ])
  t.same(reply.body['jobs'], { many: { state: 'running', request_id: null } })
  t.same(reply.body['control'], { state: null, request_id: null }, 'of several jobs')
  t.match((await call(`${url}/v1/jobs/many`, 'GET', user)).body, { state: 'running', items_completed: 1, items_failed: 1 })
})

t.test('a thousand lines of JSON, in order, with the one bad line told', async t => {
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'lines', items_total: 998, state: 'running' })
  const { body: { request_id: requestId } } = await call(`${url}/v1/jobs/lines/control`, 'POST', worker, { action: 'pause' })
  const lines = Array.from({ length: 998 }, (_, n) => JSON.stringify({ type: 'item.update', job: 'lines', data: { id: `i${n}`, state: 'completed', title: 'x'.repeat(300) } }))
  lines.splice(500, 0, '{"type":', '['.repeat(50))
  const reply = await send('/v1/events', { body: lines.join('\n') + '\n\n', 'content-type': 'application/x-ndjson' })
  t.match(reply, {
    status: 200,
    body: {
      accepted: 998,
      rejected: [{ index: 500, code: 'malformed_json' }, { index: 501, code: 'too_deep' }],
      control: { state: 'pausing', request_id: requestId }
    }
  })
  t.match((await call(`${url}/v1/jobs/lines`, 'GET', user)).body, { items_completed: 998, seq: 999 })
  const first = await call(`${url}/v1/jobs/lines/items?limit=500`, 'GET', user)
  t.same((first.body['data'] as { id: string }[]).map(({ id }) => id), Array.from({ length: 500 }, (_, n) => `i${n}`))

  t.match(await send('/v1/events', { body: '[]' }), { status: 400, body: { code: 'invalid_field', control: { state: null } } })
  t.match(await send('/v1/events', { body: JSON.stringify(Array(1001).fill(0)) }), { status: 400 })
  t.match(await send('/v1/events', { body: '\n \n', 'content-type': 'application/x-ndjson' }), { status: 400 })
  t.match(await send('/v1/jobs', { body: '{"id":"x"}', 'content-type': 'application/x-ndjson' }), { status: 415 }, 'lines are for events only')
  t.match(await send('/v1/events', { body: '[{}]', token: user }), { status: 403 })
})

t.test('events whose partition does not answer', async t => {
  const { partition } = engine.keys.job('acme', 'split')
  const elsewhere = Array.from({ length: 50 }, (_, n) => `there-${n}`).find(id => engine.keys.job('acme', id).partition !== partition) ?? ''
  for (const id of ['split', elsewhere]) await call(`${url}/v1/jobs`, 'POST', worker, { id })
  const { ingest } = engine.keys.partition(partition)
  const command = engine.connections.command
  await command.rename(ingest, `${ingest}-away`)
  await command.set(ingest, 'no stream')
  const progress = (job: string) => ({ type: 'job.progress', job, data: { items_completed: 1 } })
  const both = await call(`${url}/v1/events`, 'POST', worker, [progress('split'), progress(elsewhere), progress('split')])
  const one = await call(`${url}/v1/events`, 'POST', worker, [progress('split')])
  await command.del(ingest)
  await command.rename(`${ingest}-away`, ingest)
  t.match(both, { status: 200, body: { accepted: 1, rejected: [{ index: 0, code: 'redis_unavailable' }, { index: 2, code: 'redis_unavailable' }] } })
  t.match(one, { status: 503, body: { code: 'redis_unavailable' } })
})

t.test('a repeat under the same key has the first one\'s answer and no second effect, on any gateway', async t => {
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'once', state: 'running', items_total: 2 })
  const first = await send('/v1/jobs/once/control', { body: '{"action":"pause"}', 'idempotency-key': 'k-1' })
  await send('/v1/jobs/once/control', { body: '{"action":"resume"}' })
  const again = await fetch(`${other.url}/v1/jobs/once/control`, {
    method: 'POST', body: '{"action":"pause"}', headers: { authorization: `Bearer ${worker}`, 'content-type': 'application/json', 'idempotency-key': 'k-1' }
  })
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.same(await again.json(), first.body)
  t.match(again.headers.get('content-type'), /^application\/json/)
  t.equal(first.headers.get('idempotency-replayed'), null)
  t.match((await call(`${url}/v1/jobs/once`, 'GET', user)).body, { state: 'running' }, 'the pause was not repeated')

  const registered = await send('/v1/jobs', { body: '{"id":"once-2"}', 'idempotency-key': 'k-2' })
  const repeated = await send('/v1/jobs', { body: '{"id":"once-2"}', 'idempotency-key': 'k-2' })
  t.match(repeated, { status: 201, body: registered.body })
  t.equal(repeated.headers.get('location'), '/v1/jobs/once-2')

  t.match(await send('/v1/jobs', { body: '{"id":"once-3"}', 'idempotency-key': 'k-2' }), { status: 422, body: { code: 'idempotency_mismatch' } })
  t.match(await send('/v1/jobs', { body: '{"id":"once-2"}', 'idempotency-key': 'k-2', token: await tokenOf({ tenant: 'rival', scope: WORKER_SCOPES }) }),
    { status: 201, body: { effect: 'applied' } }, 'keys are the tenant\'s own')
  for (const key of ['', 'with space', 'x'.repeat(256)]) {
    t.match(await send('/v1/jobs', { body: '{"id":"once-4"}', 'idempotency-key': key }), { status: 400, body: { code: 'invalid_field' } }, `key ${key.slice(0, 12)}`)
  }
  t.ok((await engine.connections.command.pttl(engine.keys.idempotent('acme', 'k-1'))) > 23 * 3_600_000, 'it is kept for a day')
})

t.test('a repeat while the first is under way, and after it failed', async t => {
  const begun = await engine.beginOnce('acme', 'k/{3}', 'whatever')
  t.equal(begun.word, 'begun')
  t.match(await engine.beginOnce('acme', 'k/{3}', 'whatever'), { word: 'busy' })
  t.match(await engine.beginOnce('acme', 'k/{3}', 'else'), { word: 'other' })
  if (begun.word !== 'begun') return
  await begun.forget()
  const next = await engine.beginOnce('acme', 'k/{3}', 'whatever')
  t.equal(next.word, 'begun')
  await begun.keep('late')
  t.match(await engine.beginOnce('acme', 'k/{3}', 'whatever'), { word: 'busy' }, 'who lost the key keeps nothing')

  const refused = await send('/v1/jobs/nobody/state', { body: '{"state":"running"}', 'idempotency-key': 'k-4' })
  t.match(refused, { status: 404, body: { code: 'unknown_job' } })
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'nobody' })
  t.match(await send('/v1/jobs/nobody/state', { body: '{"state":"running"}', 'idempotency-key': 'k-4' }), { status: 404 }, 'a refusal is an answer')
  t.match(await send('/v1/jobs/nobody/state', { body: '{"state":"flying"}', 'idempotency-key': 'k-5' }), { status: 400 })
  t.match(await send('/v1/jobs/nobody/state', { body: '{"state":"running"}', 'idempotency-key': 'k-5' }), { status: 200 }, 'a bad form is none')
})

t.test('a ticket opens one socket or one stream, for its tenant and page', async t => {
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'seen', state: 'running' })
  const ticketOf = async (headers: Record<string, string> = {}): Promise<string> => {
    const { status, body } = await send('/v1/tickets', { token: user, body: '{}', ...headers })
    t.match([status, body['expires_in_ms']], [201, 30_000])
    return body['ticket'] as string
  }
  const ticket = await ticketOf()
  const client = await new Client(`${url}/?job_id=seen&ticket=${ticket}`).open()
  t.match((await client.of('job.snapshot')).data, { job: { tenant_id: 'acme' } })
  client.say({ action: 'pause', job_id: 'seen', id: 'p' })
  t.match(await client.answer('p'), { type: 'ack' }, 'with the token\'s scopes')
  client.socket.close()
  t.match(await new Client(`${url}/?job_id=seen&ticket=${ticket}`).refused(), { status: 401, body: { code: 'unauthorized' } }, 'once')

  const stream = await fetch(`${other.url}/v1/jobs/seen/events?ticket=${await ticketOf()}`)
  t.equal(stream.status, 200)
  t.equal(stream.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  await stream.body?.cancel()
  t.match(await call(`${url}/v1/jobs/seen/events?ticket=none`, 'GET', null), { status: 401 })
  t.match(await call(`${url}/v1/jobs/seen/events`, 'GET', null), { status: 401 })

  const own = { origin: url }
  const from = async (ticket: string, origin: string) => (await fetch(`${url}/v1/jobs/seen/events?ticket=${ticket}`, { headers: { origin } })).status
  t.equal(await from(await ticketOf(own), 'http://evil.example'), 403)
  t.equal(await from(await ticketOf({ origin: 'http://evil.example' }), url), 401, 'only the page that asked for it')
  t.match(await new Client(`${url}/?job_id=seen&ticket=${await ticketOf(own)}`, [], { origin: url }).open(), {})
  t.ok((await engine.connections.command.pttl(engine.keys.ticket(await ticketOf()))) <= 30_000)

  const bare = await fetch(`${url}/v1/tickets`, { method: 'POST', headers: { authorization: `Bearer ${user}` } })
  t.equal(bare.status, 201, 'no body is needed')
  t.equal(bare.headers.get('cache-control'), 'no-store')
})

t.test('the timeline by pages, and where it does not reach back', async t => {
  const short = await startGateway(t, redis, { HEADWAY_LOG_EVENTS_MAX: '40' })
  await call(`${short.url}/v1/jobs`, 'POST', worker, { id: 'told', state: 'running', items_total: 300 })
  const add = async (from: number, count: number): Promise<void> => {
    const events = Array.from({ length: count }, (_, n) => ({ type: 'item.update', job: 'told', data: { id: `i${from + n}`, state: 'completed' } }))
    t.match(await call(`${short.url}/v1/events`, 'POST', worker, events), { body: { accepted: count } })
  }
  await add(0, 20)
  const walk = async (query: string): Promise<{ seqs: number[], truncated: unknown, pages: number }> => {
    const seqs: number[] = []
    let truncated: unknown
    let pages = 0
    for (let next: unknown = ''; next !== null; pages++) {
      const page = await call(`${short.url}/v1/jobs/told/timeline?${query}${next === '' ? '' : `&cursor=${String(next)}`}`, 'GET', user)
      t.equal(page.status, 200)
      truncated ??= page.body['truncated']
      seqs.push(...(page.body['data'] as { seq: number }[]).map(({ seq }) => seq))
      next = page.body['next_cursor']
    }
    return { seqs, truncated, pages }
  }
  const whole = await walk('limit=7')
  t.same(whole, { seqs: Array.from({ length: 20 }, (_, n) => n + 1), truncated: false, pages: 3 })
  const page = await call(`${short.url}/v1/jobs/told/timeline?limit=2`, 'GET', user)
  t.match(page.body['data'], [
    { type: 'video.completed', job_id: 'told', seq: 1, data: { id: 'i0', state: 'completed' } },
    { type: 'video.completed', seq: 2, data: { id: 'i1' } }
  ])
  for (let n = 1; n < 10; n++) await add(20 * n, 20)
  const late = await walk('')
  t.equal(late.truncated, true)
  t.equal(late.seqs.at(-1), 200)
  t.same(late.seqs, Array.from({ length: late.seqs.length }, (_, n) => 201 - late.seqs.length + n), 'what there is, without a hole')
  t.ok(late.seqs.length >= 20 && late.seqs.length <= 60)
  const past = await call(`${short.url}/v1/jobs/told/timeline?cursor=1.190`, 'GET', user)
  t.match(past.body, { truncated: true, data: [{ seq: late.seqs[0] }] }, 'a position of another history')
  const end = await call(`${short.url}/v1/jobs/told/timeline?cursor=${String((await call(`${short.url}/v1/jobs/told`, 'GET', user)).body['epoch'])}.200`, 'GET', user)
  t.same(end.body, { data: [], next_cursor: null, truncated: false })
  t.match(await call(`${short.url}/v1/jobs/told/timeline?cursor=x`, 'GET', user), { status: 400, body: { code: 'invalid_cursor' } })
  t.match(await call(`${short.url}/v1/jobs/nothing/timeline`, 'GET', user), { status: 404, body: { code: 'unknown_job' } })
})

t.test('methods that an address does not know', async t => {
  const table: [string, string, string][] = [
    ['DELETE', '/v1/jobs/j', 'GET, HEAD'],
    ['PATCH', '/v1/jobs', 'GET, HEAD, POST'],
    ['POST', '/v1/jobs/j/items/i', 'PUT'],
    ['DELETE', '/v1/events', 'GET, POST'],
    ['GET', '/v1/tickets', 'POST'],
    ['POST', '/livez', 'GET, HEAD']
  ]
  for (const [method, path, allow] of table) {
    const reply = await call(url + path, method, null)
    t.match(reply, { status: 405, body: { code: 'method_not_allowed' } }, `${method} ${path}`)
    t.same(reply.headers.get('allow')?.split(', ').sort(), allow.split(', '), `${method} ${path}`)
  }
})

t.test('browsers of listed origins may send keys and read where to go on', async t => {
  const { url } = await startGateway(t, redis, { HEADWAY_ALLOWED_ORIGINS: 'https://app.example' })
  const asked = await fetch(`${url}/v1/events`, { method: 'OPTIONS', headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' } })
  t.equal(asked.status, 204)
  t.equal(asked.headers.get('access-control-allow-origin'), 'https://app.example')
  for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id']) t.match(asked.headers.get('access-control-allow-headers'), name)
  t.equal((await fetch(`${url}/v1/events`, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } })).status, 403)
  const refused = await fetch(`${url}/v1/jobs`, { headers: { origin: 'https://app.example' } })
  t.equal(refused.status, 401)
  t.equal(refused.headers.get('access-control-allow-origin'), 'https://app.example', 'so that the page can read why')
  t.match(refused.headers.get('access-control-expose-headers'), 'idempotency-replayed')
})

t.test('a tenant that asks too much is held back, and only it', async t => {
  let now = 0
  const quota = createQuota({ of: 'events', setting: 'HEADWAY_X', per_s: 10, burst: 20, now: () => now })
  quota.take('acme', 20)
  t.throws(() => quota.take('acme'), { code: 'too_many_requests', message: /10 events a second.*HEADWAY_X/ })
  quota.take('rival', 20)
  now += 500
  quota.take('acme', 5)
  t.throws(() => quota.take('acme', 1))
  for (let n = 0; n < 10_000; n++) quota.take(`t${n}`)
  quota.take('acme', 20)

  const { url } = await startGateway(t, redis, { HEADWAY_TENANT_REQUESTS_PER_S: '2', HEADWAY_TENANT_EVENTS_PER_S: '1' })
  const heard = await Promise.all(Array.from({ length: 20 }, () => call(`${url}/v1/jobs`, 'GET', user)))
  const held = heard.filter(({ status }) => status === 429)
  t.ok(held.length > 0 && held.length < 20)
  t.match(held[0]?.body, { code: 'too_many_requests' })
  t.equal(held[0]?.headers.get('retry-after'), '1')
  const rival = await tokenOf({ tenant: 'rival', scope: WORKER_SCOPES })
  const beat = { type: 'job.heartbeat', job: 'nobody' }
  t.match(await call(`${url}/v1/events`, 'POST', rival, Array(1000).fill(beat)), { status: 200 })
  t.match(await call(`${url}/v1/events`, 'POST', rival, Array(900).fill(beat)), { status: 429, body: { code: 'too_many_requests' } })
})
