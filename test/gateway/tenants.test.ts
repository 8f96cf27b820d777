// H10: nothing of one tenant is visible to, or changeable by, another; and what is foreign is exactly like what is absent.

import t from 'tap'
import { call, Client, privateRedis, type Reply, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

const redis = await privateRedis(t)
const { url } = await startGateway(t, redis)
const mine = await tokenOf({ tenant: 'acme', scope: WORKER_SCOPES })
const theirs = await tokenOf({ tenant: 'rival', scope: WORKER_SCOPES })

/** Every call on a job. */
const CALLS: [string, string, unknown][] = [
  ['GET', '', undefined],
  ['GET', '/items', undefined],
  ['GET', '/items?state=completed', undefined],
  ['GET', '/timeline', undefined],
  ['GET', '/events', undefined],
  ['POST', '/state', { state: 'failed' }],
  ['POST', '/control', { action: 'cancel' }],
  ['POST', '/progress', { items_completed: 9 }],
  ['POST', '/heartbeat', { worker: 'w' }],
  ['PUT', '/items/i1', { state: 'failed' }]
]

t.before(async () => {
  await call(`${url}/v1/jobs`, 'POST', mine, { id: 'mine', items_total: 10, state: 'running', title: 'private' })
  await call(`${url}/v1/jobs/mine/items/i1`, 'PUT', mine, { state: 'completed' })
})

/** What an outsider can compare: everything but the name that he gave himself. */
function shape ({ status, body, headers }: Reply, id: string) {
  return { status, body: JSON.stringify(body).replaceAll(id, '<id>'), type: headers.get('content-type'), retry: headers.get('retry-after') }
}

t.test('by HTTP a foreign job is like an absent one, on every route', async t => {
  for (const [method, path, body] of CALLS) {
    const foreign = await call(`${url}/v1/jobs/mine${path}`, method, theirs, body)
    const absent = await call(`${url}/v1/jobs/none${path}`, method, theirs, body)
    t.equal(foreign.status, 404, `${method} ${path}`)
    t.same(shape(foreign, 'mine'), shape(absent, 'none'))
  }
  t.match(await call(`${url}/v1/jobs`, 'GET', theirs), { status: 200, body: { data: [], next_cursor: null } })
  t.match(await call(`${url}/v1/jobs/mine`, 'GET', mine), { body: { state: 'running', items_completed: 1, items_failed: 0 } }, 'untouched')
})

t.test('nor by many events at once, a ticket, or another tenant\'s Idempotency-Key', async t => {
  const update = (job: string) => [{ type: 'item.update', job, data: { id: 'i1', state: 'failed' } }]
  const [foreign, absent] = [await call(`${url}/v1/events`, 'POST', theirs, update('mine')), await call(`${url}/v1/events`, 'POST', theirs, update('none'))]
  t.match(foreign.body, { accepted: 0, rejected: [{ code: 'unknown_job' }], jobs: {} })
  t.same(shape(foreign, 'mine'), shape(absent, 'none'))
  t.match(await call(`${url}/v1/events`, 'POST', theirs, update('mine').map(event => ({ ...event, tenant: 'acme' }))), { body: { rejected: [{ code: 'forbidden' }] } })

  const { body: { ticket } } = await call(`${url}/v1/tickets`, 'POST', theirs)
  t.match(await new Client(`${url}/?job_id=mine&ticket=${String(ticket)}`).refused(), { status: 404 })

  const register = async (token: string, body: string) => await fetch(`${url}/v1/jobs`, {
    method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': 'shared' }
  })
  t.equal((await register(mine, '{"id":"keyed","title":"private"}')).status, 201)
  const other = await register(theirs, '{"id":"keyed-theirs"}')
  t.equal(other.status, 201)
  t.notMatch(await other.text(), /private/)
  t.match(await call(`${url}/v1/jobs/mine`, 'GET', mine), { body: { items_completed: 1, items_failed: 0 } }, 'untouched')
})

t.test('by socket too', async t => {
  const foreign = await new Client(`${url}/?job_id=mine&token=${theirs}`).refused()
  const absent = await new Client(`${url}/?job_id=none&token=${theirs}`).refused()
  t.equal(foreign.status, 404)
  t.equal(JSON.stringify(foreign.body).replaceAll('mine', '<id>'), JSON.stringify(absent.body).replaceAll('none', '<id>'))
  const client = await new Client(`${url}/v1/ws?token=${theirs}`).open()
  for (const action of ['subscribe', 'pause', 'resume', 'cancel']) {
    for (const job of ['mine', 'none']) client.say({ action, job_id: job, id: `${action}-${job}` })
    const [one, other] = [await client.answer(`${action}-mine`), await client.answer(`${action}-none`)]
    t.match(one, { type: 'error', code: 'unknown_job' })
    t.equal(JSON.stringify(one).replaceAll('mine', '<id>'), JSON.stringify(other).replaceAll('none', '<id>'))
  }
  client.socket.close()
})

t.test('the same id in two tenants is two jobs, also for sockets of one gateway', async t => {
  await call(`${url}/v1/jobs`, 'POST', theirs, { id: 'mine', items_total: 3, title: 'theirs' })
  const [one, other] = [await new Client(`${url}/?job_id=mine&token=${mine}`).open(), await new Client(`${url}/?job_id=mine&token=${theirs}`).open()]
  t.match(await one.of('job.snapshot'), { data: { job: { title: 'private', tenant_id: 'acme' } } })
  t.match(await other.of('job.snapshot'), { data: { job: { title: 'theirs', tenant_id: 'rival' } } })
  await call(`${url}/v1/jobs/mine/items/only-theirs`, 'PUT', theirs, { state: 'completed' })
  await other.of('video.completed')
  await call(`${url}/v1/jobs/mine/items/only-mine`, 'PUT', mine, { state: 'completed' })
  await one.of('video.completed')
  t.notMatch(JSON.stringify(one.messages), /only-theirs|rival/)
  t.notMatch(JSON.stringify(other.messages), /only-mine|acme|private/)
  one.socket.close()
  other.socket.close()
})

t.test('a socket stays with its tenant', async t => {
  const client = await new Client(`${url}/v1/ws?token=${mine}`).open()
  client.say({ action: 'authenticate', token: theirs, id: 'a' })
  t.match(await client.answer('a'), { type: 'error', code: 'forbidden' })
  client.say({ action: 'subscribe', job_id: 'mine', id: 's' })
  t.match(await client.of('job.snapshot'), { data: { job: { tenant_id: 'acme' } } })
  client.socket.close()
})
