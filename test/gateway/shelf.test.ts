// What is kept goes by age, by number and by weight.

import t from 'tap'
import { createShelf } from '../../src/gateway/shelf.ts'
import { until } from '../support/wait.ts'

t.test('the oldest makes place', async t => {
  const shelf = createShelf({ keep_ms: 60_000, count_max: 2, bytes_max: 1_000 })
  const dropped: string[] = []
  const [a, b, c] = [{}, {}, {}]
  shelf.put(a, 1, () => dropped.push('a'))
  shelf.put(b, 1, () => dropped.push('b'))
  shelf.put(a, 1, () => dropped.push('a again'))
  shelf.put(c, 1, () => dropped.push('c'))
  t.same(dropped, ['b'])
  shelf.take(a)
  shelf.put({}, 1, () => dropped.push('d'))
  t.same(dropped, ['b'], 'what was taken is not there')
})

t.test('its time is up, one by one', async t => {
  const shelf = createShelf({ keep_ms: 30, count_max: 10, bytes_max: 1_000 })
  const dropped: string[] = []
  shelf.put({}, 1, () => dropped.push('a'))
  await new Promise(resolve => setTimeout(resolve, 10))
  shelf.put({}, 1, () => dropped.push('b'))
  const alive = setInterval(() => {}, 1_000)
  await until(() => dropped.length === 2, { what: 'both are gone' })
  clearInterval(alive)
  t.same(dropped, ['a', 'b'])
})

t.test('nothing is kept for no time', async t => {
  let dropped = 0
  createShelf({ keep_ms: 0, count_max: 10, bytes_max: 1_000 }).put({}, 1, () => dropped++)
  t.equal(dropped, 1)
})

t.test('one timer, however many come and go', async t => {
  const set = t.capture(globalThis, 'setTimeout', globalThis.setTimeout)
  const cleared = t.capture(globalThis, 'clearTimeout', globalThis.clearTimeout)
  const shelf = createShelf({ keep_ms: 60_000, count_max: 2, bytes_max: 1_000 })
  for (let n = 0; n < 50; n++) shelf.put({}, 1, () => {})
  t.equal(set().length - cleared().filter(({ args: [timer] }) => timer !== undefined).length, 1)
})

t.test('the weight is bounded too, as it grows', async t => {
  const shelf = createShelf({ keep_ms: 60_000, count_max: 10, bytes_max: 1_000 })
  const dropped: string[] = []
  const [a, b, c] = [{}, {}, {}]
  shelf.put(a, 400, () => dropped.push('a'))
  shelf.put(b, 400, () => dropped.push('b'))
  shelf.weigh(b, 600)
  t.same(dropped, [])
  shelf.weigh(b, 700)
  t.same(dropped, ['a'])
  shelf.weigh(a, 5_000)
  shelf.put(c, 300, () => dropped.push('c'))
  t.same(dropped, ['a'], 'what is gone weighs nothing')
  shelf.take(b)
  shelf.put(a, 700, () => dropped.push('a again'))
  t.same(dropped, ['a'])
  shelf.put(b, 1_001, () => dropped.push('b, too heavy by itself'))
  t.same(dropped, ['a', 'c', 'a again', 'b, too heavy by itself'])
})
