// Held here: H1 and H12 on a real Redis: connections killed, answers late, everything wiped. The reducer is played by
// `reduce`, the producer rule alone, so that a test decides when it runs and what it has seen.

import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { createKeys } from '../../src/engine/keys.ts'
import { createProducer, PRODUCER_REDIS_OPTIONS } from '../../src/engine/producer.ts'
import type { Producer, ProducerParams } from '../../src/engine/producer.ts'
import { startRedis } from '../support/redis.ts'
import type { RedisServer } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { randomPrefix } from '../support/topology.ts'

const FAST = { min: 5, max: 20 }

async function setup (t: Test, params: Partial<ProducerParams> = {}) {
  const server: RedisServer = await startRedis()
  const observer = server.client()
  const keys = createKeys(randomPrefix(), 2)
  const redis = new Redis(server.url, { ...PRODUCER_REDIS_OPTIONS, retryStrategy: () => 10 })
  redis.on('error', () => {})
  const troubles: Error[] = []
  const producer: Producer = createProducer({
    redis, keys: keys.partition, check_ms: FAST, onTrouble: error => troubles.push(error), ...params
  })
  t.teardown(async () => {
    await producer.close()
    redis.disconnect()
    await server.stop()
  })
  const { ingest, meta, producers } = keys.partition(0)
  const applied: string[] = []
  let cursor = '0-0'

  /** Reads what is behind the cursor; an entry counts when its number is the next of its producer. */
  async function reduce (): Promise<void> {
    for (const [id, fields] of await observer.xrange(ingest, `(${cursor}`, '+')) {
      const entry = Object.fromEntries(Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i], fields[2 * i + 1]]))
      const stored = Number((await observer.hget(producers, entry.p!))?.split('\t')[0] ?? 0)
      if (Number(entry.n) === stored + 1) {
        applied.push(entry.b!)
        await observer.hset(producers, entry.p!, `${entry.n}\t0`)
      }
      cursor = id
    }
    await observer.hset(meta, '_', `1\t${cursor}\t0`)
  }

  return {
    server,
    observer,
    keys,
    redis,
    producer,
    troubles,
    applied,
    reduce,
    killConnections: async () => { await observer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes') },
    /** Everything but these producers' numbers is lost and the partition is made anew, with a new epoch: at once, as a failover does. */
    wipe: async (epoch: string, kept: Record<string, string> = {}) => {
      const steps = observer.multi().flushall().hset(meta, 'ep', epoch, '_', '1\t0-0\t0')
      if (Object.keys(kept).length > 0) steps.hset(producers, kept)
      await steps.exec()
      cursor = '0-0'
      applied.length = 0
    },
    /** Entries as they stand in the stream: `<name> <n> <batch>`. */
    entries: async () => (await observer.xrange(ingest, '-', '+')).map(([, [, b, , p, , n]]) => `${p} ${n} ${b}`)
  }
}

t.test('numbers each partition from 1, one entry in flight, in the order of the calls', async t => {
  const { producer, observer, keys } = await setup(t)
  await Promise.all([...Array.from({ length: 20 }, (_, i) => producer.send(0, `1\na${i}`)), producer.send(1, '1\nother')])
  const stream = await observer.xrange(keys.partition(0).ingest, '-', '+')
  const name = producer.status().name(0)
  t.match(name, /^[0-9a-f]{18}$/, 'an identifier, which every reducer takes')
  t.same(stream.map(([, fields]) => fields), Array.from({ length: 20 }, (_, i) => ['b', `1\na${i}`, 'p', name, 'n', String(i + 1)]))
  const [[, other] = []] = await observer.xrange(keys.partition(1).ingest, '-', '+')
  t.same(other, ['b', '1\nother', 'p', producer.status().name(1), 'n', '1'])
})

t.test('connections killed all the time: nothing lost, nothing doubled, in order', async t => {
  const { producer, applied, reduce, killConnections, entries } = await setup(t)
  const sent: Promise<void>[] = []
  for (let i = 0; i < 300; i++) {
    sent.push(producer.send(0, `e${i}`))
    if (i % 50 === 25) await killConnections()
    if (i % 20 === 0) await sent.at(-1)
    if (i % 70 === 0) await reduce()
  }
  await Promise.all(sent)
  await reduce()
  t.same(applied, Array.from({ length: 300 }, (_, i) => `e${i}`))
  t.ok((await entries()).length > 300, 'what was not drained yet stands there twice')
})

t.test('a connection dies before its answer comes: the same bytes and number again, then on', async t => {
  const { producer, observer, applied, reduce, entries, redis, troubles } = await setup(t)
  await producer.send(0, 'first')
  // Redis takes the XADD into its buffer and answers it only when it wakes; by then the connection is gone.
  const held = observer.client('PAUSE', 100, 'WRITE')
  await held
  const second = producer.send(0, 'second')
  redis.stream.destroy()
  await second
  await producer.send(0, 'third')
  t.ok(troubles.length > 0)
  await reduce()
  t.same(applied, ['first', 'second', 'third'])
  const name = producer.status().name(0)
  t.ok((await entries()).includes(`${name} 2 second`))
})

