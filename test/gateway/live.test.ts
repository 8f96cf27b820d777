// A job's way from a worker's call to the sockets that watch it.

import t from 'tap'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

const redis = await privateRedis(t)
const { url, internal_url: internalUrl } = await startGateway(t, redis, { HEADWAY_PROGRESS_INTERVAL_MS: '0' })
const worker = await tokenOf({ scope: WORKER_SCOPES })
const user = await tokenOf()

t.test('the source document\'s flow', async t => {
  const registered = await call(`${url}/v1/jobs`, 'POST', worker, { id: 'job_123', items_total: 2, title: 'Videos' })
  t.match(registered, { status: 201, body: { effect: 'applied', control: { state: 'pending', request_id: null }, job: { id: 'job_123', title: 'Videos' } } })
  t.equal(registered.headers.get('location'), '/v1/jobs/job_123')
  t.match(await call(`${url}/v1/jobs`, 'POST', worker, { id: 'job_123', items_total: 2, title: 'Videos' }), { status: 200, body: { effect: 'repeat' } })

  const client = await new Client(`${url}/?job_id=job_123&token=${user}`).open()
  t.match(await client.of('job.snapshot'), { seq: 0, data: { reset: false, job: { state: 'pending', items_pending: 2 }, items: [] } })

  await call(`${url}/v1/jobs/job_123/state`, 'POST', worker, { state: 'running', reason: 'worker_assigned' })
  for (const item of ['vid_001', 'vid_002']) {
    await call(`${url}/v1/jobs/job_123/items/${item}`, 'PUT', worker, { state: 'processing', title: item })
    const done = await call(`${url}/v1/jobs/job_123/items/${item}`, 'PUT', worker, { id: item, state: 'completed' })
    t.match(done, { status: 200, body: { effect: 'applied', control: { state: 'running', request_id: null } } })
  }
  await call(`${url}/v1/jobs/job_123/state`, 'POST', worker, { state: 'completed', reason: 'all_items_processed' })
  const final = await client.of('job.completed')
  t.match(final.data, { state: 'completed', reason: 'all_items_processed', items_completed: 2, percent_complete: 100 })

  const logged = client.messages.filter(({ type }) => type !== 'job.snapshot' && type !== 'job.progress')
  t.same(logged.map(({ type }) => type), ['job.state_changed', 'video.started', 'video.completed', 'video.started', 'video.completed', 'job.state_changed', 'job.completed'])
  t.same(logged.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7])
  t.equal(client.messages.at(-1)?.type, 'job.completed', 'nothing follows the end')
  t.match(logged[0]?.data, { prior_state: 'pending', new_state: 'running', reason: 'worker_assigned' })
  t.ok(client.messages.some(({ type, data }) => type === 'job.progress' && data['percent_complete'] === 50))
  client.socket.close()
})

t.test('several jobs on one socket, and leaving one', async t => {
  for (const id of ['a', 'b', 'c']) await call(`${url}/v1/jobs`, 'POST', worker, { id, items_total: 1, state: 'running' })
  const client = await new Client(`${url}/v1/ws`, ['headway.v1', `bearer.${user}`]).open()
  t.equal(client.socket.protocol, 'headway.v1')
  for (const id of ['a', 'b', 'c']) client.say({ action: 'subscribe', job_id: id, id: `s-${id}`, hint: 'ignored' })
  for (const id of ['a', 'b', 'c']) t.match(await client.answer(`s-${id}`), { type: 'ack', action: 'subscribe', job_id: id })
  const order = client.messages.filter(({ job_id: job }) => job === 'a').map(({ type }) => type)
  t.same(order, ['ack', 'job.snapshot'])
  client.say({ action: 'unsubscribe', job_id: 'b', id: 'u' })
  await client.answer('u')
  for (const id of ['a', 'b', 'c']) await call(`${url}/v1/jobs/${id}/state`, 'POST', worker, { state: 'failed', reason: id })
  await client.hear(({ type, job_id: job }) => type === 'job.failed' && job === 'c', 'the end of c')
  await client.hear(({ type, job_id: job }) => type === 'job.failed' && job === 'a', 'the end of a')
  t.notOk(client.messages.some(({ type, job_id: job }) => type === 'job.failed' && job === 'b'))
  client.say({ action: 'subscribe', job_id: 'a', id: 's-again' })
  t.match(await client.answer('s-again'), { type: 'ack' })
  t.match(await client.hear(({ type, data }) => type === 'job.snapshot' && (data['job'] as { state: string }).state === 'failed', 'a fresh snapshot'), { job_id: 'a' })
  client.say({ action: 'subscribe', job_id: 'absent', id: 's-absent' })
  t.match(await client.answer('s-absent'), { type: 'error', code: 'unknown_job', job_id: 'absent' })
  client.socket.close()
})

