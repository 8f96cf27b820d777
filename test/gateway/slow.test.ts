// A client that does not read costs a bounded amount, and gets everything or a reset when it reads again; or it is closed.

import { get, type IncomingMessage } from 'node:http'
import t from 'tap'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { until } from '../support/wait.ts'
import { Client, type Message, privateRedis, startGateway, tokenOf } from './support.ts'

const redis = await privateRedis(t)
const token = await tokenOf()
const LARGE = 'x'.repeat(2_000)
const ITEMS = 6_000
const ROUNDS = 120

async function flood (engine: Awaited<ReturnType<typeof startGateway>>['engine'], job: string): Promise<void> {
  for (let n = 0; n < ITEMS; n += 20) {
    await engine.append(Array.from({ length: 20 }, (_, k): WorkerEvent =>
      ({ tenant: 'acme', job, type: 'item.update', data: { id: `i${n + k}`, state: 'completed', result: LARGE } })))
  }
}

t.test('a reader that stops for a while: bounded, then complete or told', async t => {
  const { engine, url } = await startGateway(t, redis, { HEADWAY_SOCKET_QUEUE_BYTES_MAX: '65536' })
  await engine.submit({ tenant: 'acme', job: 'slow', type: 'job.register', data: { items_total: ITEMS, state: 'running', auto_complete: true } })
  const slow = await new Client(`${url}/?job_id=slow&token=${token}`).open()
  const quick = await new Client(`${url}/?job_id=slow&token=${token}`).open()
  await slow.of('job.snapshot')
  slow.socket.pause()
  await flood(engine, 'slow')
  const isEnd = ({ type, data }: Message) => type === 'job.completed' || (data['job'] as { state?: string } | undefined)?.state === 'completed'
  await quick.hear(isEnd, 'the end')
  t.ok(slow.messages.length < ITEMS, 'it has not read')
  slow.socket.resume()
  await slow.hear(isEnd, 'the end')
  let seq = 0
  for (const { type, seq: next, data } of slow.messages.slice(1)) {
    if (type === 'job.snapshot') t.equal(data['reset'], true)
    else t.equal(next, type.endsWith('.progress') ? seq : seq + 1)
    seq = next
  }
  t.ok(slow.messages.some(({ type, data }) => type === 'job.snapshot' && data['reset'] === true), 'the log does not reach that far back')
  slow.socket.close()
  quick.socket.close()
})

t.test('a reader that stays behind is closed', async t => {
  const { engine, url } = await startGateway(t, redis, { HEADWAY_SOCKET_QUEUE_BYTES_MAX: '16384', HEADWAY_BEHIND_MS_MAX: '1000' })
  await engine.submit({ tenant: 'acme', job: 'stuck', type: 'job.register', data: { items_total: ITEMS, state: 'running' } })
  const stuck = await new Client(`${url}/?job_id=stuck&token=${token}`).open()
  await stuck.of('job.snapshot')
  const channel = engine.keys.job('acme', 'stuck').key
  const listeners = async () => (await redis.client().pubsub('NUMSUB', channel) as [string, number])[1]
  t.equal(await listeners(), 1)
  stuck.socket.pause()
  await flood(engine, 'stuck')
  await until(async () => await listeners() === 0, { what: 'the gateway lets it go' })
  stuck.socket.resume()
  await stuck.end()
  t.ok(stuck.messages.length < ITEMS)
})

/** A stream of server-sent events whose reader can stop. */
async function openStream (url: string, job: string) {
  const response = await new Promise<IncomingMessage>(resolve => { get(`${url}/v1/jobs/${job}/events?token=${token}`, { agent: false }, resolve) })
  const ids: string[] = []
  const types: string[] = []
  let rest = ''
  let closed = false
  response.setEncoding('utf8')
  response.on('error', () => {})
  response.on('close', () => { closed = true })
  response.on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const [, id = '', type = ''] = /^id: (\S+)\nevent: (\S+)\n/.exec(block) ?? []
      if (id === '' || type.endsWith('.progress')) continue
      ids.push(id)
      types.push(type)
    }
  })
  return { response, ids, types, closed: () => closed }
}