t.test('keeps entries until their number took effect and the time is over, and no longer', async t => {
  let now = 0
  const { producer, reduce } = await setup(t, { now: () => now, keep_ms: 1000, check_ms: { min: 1, max: 1 } })
  await producer.send(0, 'first')
  now = 2000
  await producer.send(0, 'second') // asks first: the clock says that it is time
  t.equal(producer.status().kept, 2, 'old, but no word of the reducer')
  await reduce()
  now = 2500
  await producer.send(0, 'third')
  t.equal(producer.status().kept, 2, 'the first is confirmed and old, the second only confirmed')
  t.equal(producer.status().kept_bytes, 'second'.length + 'third'.length)
  await reduce()
  now = 5000
  await until(() => { now += 2; return producer.status().kept === 0 }, { what: 'everything kept is forgotten' })
  t.equal(producer.status().kept_bytes, 0)
})

t.test('a new epoch: what the stored number does not reach is sent again', async t => {
  const { producer, reduce, applied, wipe, entries } = await setup(t)
  for (const batch of ['a', 'b', 'c']) await producer.send(0, batch)
  await reduce()
  t.same(applied, ['a', 'b', 'c'])
  const name = producer.status().name(0)
  await wipe('2', { [name!]: '1\t0' }) // a replica that had seen the first only
  await until(async () => (await entries()).length === 2)
  await reduce()
  t.same(applied, ['b', 'c'])
  t.equal(producer.status().name(0), name)
})

t.test('everything lost within 30 s: all of it comes again from 1', async t => {
  const { producer, reduce, applied, wipe } = await setup(t)
  for (const batch of ['a', 'b', 'c']) await producer.send(0, batch)
  await reduce()
  await wipe('2')
  await until(async () => { await reduce(); return applied.length >= 3 })
  await producer.send(0, 'd')
  await reduce()
  t.same(applied, ['a', 'b', 'c', 'd'])
})

t.test('everything lost and the beginning forgotten: the rest comes under a new name from 1', async t => {
  const { producer, reduce, applied, wipe, entries } = await setup(t, { keep_ms: 0 })
  for (const batch of ['a', 'b', 'c']) await producer.send(0, batch)
  await reduce()
  await until(() => producer.status().kept === 0)
  for (const batch of ['d', 'e']) await producer.send(0, batch)
  const name = producer.status().name(0)
  await wipe('2')
  await until(async () => { await reduce(); return applied.length >= 2 })
  await producer.send(0, 'f')
  await reduce()
  t.same(applied, ['d', 'e', 'f'])
  t.not(producer.status().name(0), name)
  t.ok((await entries()).includes(`${producer.status().name(0)} 1 d`))
})

t.test('wiped while nothing is kept: the next entry is not lost', async t => {
  const { producer, reduce, applied, wipe } = await setup(t, { keep_ms: 0 })
  await producer.send(0, 'a')
  await reduce()
  await until(() => producer.status().kept === 0)
  await wipe('2')
  await producer.send(0, 'b')
  await until(async () => { await reduce(); return applied.length > 0 })
  t.same(applied, ['b'])
})

t.test('silent for long: a new name before Redis forgets the old one', async t => {
  let now = 0
  const { producer, reduce, applied } = await setup(t, { now: () => now, keep_ms: 0, silence_ms: 1000, check_ms: { min: 1, max: 1 } })
  await producer.send(0, 'a')
  const name = producer.status().name(0)
  await reduce()
  await until(() => { now += 1; return producer.status().kept === 0 })
  await producer.send(0, 'b')
  t.equal(producer.status().name(0), name)
  await reduce()
  await until(() => { now += 1; return producer.status().kept === 0 })
  now += 1000
  await producer.send(0, 'c')
  t.not(producer.status().name(0), name)
  await reduce()
  t.same(applied, ['a', 'b', 'c'])
})

t.test('what is kept is bounded: confirmed entries go early, unconfirmed ones hold the next back', async t => {
  const { producer, reduce, applied } = await setup(t, { kept_bytes_max: 10 })
  await producer.send(0, 'x'.repeat(6))
  await producer.send(0, 'y'.repeat(6))
  let stored = false
  const third = producer.send(0, 'z').then(() => { stored = true })
  await until(() => producer.status().kept_bytes === 12)
  t.equal(stored, false)
  await reduce()
  await third
  await reduce()
  t.same(applied, ['x'.repeat(6), 'y'.repeat(6), 'z'])
  t.equal(producer.status().kept_bytes, 1)
})

t.test('an error of Redis is tried again until it is over', async t => {
  const { producer, observer, applied, reduce, troubles } = await setup(t)
  await producer.send(0, 'a')
  await observer.config('SET', 'maxmemory', '1')
  const second = producer.send(0, 'b')
  await until(() => troubles.some(({ message }) => message.startsWith('OOM')))
  await observer.config('SET', 'maxmemory', '0')
  await second
  await reduce()
  t.same(applied, ['a', 'b'])
})

t.test('close gives up what is not stored and takes nothing more', async t => {
  const { producer, server } = await setup(t)
  await producer.send(0, 'a')
  await server.kill()
  const lost = producer.send(0, 'b')
  await producer.close()
  await producer.close()
  await t.rejects(lost, { code: 'closed' })
  await t.rejects(producer.send(0, 'c'), { code: 'closed' })
})
