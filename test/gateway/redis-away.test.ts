// Redis away: writes say 503 and when to come back, reads of watched jobs go on from memory, nothing leaves the balancer; and
// when it is back, whoever watched is told where things stand.

import t from 'tap'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { call, Client, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

t.test('away and back', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { url, internal_url: internalUrl, gateway, engine } = await startGateway(t, redis)
  const token = await tokenOf({ scope: WORKER_SCOPES })
  await call(`${url}/v1/jobs`, 'POST', token, { id: 'watched', items_total: 2, state: 'running' })
  const client = await new Client(`${url}/?job_id=watched&token=${token}`).open()
  await client.of('job.snapshot')
  await redis.kill()

  const write = await call(`${url}/v1/jobs`, 'POST', token, { id: 'other' })
  t.match(write, { status: 503, body: { code: 'redis_unavailable' } })
  t.ok(Number(write.headers.get('retry-after')) > 0)
  const many = [{ type: 'job.heartbeat', job: 'watched' }, { type: 'job.heartbeat', job: 'other' }]
  t.match(await call(`${url}/v1/events`, 'POST', token, many), { status: 503, body: { code: 'redis_unavailable', control: { state: null } } })
  t.match(await call(`${url}/v1/tickets`, 'POST', token), { status: 503, body: { code: 'redis_unavailable' } })
  t.match(await call(`${url}/v1/jobs/watched/timeline`, 'GET', token), { status: 503, body: { code: 'redis_unavailable' } })
  t.match(await call(`${url}/v1/jobs/watched`, 'GET', token), { status: 200, body: { id: 'watched', items_total: 2 } }, 'from memory')
  t.match(await call(`${url}/v1/jobs/unwatched`, 'GET', token), { status: 503 })
  t.match(await new Client(`${url}/?job_id=unwatched&token=${token}`).refused(), { status: 503, headers: { 'retry-after': String } })
  client.say({ action: 'pause', job_id: 'watched', id: 'p' })
  t.match(await client.answer('p'), { type: 'error', code: 'redis_unavailable' })
  await until(async () => (await call(`${internalUrl}/readyz`, 'GET', null)).body['status'] === 'degraded', { what: 'degraded' })
  t.match(await call(`${internalUrl}/readyz`, 'GET', null), { status: 200 })
  t.match(await call(`${url}/livez`, 'GET', null), { status: 200 })

  const again = await startRedis({ port: redis.port })
  t.teardown(async () => {
    await gateway.stop()
    await engine.stop()
    await again.stop()
  })
  await until(async () => (await call(`${url}/v1/jobs`, 'POST', token, { id: 'new', items_total: 1 })).status < 300, { what: 'writes again', timeout_ms: 20_000, interval_ms: 100 })
  t.match(await call(`${url}/v1/jobs/watched`, 'GET', token), { status: 404 }, 'this Redis kept nothing')
  t.notOk(client.messages.some(({ code }) => code === 'unknown_job'), 'who watches it is not told so yet: its worker may send it again')
  await call(`${url}/v1/jobs`, 'POST', token, { id: 'watched', items_total: 3, state: 'running' })
  await client.hear(({ type, data }) => type === 'job.snapshot' && data['reset'] === true, 'the job anew')
  t.equal(client.closed, null)
  client.socket.close()
})