t.test('a stream of server-sent events that is not read for a while catches up on the same connection', async t => {
  const { engine, url, internal_url: internalUrl } = await startGateway(t, redis, {
    HEADWAY_SOCKET_QUEUE_BYTES_MAX: '65536', HEADWAY_LOG_EVENTS_MAX: '100000', HEADWAY_LOG_BYTES_MAX: '100000000'
  })
  await engine.submit({ tenant: 'acme', job: 'sse', type: 'job.register', data: { items_total: ITEMS, state: 'running', auto_complete: true } })
  const { response, ids, types, closed } = await openStream(url, 'sse')
  await until(() => types.length === 1, { what: 'a snapshot' })
  response.pause()
  await flood(engine, 'sse')
  await until(async () => /^headway_behind_total [1-9]/m.test(await (await fetch(`${internalUrl}/metrics`)).text()), { what: 'it is behind' })
  t.ok(types.length < ITEMS)
  response.resume()
  await until(() => closed(), { what: 'the end of the job' })
  t.equal(types.at(-1), 'job.completed')
  const seqs = ids.map(id => Number(id.split('.')[1]))
  t.same(seqs, seqs.map((_, n) => seqs[0]! + n), 'every event once, in order')
})

t.test('a stream of server-sent events that stays behind is cut', async t => {
  const { engine, url } = await startGateway(t, redis, { HEADWAY_SOCKET_QUEUE_BYTES_MAX: '16384', HEADWAY_BEHIND_MS_MAX: '1000' })
  await engine.submit({ tenant: 'acme', job: 'cut', type: 'job.register', data: { items_total: ITEMS, state: 'running' } })
  const { response, types, closed } = await openStream(url, 'cut')
  await until(() => types.length === 1, { what: 'a snapshot' })
  const channel = engine.keys.job('acme', 'cut').key
  response.pause()
  await flood(engine, 'cut')
  const listeners = async () => (await redis.client().pubsub('NUMSUB', channel) as [string, number])[1]
  await until(async () => await listeners() === 0, { what: 'the gateway lets it go' })
  response.resume()
  await until(() => closed(), { what: 'the connection is gone' })
  t.ok(types.length < ITEMS)
})

t.test('a stream of the tenant that is not read for a while holds a bounded amount, and hears what became of each job', async t => {
  const { engine, url } = await startGateway(t, redis, {
    HEADWAY_SOCKET_QUEUE_BYTES_MAX: '65536', HEADWAY_PROGRESS_INTERVAL_MS: '0'
  })
  const jobs = Array.from({ length: 100 }, (_, n) => `job-${n}`)
  const address = { tenant: 'crowd', job: jobs[0]! }
  for (const job of jobs) {
    await engine.submit({ ...address, job, type: 'job.register', data: { items_total: 1_000_000, state: 'running', metadata: { text: LARGE } } })
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    void tokenOf({ tenant: 'crowd' }).then(crowd => get(`${url}/v1/events?token=${crowd}`, { agent: false }, resolve).on('error', reject))
  })
  t.teardown(() => response.destroy())
  let text = ''
  response.setEncoding('utf8').on('data', (piece: string) => { text += piece }).on('error', () => {})
  await until(() => text.includes('event: tenant.snapshot'), { what: 'the list' })
  response.pause()
  for (let round = 1; round <= ROUNDS; round++) { // far more than kernels take
    const changes = jobs.map((job): WorkerEvent => ({ ...address, job, type: 'job.progress', data: { items_completed: round } }))
    for (let n = 0; n < changes.length; n += 50) await engine.append(changes.slice(n, n + 50))
    await engine.submit({ ...address, type: 'job.progress', data: { items_failed: round } })
  }
  await engine.submit({ ...address, type: 'job.state', data: { state: 'failed', reason: 'while nobody read' } })
  await engine.submit({ ...address, job: 'last', type: 'job.register', data: { items_total: 1, title: 'The last one' } })
  response.resume()
  await until(() => text.includes('while nobody read') && text.includes('The last one'), { what: 'the newest of each job', timeout_ms: 30_000 })
  t.notOk(response.destroyed, 'on the same connection')
  const all = ROUNDS * jobs.length * LARGE.length
  t.ok(text.length < all * 0.8, `${text.length} characters of more than ${all}: newer states stand for older ones`)
})
