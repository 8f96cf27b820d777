// Messages of a channel that are lost, doubled or late: every change of state is told once and in order all the same.

import t from 'tap'
import { createReadPosition } from '../../src/engine/positions.ts'
import type { FeedMessage } from '../../src/engine/packed.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { createRedisWatch } from '../../src/worker/redis-watch.ts'
import type { JobNews } from '../../src/worker/transport.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

type Data<T extends WorkerEvent['type']> = Extract<WorkerEvent, { type: T }>['data']

/** @param pass what becomes of a message: how often it arrives */
async function watched (t: Parameters<typeof setup>[0], pass: (message: FeedMessage) => number) {
  const { engine, observer, server } = await setup(t)
  const news: JobNews[] = []
  const troubles: unknown[] = []
  const watch = createRedisWatch({
    tenant: 'acme',
    job_id: 'job',
    asked_at: performance.now(),
    // A marked stand-in: the real feed, which loses and doubles.
    feed: {
      subscribe: (tenant, id, listener) => engine.subscribe(tenant, id, message => {
        for (let n = pass(message); n > 0; n--) listener(message)
      })
    },
    reads: engine,
    tell: one => { news.push(one) },
    onTrouble: error => { troubles.push(error) }
  })
  t.teardown(() => watch.close())
  const readPosition = createReadPosition({ connections: engine.connections, keys: engine.keys })
  return {
    engine,
    observer,
    server,
    news,
    troubles,
    watch,
    look: async () => watch.compare(await readPosition('acme', 'job')),
    told: () => news.flatMap(({ changes }) => changes.map(({ prior, next }) => `${prior}>${next}`)),
    register: (data: Data<'job.register'> = {}) => engine.submit({ type: 'job.register', tenant: 'acme', job: 'job', data }),
    state: (data: Data<'job.state'>) => engine.submit({ type: 'job.state', tenant: 'acme', job: 'job', data })
  }
}

t.test('nothing arrives by the channel: the look finds what was missed', async t => {
  const { register, state, look, told, watch, news } = await watched(t, () => 0)
  await watch.ready
  t.same(news.map(({ view }) => view), [null], 'not registered yet')
  await register()
  await state({ state: 'running' })
  await state({ state: 'pausing' })
  await look()
  await until(() => told().length === 2)
  await look()
  await state({ state: 'completed' })
  await until(async () => {
    await look()
    return told().length === 3
  })
  t.same(told(), ['pending>running', 'running>pausing', 'pausing>completed'])
  t.equal(news.at(-1)!.view!().state, 'completed')
})

t.test('every other message is lost, every third doubled', async t => {
  let count = 0
  const { register, state, look, told, engine } = await watched(t, () => ++count % 2 === 0 ? 0 : count % 3 === 0 ? 2 : 1)
  await register({ items_total: 40, state: 'running' })
  for (let n = 0; n < 20; n++) {
    await state({ state: 'pausing' })
    await engine.submit({ type: 'item.update', tenant: 'acme', job: 'job', data: { id: `i${n}`, state: 'completed' } })
    await state({ state: 'running', resume: true })
  }
  await state({ state: 'completed' })
  await until(async () => {
    await look()
    return told().at(-1)?.endsWith('>completed')
  })
  t.same(told(), [...Array.from({ length: 20 }, () => ['running>pausing', 'pausing>running']).flat(), 'running>completed'])
})

t.test('asked for when the job is old: what happened before is not news', async t => {
  const { register, state, told, watch, engine, news } = await watched(t, () => 1)
  await watch.ready
  await register({ state: 'running' })
  await state({ state: 'pausing' })
  await until(() => told().length === 1)
  const late: JobNews[] = []
  const other = createRedisWatch({
    tenant: 'acme',
    job_id: 'job',
    asked_at: performance.now(),
    feed: engine,
    reads: engine,
    tell: one => { late.push(one) },
    onTrouble: error => { t.error(error) }
  })
  t.teardown(() => other.close())
  await other.ready
  // Redis's clock and the answer's way leave some ms in which old news may count as new.
  t.ok(late.length === 1 && late[0]!.changes.length <= 1)
  await state({ state: 'running', resume: true })
  await until(() => late.length === 2 && news.length > 2)
  t.same(late[1]!.changes, [{ prior: 'pausing', next: 'running', reason: null }])
})

t.test('Redis loses its data: the job is not there, comes back in a new epoch, and its changes are told', async t => {
  const { register, state, told, watch, news, observer, engine, look } = await watched(t, () => 1)
  await watch.ready
  await register({ state: 'running' })
  await state({ state: 'pausing' })
  await until(() => told().length === 1)
  await observer.flushall()
  await observer.hset(`${engine.keys.prefix}:config`, 'partitions', 2)
  await engine.start()
  await look()
  await until(() => news.at(-1)?.view === null)
  t.equal(news.at(-1)!.gone, false)
  await register({ state: 'running' })
  await state({ state: 'completed' })
  await until(() => told().at(-1) === 'running>completed')
})

t.test('a read that fails is no end: the next look reads again', async t => {
  const { register, state, told, watch, look, observer, engine, troubles } = await watched(t, () => 0)
  await watch.ready
  await register({ state: 'running' })
  await state({ state: 'pausing' })
  const { key } = engine.keys.job('acme', 'job')
  await observer.rename(key, `${key}-aside`)
  await observer.set(key, 'not a hash')
  watch.recheck()
  await until(() => troubles.length > 0)
  await observer.rename(`${key}-aside`, key)
  await look()
  await until(() => told().length === 1 || look().then(() => false))
  t.same(told(), ['running>pausing'])
})
