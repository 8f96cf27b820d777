// Slices by a clock that the test moves.

import t from 'tap'
import { inSlices } from '../../src/gateway/slices.ts'

t.test('the loop turns when a slice has taken its time, and not before', async t => {
  let ms = 0
  const seen: number[] = []
  const done = inSlices(new Set(Array.from({ length: 300 }, (_, n) => n)), n => {
    seen.push(n)
    ms += 0.05
  }, () => ms)
  t.equal(seen.length, 128, '64 take 3.2 ms, so a slice holds two steps')
  await new Promise(setImmediate)
  t.equal(seen.length, 256)
  await done
  t.same(seen, Array.from({ length: 300 }, (_, n) => n))
})

t.test('who leaves between two slices has no turn, who comes has one', async t => {
  let ms = 0
  const all = new Set(Array.from({ length: 100 }, (_, n) => n))
  const seen: number[] = []
  const done = inSlices(all, n => {
    seen.push(n)
    ms++
  }, () => ms)
  t.equal(seen.length, 64)
  all.delete(99)
  all.add(100)
  await done
  t.same(seen.slice(-2), [98, 100])
})
