// What is kept goes by age and by number.

import t from 'tap'
import { createShelf } from '../../src/gateway/shelf.ts'
import { until } from '../support/wait.ts'

t.test('the oldest makes place', async t => {
  const shelf = createShelf({ keep_ms: 60_000, count_max: 2 })
  const dropped: string[] = []
  const [a, b, c] = [{}, {}, {}]
  shelf.put(a, () => dropped.push('a'))
  shelf.put(b, () => dropped.push('b'))
  shelf.put(a, () => dropped.push('a again'))
  shelf.put(c, () => dropped.push('c'))
  t.same(dropped, ['b'])
  shelf.take(a)
  shelf.put({}, () => dropped.push('d'))
  t.same(dropped, ['b'], 'what was taken is not there')
})

t.test('its time is up, one by one', async t => {
  const shelf = createShelf({ keep_ms: 30, count_max: 10 })
  const dropped: string[] = []
  shelf.put({}, () => dropped.push('a'))
  await new Promise(resolve => setTimeout(resolve, 10))
  shelf.put({}, () => dropped.push('b'))
  const alive = setInterval(() => {}, 1_000)
  await until(() => dropped.length === 2, { what: 'both are gone' })
  clearInterval(alive)
  t.same(dropped, ['a', 'b'])
})

t.test('nothing is kept for no time', async t => {
  let dropped = 0
  createShelf({ keep_ms: 0, count_max: 10 }).put({}, () => dropped++)
  t.equal(dropped, 1)
})

t.test('one timer, however many come and go', async t => {
  const set = t.capture(globalThis, 'setTimeout', globalThis.setTimeout)
  const cleared = t.capture(globalThis, 'clearTimeout', globalThis.clearTimeout)
  const shelf = createShelf({ keep_ms: 60_000, count_max: 2 })
  for (let n = 0; n < 50; n++) shelf.put({}, () => {})
  t.equal(set().length - cleared().filter(({ args: [timer] }) => timer !== undefined).length, 1)
})
