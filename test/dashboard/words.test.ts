// What the page writes: numbers, times, states, addresses. Pure functions, so no browser is needed.

import t from 'tap'
import { formatBytes, formatDuration, formatEstimate, formatPercent, formatRate } from '../../src/dashboard/format.ts'
import { jobAddress, parseRoute } from '../../src/dashboard/route.ts'
import { conditions, isUseful, readable } from '../../src/dashboard/words.ts'

t.test('100 % is said only when it is reached', async t => {
  t.equal(formatPercent(99.99), '99.9 %')
  t.equal(formatPercent(51), '51.0 %')
  t.equal(formatPercent(100), '100.0 %')
})

t.test('durations keep two units at most', async t => {
  const said: [number | null, string][] = [
    [null, '–'], [0, '0 ms'], [312.4, '312 ms'], [8200, '8.2 s'], [9960, '10 s'], [59_400, '59 s'], [60_000, '1 min'],
    [192_000, '3 min 12 s'], [7_500_000, '2 h 5 min'], [3_599_600, '1 h'], [356_400_000, '4 d 3 h']
  ]
  for (const [ms, text] of said) t.equal(formatDuration(ms), text)
})

t.test('estimates are no more exact than they are', async t => {
  const said: [number | null, string][] = [
    [null, '–'], [0, '0 s'], [400, 'under 1 s'], [4400, '4 s'], [23_000, '25 s'], [59_000, '55 s'], [61_000, '1 min'], [124_000, '2 min 5 s']
  ]
  for (const [ms, text] of said) t.equal(formatEstimate(ms), text)
  t.equal(formatRate(12.34), '12.3')
  t.equal(formatRate(1551.2), '1,551')
  t.equal(formatBytes(18_234), '17.8 KiB')
})

t.test('an address names a job by any id, and anything else is the list', async t => {
  const id = 'a:b.c_d-1'
  t.same(parseRoute(jobAddress(id)), { page: 'job', job_id: id })
  for (const hash of ['', '#/', '#/jobs/', '#/jobs/%E0%A4%A', '#/else', '#main']) t.same(parseRoute(hash), { page: 'jobs' }, hash)
})

t.test('only buttons that lead somewhere are shown', async t => {
  t.same((['pause', 'resume', 'cancel'] as const).map(action => isUseful(action, 'running')), [true, false, true])
  t.same((['pause', 'resume', 'cancel'] as const).map(action => isUseful(action, 'paused')), [false, true, true])
  t.same((['pause', 'resume', 'cancel'] as const).map(action => isUseful(action, 'completed')), [false, false, false])
})

t.test('conditions and reasons in words', async t => {
  const calm = { rate_limited: false, stalled: false, deadline_exceeded: false, deadline_at_risk: false }
  t.same(conditions(calm), [])
  t.same(conditions({ ...calm, rate_limited: true, deadline_exceeded: true, deadline_at_risk: true }), ['Rate limited', 'Deadline exceeded'])
  t.same(conditions({ ...calm, archived: true, deadline_exceeded: true }), ['Archived', 'Deadline exceeded'])
  t.equal(readable('all_items_settled'), 'all items settled')
  t.equal(readable('Boss said: stop_it'), 'Boss said: stop_it')
})
