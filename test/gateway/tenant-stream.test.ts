// Every job of a tenant on one socket: the list, changes, removals, and nothing of anybody else. Progress less often when asked.

import t from 'tap'
import { until } from '../support/wait.ts'
import { call, Client, privateRedis, startGateway, tokenOf, type Message } from './support.ts'

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

t.test('the same as server-sent events: no cursor, the list again for who comes back, nothing of others', async t => {
  const tenant = await tokenOf({ tenant: 'sse' })
  async function listen (path: string, headers: Record<string, string> = {}) {
    const stop = new AbortController()
    const response = await fetch(`${url}${path}`, { headers, signal: stop.signal })
    t.match(response.headers.get('content-type'), /^text\/event-stream/)
    const heard: (Message & { event: string })[] = []
    let text = ''
    void (async () => {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n')
        text = blocks.pop()!
        for (const block of blocks) {
          t.notMatch(block, /^id:/m)
          const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
          if (event !== '') heard.push({ ...JSON.parse(data), event })
        }
      }
    })().catch(() => {})
    return { heard, hear: (event: string, job: string) => until(() => heard.find(one => one.event === event && one.job_id === job), { what: `${event} of ${job}` }), stop }
  }
  await register('near', 'sse')
  await register('far', 'others')
  const first = await listen('/v1/events', { authorization: `Bearer ${tenant}`, 'last-event-id': '1.1' })
  await until(() => first.heard.length > 0, { what: 'the list' })
  t.match(first.heard[0], { event: 'tenant.snapshot', type: 'tenant.snapshot', data: { jobs: [{ id: 'near' }] } })
  await register('next', 'sse')
  t.match(jobOf(await first.hear('tenant.job_changed', 'next')), { title: 'Title of next' })
  await engine.submit({ tenant: 'sse', job: 'near', type: 'job.state', data: { state: 'completed' } })
  await first.hear('tenant.job_removed', 'near')
  first.stop.abort()

  const { body } = await call(`${url}/v1/tickets`, 'POST', tenant, {})
  const again = await listen(`/v1/events?ticket=${String(body['ticket'])}`)
  await until(() => again.heard.length > 0, { what: 'the list again' })
  t.same((again.heard[0]?.data['jobs'] as { id: string }[]).map(({ id }) => id), ['next'])
  again.stop.abort()
  t.notOk(JSON.stringify([first.heard, again.heard]).includes('far'))

  t.match(await call(`${url}/v1/events`, 'GET', null), { status: 401 })
  t.match(await call(`${url}/v1/events`, 'GET', await tokenOf({ scope: 'jobs:write' })), { status: 403 })
  t.match(await call(`${url}/v1/events`, 'DELETE', tenant), { status: 405 })
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
