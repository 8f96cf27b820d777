// Every job of a tenant on one socket: the list, changes, removals, and nothing of anybody else. Progress less often when asked.

import t from 'tap'
import { until } from '../support/wait.ts'
import { Client, privateRedis, startGateway, tokenOf, type Message } from './support.ts'

const redis = await privateRedis(t)
const { engine, url } = await startGateway(t, redis, { HEADWAY_RETENTION_MS: '300' })
const token = await tokenOf()

const register = (job: string, tenant = 'acme') =>
  engine.submit({ tenant, job, type: 'job.register', data: { items_total: 2, state: 'running', title: `Title of ${job}` } })
const jobOf = ({ data }: Message) => data['job'] as { id: string, state: string, title: string }

t.test('the list, then changes and removals, of this tenant only', async t => {
  await register('one')
  await register('secret', 'other')
  const client = await new Client(`${url}/v1/ws?token=${token}`).open()
  client.say({ action: 'subscribe_tenant', id: 's' })
  t.match(await client.answer('s'), { type: 'ack', action: 'subscribe_tenant' })
  const list = await client.of('tenant.snapshot')
  t.same((list.data['jobs'] as { id: string }[]).map(({ id }) => id), ['one'])
  t.equal(client.messages[0]?.type, 'ack')

  await register('two')
  t.match(jobOf(await client.hear(message => message.job_id === 'two', 'a new job')), { title: 'Title of two', state: 'running' })
  await register('hidden', 'other')
  await engine.submit({ tenant: 'acme', job: 'one', type: 'job.state', data: { state: 'completed' } })
  await client.hear(message => message.job_id === 'one' && message.type === 'tenant.job_changed' && jobOf(message).state === 'completed', 'an end')
  await client.hear(({ type, job_id: job }) => type === 'tenant.job_removed' && job === 'one', 'a removal')
  t.notOk(JSON.stringify(client.messages).match(/secret|hidden/))

  client.say({ action: 'unsubscribe_tenant', id: 'u' })
  await client.answer('u')
  const heard = client.messages.length
  await register('three')
  client.say({ action: 'ping', id: 'p' })
  await client.answer('p')
  t.equal(client.messages.length, heard + 1, 'the pong alone')
  client.say({ action: 'subscribe_tenant', id: 'again' })
  await until(() => client.messages.filter(({ type }) => type === 'tenant.snapshot').length === 2, { what: 'a fresh list' })
  client.socket.close()
})

t.test('without a token there is no stream', async t => {
  const client = await new Client(`${url}/v1/ws`).open()
  client.say({ action: 'subscribe_tenant', id: 's' })
  t.match(await client.answer('s'), { type: 'error', code: 'unauthorized' })
  client.socket.close()
})

t.test('min_interval_ms: progress less often, events at once', async t => {
  await register('calm')
  const calm = await new Client(`${url}/?job_id=calm&min_interval_ms=60000&token=${token}`).open()
  const brisk = await new Client(`${url}/?job_id=calm&token=${token}`).open()
  for (const client of [calm, brisk]) await client.of('job.snapshot')
  const progressOf = (client: Client) => client.messages.filter(({ type }) => type === 'job.progress').length
  for (let n = 1; n <= 3; n++) {
    const before = progressOf(brisk)
    await engine.submit({ tenant: 'acme', job: 'calm', type: 'job.progress', data: { items_completed: n } })
    await until(() => progressOf(brisk) > before, { what: `report ${n}` })
  }
  await engine.submit({ tenant: 'acme', job: 'calm', type: 'item.update', data: { id: 'i', state: 'completed' } })
  await calm.of('video.completed')
  t.equal(progressOf(calm), 1, 'the first, and no other yet')
  await engine.submit({ tenant: 'acme', job: 'calm', type: 'job.state', data: { state: 'completed' } })
  await calm.of('job.completed')
  t.equal(progressOf(calm), 2, 'a change of state lets out what was held')
  for (const { socket } of [calm, brisk]) socket.close()
})
