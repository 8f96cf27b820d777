// Workers that fall silent, from the worker's last word to what a watcher sees: H14 and H15 end to end, through HTTP and a socket.

import t from 'tap'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

// Each waits for a clock of its own.
t.jobs = 3
const redis = await privateRedis(t)
const worker = await tokenOf({ scope: WORKER_SCOPES })
const user = await tokenOf({ scope: 'jobs:read jobs:control' })

/** A running job with an item in process, and somebody who watches it. */
async function setUp (t: Parameters<typeof startGateway>[0], env: Record<string, string>) {
  const { url } = await startGateway(t, redis, env)
  const job = `${url}/v1/jobs/j`
  await call(`${url}/v1/jobs`, 'POST', worker, { id: 'j', items_total: 2, state: 'running' })
  await call(`${job}/items/a`, 'PUT', worker, { state: 'processing' })
  const client = await new Client(`${url}/?job_id=j&token=${user}`).open()
  t.teardown(() => { client.socket.close() })
  await client.of('job.snapshot')
  return { url, job, client }
}

async function heartbeat (url: string, data: Record<string, unknown> = {}): Promise<void> {
  t.equal((await call(`${url}/v1/jobs/j/heartbeat`, 'POST', worker, data)).status, 200)
}

t.test('a worker that sent heartbeats and falls silent: stalled, and recovered with its next word', async t => {
  const { url, job, client } = await setUp(t, { HEADWAY_STALL_AFTER_MS: '400' })
  await heartbeat(url)
  const stalled = await client.of('job.stalled')
  t.match((await call(job, 'GET', user)).body, { state: 'running', stalled: true }, 'it never ends a job')
  await heartbeat(url)
  const recovered = await client.of('job.recovered')
  t.equal(recovered.seq, stalled.seq + 1)
  await client.hear(({ type, seq }) => type === 'job.stalled' && seq > recovered.seq, 'stalled again')
})

t.test('a job whose worker never sent a heartbeat is not called stalled', async t => {
  const { job, client } = await setUp(t, { HEADWAY_STALL_AFTER_MS: '100', HEADWAY_ABANDON_AFTER_MS: '1500' })
  t.match((await client.of('job.failed')).data, { state: 'failed', reason: 'abandoned' }, 'but it does not run for ever')
  t.notOk(client.messages.some(({ type }) => type === 'job.stalled'))
  t.match((await call(job, 'GET', user)).body, { state: 'failed' })
})

t.test('a pause that nobody acknowledges is forced', async t => {
  const { url, client } = await setUp(t, { HEADWAY_CONTROL_TIMEOUT_MS: '400' })
  client.say({ action: 'pause', job_id: 'j', id: 'p' })
  t.match(await client.answer('p'), { type: 'ack', data: { state: 'pausing' } })
  const changes = () => client.messages.filter(({ type }) => type === 'job.state_changed').map(({ data }) => data)
  await client.hear(({ type, data }) => type === 'job.state_changed' && data['new_state'] === 'paused', 'paused')
  t.match(changes(), [{ new_state: 'pausing', forced: false }, { prior_state: 'pausing', new_state: 'paused', forced: true }])
  const late = await call(`${url}/v1/jobs/j/state`, 'POST', worker, { state: 'running' })
  t.match(late.body, { control: { state: 'paused' } }, 'a routine report undoes nothing')
})

t.test('a pause that is acknowledged waits for the worker, and is forced when the worker falls silent', async t => {
  const { url, client } = await setUp(t, { HEADWAY_CONTROL_TIMEOUT_MS: '700' })
  client.say({ action: 'cancel', job_id: 'j', id: 'c' })
  const { data } = await client.answer('c')
  await heartbeat(url, { ack: data['request_id'] })
  const acknowledgedAt = client.messages.length
  t.match((await call(`${url}/v1/jobs/j`, 'GET', user)).body, { state: 'canceling', control: { acknowledged: true } })
  const canceled = await client.hear(({ type }) => type === 'job.canceled', 'canceled')
  t.ok(client.messages.indexOf(canceled) >= acknowledgedAt)
  t.match(client.messages.filter(({ type }) => type === 'job.state_changed').at(-1)?.data, { new_state: 'canceled', forced: true })
})

t.test('a worker that does as it is told is not forced', async t => {
  const { url, job, client } = await setUp(t, { HEADWAY_CONTROL_TIMEOUT_MS: '60000' })
  client.say({ action: 'pause', job_id: 'j', id: 'p' })
  const { data } = await client.answer('p')
  await heartbeat(url, { ack: data['request_id'] })
  await call(`${job}/items/a`, 'PUT', worker, { state: 'completed' })
  const paused = await client.hear(({ type, data }) => type === 'job.state_changed' && data['new_state'] === 'paused', 'paused')
  t.match(paused.data, { forced: false })
})
