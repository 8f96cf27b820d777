// The line of a job's throughput, from what was settled and when.

import t from 'tap'
import fc from 'fast-check'
import { createRateSeries } from '../../src/dashboard/rate-series.ts'

t.test('a point a second while enough is settled', async t => {
  const series = createRateSeries()
  for (let second = 0; second < 8; second++) series.add(second * 1000 + 10, 20)
  t.same(series.data(), [[0, 1, 2, 3, 4, 5, 6], Array(7).fill(1200)], 'the last second is not over')
})

t.test('an item a second is a line, not spikes', async t => {
  const series = createRateSeries()
  for (let second = 0; second < 100; second++) series.add(second * 1000 + (second % 3 === 0 ? 999 : 1), 1)
  series.reach(100_000)
  const [times, rates] = series.data()
  t.same(times.slice(0, 3), [0, 5, 10])
  t.same(rates, Array(20).fill(60))
})

t.test('a day costs what a minute costs, and no item is lost on the way', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(86_400_000), fc.nat(1000)), { minLength: 1, maxLength: 200 }), settled => {
    const series = createRateSeries()
    for (const [at, count] of settled) series.add(at, count)
    const end = Math.max(...settled.map(([at]) => at))
    series.reach(end + 2 * 86_400_000) // so that all of it is over
    const [times, rates] = series.data()
    const width = (times[1] ?? 0) - (times[0] ?? 0)
    const shown = rates.reduce((sum, rate) => sum + rate * width / 60, 0)
    return times.length <= 180 && Math.abs(shown - settled.reduce((sum, [, count]) => sum + count, 0)) < 1e-3
  }))
})