t.test('control by socket and by HTTP', async t => {
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'ctl', items_total: 3, state: 'running' })
  await call(`${url}/v1/jobs/ctl/items/1`, 'PUT', worker, { state: 'processing' })
  const client = await new Client(`${url}/?job_id=ctl`, [], { authorization: `Bearer ${user}` }).open()
  client.say({ action: 'pause', job_id: 'ctl', reason: 'lunch', id: 'p1' })
  const ack = await client.answer('p1')
  t.match(ack, { type: 'ack', action: 'pause', job_id: 'ctl', data: { effect: 'applied', state: 'pausing', request_id: String } })
  t.match(await client.of('job.state_changed'), { correlation_id: 'p1', data: { prior_state: 'running', new_state: 'pausing', reason: 'lunch' } })
  const requestId = (ack.data as { request_id: string }).request_id

  const said = await call(`${url}/v1/jobs/ctl/state`, 'POST', worker, { state: 'running' })
  t.match(said.body, { effect: 'ignored', control: { state: 'pausing', request_id: requestId } }, 'a routine running undoes nothing')
  const refused = await call(`${url}/v1/jobs/ctl/state`, 'POST', worker, { state: 'pending' })
  t.match(refused, { status: 409, body: { code: 'invalid_transition', control: { state: 'pausing', request_id: requestId } } })
  t.ok(Array.isArray(refused.body['allowed']) && refused.body['allowed'].length > 0)
  t.equal(refused.headers.get('content-type'), 'application/problem+json; charset=utf-8')

  const seen = await call(`${url}/v1/jobs/ctl/heartbeat`, 'POST', worker, { ack: requestId, worker: 'w1' })
  t.match(seen.body, { control: { state: 'pausing', request_id: null } })
  t.match(await call(`${url}/v1/jobs/ctl/state`, 'POST', worker, { state: 'paused' }), { body: { effect: 'applied' } })
  t.match(await call(`${url}/v1/jobs/ctl/control`, 'POST', user, { action: 'resume' }), { status: 200, body: { state: 'running', effect: 'applied' } })
  t.match(await call(`${url}/v1/jobs/ctl/control`, 'POST', user, { action: 'cancel', reason: 'enough' }), { body: { state: 'canceling' } })
  const late = await call(`${url}/v1/jobs/ctl/control`, 'POST', user, { action: 'pause' })
  t.match(late, { status: 409, body: { code: 'invalid_transition', allowed: Array } })
  client.say({ action: 'resume', job_id: 'ctl', id: 'r1' })
  t.match(await client.answer('r1'), { type: 'error', code: 'invalid_transition', allowed: Array })
  client.socket.close()
})

t.test('waiting for a job that is not there yet', async t => {
  t.match(await new Client(`${url}/?job_id=later&token=${user}`).refused(), { status: 404, body: { code: 'unknown_job' } })
  const client = await new Client(`${url}/?job_id=later&token=${user}&wait_ms=20000`).open()
  const brief = await new Client(`${url}/?job_id=never&token=${user}&wait_ms=100`).open()
  t.match(await brief.of('error'), { code: 'unknown_job', job_id: 'never' })
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'later', items_total: 1 })
  t.match(await client.of('job.snapshot'), { data: { job: { id: 'later', state: 'pending' } } })
  client.socket.close()
  brief.socket.close()
})

t.test('lists and items by pages', async t => {
  // One partition: the order of registration across partitions is that of their clocks.
  const { url } = await startGateway(t, redis, { HEADWAY_PARTITIONS: '1' })
  const token = await tokenOf({ tenant: 'lister', scope: WORKER_SCOPES })
  for (let n = 0; n < 5; n++) await call(`${url}/v1/jobs`, 'POST', token, { id: `list-${n}`, state: n % 2 ? 'running' : 'pending' })
  const first = await call(`${url}/v1/jobs?limit=2`, 'GET', token)
  const data = (reply: typeof first) => (reply.body['data'] as { id: string }[]).map(({ id }) => id)
  t.same(data(first), ['list-4', 'list-3'], 'newest first')
  const second = await call(`${url}/v1/jobs?limit=2&cursor=${encodeURIComponent(String(first.body['next_cursor']))}`, 'GET', token)
  t.same(data(second), ['list-2', 'list-1'])
  t.same(data(await call(`${url}/v1/jobs?state=running`, 'GET', token)), ['list-3', 'list-1'])
  for (let n = 0; n < 3; n++) await call(`${url}/v1/jobs/list-1/items/i${n}`, 'PUT', token, { state: n === 1 ? 'failed' : 'completed' })
  t.same(data(await call(`${url}/v1/jobs/list-1/items`, 'GET', token)), ['i0', 'i1', 'i2'])
  t.same(data(await call(`${url}/v1/jobs/list-1/items?state=failed`, 'GET', token)), ['i1'])
  t.match(await call(`${url}/v1/jobs?limit=501`, 'GET', token), { status: 400, body: { code: 'invalid_field' } })
  t.match(await call(`${url}/v1/jobs?state=flying`, 'GET', token), { status: 400, body: { code: 'invalid_field' } })
  t.match(await call(`${url}/v1/jobs?cursor=%00nonsense`, 'GET', token), { status: 400 })
})

t.test('probes on both ports', async t => {
  for (const base of [url, internalUrl]) {
    for (const path of ['/livez', '/readyz', '/healthz', '/startupz']) t.match(await call(base + path, 'GET', null), { status: 200, body: { status: 'ok' } }, path)
  }
  t.match(await call(`${internalUrl}/v1/jobs`, 'GET', user), { status: 404 })
})

t.test('ping, and a gateway that stops tells when to come back', async t => {
  const other = await startGateway(t, redis)
  const client = await new Client(`${other.url}/v1/ws?token=${user}`).open()
  client.say({ action: 'ping', id: 'x' })
  t.match(await client.answer('x'), { type: 'pong', ts: String })
  await other.gateway.stop()
  const { code, reason } = await client.end()
  t.equal(code, 1012)
  t.ok((JSON.parse(reason) as { reconnect_after_ms: number }).reconnect_after_ms > 0)
  await until(() => fetch(other.url).then(() => false, () => true), { what: 'the port is closed' })
})
