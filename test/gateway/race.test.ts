// H3 and H6 at a gateway: whoever joins whenever gets a snapshot and from there every event once and in order, or is told by a
// reset that something is missing; with two gateways, and while the connections that carry the channels are cut.

import t from 'tap'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { until } from '../support/wait.ts'
import { Client, type Message, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const PREFIX = { HEADWAY_PREFIX: 'race' }
const one = await startGateway(t, redis, PREFIX)
const two = await startGateway(t, redis, PREFIX)
const token = await tokenOf()

/** Faults in what one client heard: gaps, repeats, rev that goes back, anything behind the end. */
function faultsOf (messages: readonly Message[]): string[] {
  const faults: string[] = []
  let seq = -1
  let rev = 0
  let ended = false
  for (const message of messages) {
    const at = `${message.type} ${message.seq}`
    if (ended) faults.push(`${at} after the end`)
    if (message.rev < rev) faults.push(`${at}: rev ${message.rev} after ${rev}`)
    rev = message.rev
    if (message.type === 'job.snapshot') {
      if (seq !== -1 && message.data['reset'] !== true) faults.push(`${at}: a second snapshot without reset`)
    } else if (message.type === 'job.progress' || message.type === 'video.progress') {
      if (message.seq !== seq) faults.push(`${at} at ${seq}`)
    } else if (message.seq !== seq + 1) faults.push(`${at} after ${seq}`)
    seq = message.seq
    ended = ['job.completed', 'job.failed', 'job.canceled'].includes(message.type)
  }
  return faults
}

async function runJob (job: string, items: number, between: (n: number) => Promise<void> | void): Promise<void> {
  const address = { tenant: 'acme', job }
  for (let n = 0; n < items; n++) {
    const id = `i${n}`
    const events: WorkerEvent[] = [
      { ...address, type: 'item.update', data: { id, state: 'processing' } },
      { ...address, type: 'item.update', data: { id, percent_complete: 50 } },
      { ...address, type: 'item.update', data: { id, state: 'completed' } }
    ]
    for (const event of events) await one.engine.append([event])
    await between(n)
  }
}

t.test('joining while events flow', async t => {
  const items = 200
  await one.engine.submit({ tenant: 'acme', job: 'flow', type: 'job.register', data: { items_total: items, state: 'running', auto_complete: true } })
  const clients: Client[] = []
  await runJob('flow', items, n => {
    if (n % 4 === 0) clients.push(new Client(`${n % 8 === 0 ? one.url : two.url}/?job_id=flow&token=${token}`))
  })
  for (const client of clients) {
    await client.hear(({ type, data }) => type === 'job.completed' || (data['job'] as { state?: string } | undefined)?.state === 'completed', 'the end')
    t.same(faultsOf(client.messages), [])
    t.equal(client.messages[0]?.type, 'job.snapshot')
    t.notOk(client.messages.some(({ data }) => data['reset'] === true), 'nobody needed a reset')
    const last = client.messages.at(-1)
    t.match(last?.type === 'job.snapshot' ? last.data['job'] : last?.data, { items_completed: items, percent_complete: 100 })
    client.socket.close()
  }
  t.equal(clients.length, 50)
})

t.test('while the channels\' connections are cut', async t => {
  const items = 150
  await one.engine.submit({ tenant: 'acme', job: 'cut', type: 'job.register', data: { items_total: items, state: 'running', auto_complete: true } })
  const clients = Array.from({ length: 10 }, (_, n) => new Client(`${n % 2 ? one.url : two.url}/?job_id=cut&token=${token}`))
  for (const client of clients) await client.of('job.snapshot')
  let cuts = 0
  t.teardown(one.engine.onInterrupted(() => { cuts++ }))
  const admin = redis.client()
  await runJob('cut', items, async n => {
    if (n % 30 === 15) await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  })
  for (const client of clients) {
    await client.hear(({ type, data }) => type === 'job.completed' || (data['job'] as { state?: string } | undefined)?.state === 'completed', 'the end')
    t.same(faultsOf(client.messages), [])
    client.socket.close()
  }
  t.ok(cuts > 0, 'the cuts were real')
  t.notOk(clients.some(({ messages }) => messages.some(({ data }) => data['reset'] === true)), 'the log repaired them all')
})

t.test('the end of a job: nothing more, the socket stays, and a removed job is unknown', async t => {
  const brief = await startGateway(t, redis, { HEADWAY_PREFIX: 'brief', HEADWAY_RETENTION_MS: '100' })
  const address = { tenant: 'acme', job: 'short' }
  await brief.engine.submit({ ...address, type: 'job.register', data: { items_total: 1, state: 'running' } })
  const client = await new Client(`${brief.url}/?job_id=short&token=${token}`).open()
  await brief.engine.submit({ ...address, type: 'job.state', data: { state: 'failed', reason: 'x' } })
  await client.of('job.failed')
  await until(async () => await brief.engine.readJob('acme', 'short') === null, { what: 'the job leaves Redis' })
  client.say({ action: 'subscribe', job_id: 'short', id: 's' })
  t.match(await client.answer('s'), { type: 'error', code: 'unknown_job' })
  t.equal(client.messages.filter(({ seq }) => seq !== undefined).at(-1)?.type, 'job.failed')
  await brief.engine.submit({ ...address, type: 'job.register', data: { items_total: 2 } })
  client.say({ action: 'subscribe', job_id: 'short', id: 's2' })
  t.match(await client.answer('s2'), { type: 'ack' }, 'the id is free again')
  client.socket.close()
})
