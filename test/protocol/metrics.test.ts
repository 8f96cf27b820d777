// Contract §5, rule by rule. H13: the same stored fields give the same metrics in every process.

import t from 'tap'
import fc from 'fast-check'
import { jobMetrics } from '../../src/protocol/metrics.ts'
import type { StoredJob } from '../../src/protocol/job.ts'
import { JOB_STATES } from '../../src/protocol/states.ts'
import { T0, counted, sampleJob } from './samples.ts'

const reported = (changes: Partial<StoredJob['reported']>): StoredJob['reported'] =>
  ({ completed: null, failed: null, skipped: null, canceled: null, ...changes })
const known = { samples: 10, sum: 8_000, mean: 400, weight: 0.4, at: 10_000 } // an interval of 1,000 ms

t.test('the source document: 50 completed, 2 failed, 1 skipped of 100 → 51.0 %, 47 pending', async (t) => {
  const want = { items_completed: 50, items_failed: 2, items_skipped: 1, items_canceled: 0, percent_complete: 51, items_pending: 47 }
  t.match(jobMetrics(sampleJob({ initial: { completed: 50, failed: 2, skipped: 1, canceled: 0 } }), T0), want, 'given at registration')
  t.match(jobMetrics(sampleJob({ reported: reported({ completed: 50, failed: 2, skipped: 1, canceled: 0 }) }), T0), want, 'reported')
  t.match(jobMetrics(sampleJob({ counted: counted({ completed: 50, failed: 2, skipped: 1, processing: 4 }) }), T0), want, 'counted')
})

t.test('percents have two decimals, rounded down, and reach 100 only at the end', async (t) => {
  const percent = (total: number, completed: number, skipped = 0) =>
    jobMetrics(sampleJob({ items_total: total, counted: counted({ completed, skipped }) }), T0).percent_complete
  t.equal(percent(100, 29), 29, 'not 28.99')
  t.equal(percent(3, 1), 33.33)
  t.equal(percent(100_000, 99_999), 99.99)
  t.equal(percent(3, 2, 1), 100)
  t.equal(jobMetrics(sampleJob({ items_total: 2, counted: counted({ completed: 1, failed: 1 }), state: 'completed' }), T0).percent_complete, 50)
  fc.assert(fc.property(fc.integer({ min: 1, max: 100_000 }), fc.nat(100_000), (total, done) =>
    (percent(total, done) === 100) === (done >= total)))
})

t.test('a job without items is at 0 until it is completed', async (t) => {
  for (const state of JOB_STATES) {
    t.equal(jobMetrics(sampleJob({ items_total: 0, state }), T0).percent_complete, state === 'completed' ? 100 : 0, state)
  }
})

t.test('partial items count in percent_in_progress only', async (t) => {
  const job = sampleJob({ items_total: 4, counted: counted({ completed: 1, processing: 2 }), partial: 5_000 + 2_550 })
  t.match(jobMetrics(job, T0), { percent_complete: 25, percent_in_progress: 43.87, items_processing: 2, items_pending: 3 })
  t.equal(jobMetrics({ ...job, state: 'failed' }, T0).percent_in_progress, 25, 'nothing is in progress after the end')
})

t.test('the greater of reported and counted is shown, and the total is at least what is settled', async (t) => {
  const job = sampleJob({
    items_total: 5,
    initial: { completed: 2, failed: 0, skipped: 0, canceled: 0 },
    counted: counted({ completed: 3, failed: 1, retryable: 1, skipped: 1 }),
    reported: reported({ completed: 4, failed: 2, skipped: 0 })
  })
  t.match(jobMetrics(job, T0), {
    items_total: 8, items_completed: 5, items_failed: 2, items_skipped: 1, items_pending: 0, percent_complete: 75
  })
})

t.test('on a canceled job everything not settled is canceled, and retryable failures stay failed', async (t) => {
  const items = { completed: 10, failed: 2, retryable: 2, canceled: 1, processing: 3, pending: 4 }
  const job = sampleJob({ state: 'canceled', counted: counted(items) })
  t.match(jobMetrics(job, T0), {
    items_total: 100, items_completed: 10, items_failed: 2, items_canceled: 88, items_pending: 0, items_processing: 0, percent_complete: 10
  })
  t.match(jobMetrics({ ...job, items_total: 0 }, T0), { items_total: 20, items_canceled: 8 }, 'items never declared are there all the same')
})

t.test('counters add up, none is negative, in any state', async () => {
  const count = fc.nat(50)
  const counters = fc.record({ completed: count, failed: count, skipped: count, canceled: count })
  const maybe = fc.option(count)
  fc.assert(fc.property(
    fc.constantFrom(...JOB_STATES), fc.nat(150), counters, count, count,
    fc.record({ completed: maybe, failed: maybe, skipped: maybe, canceled: maybe }), counters,
    (state, total, done, processing, pending, report, initial) => {
      const m = jobMetrics(sampleJob({
        state, items_total: total, counted: { ...done, retryable: 0, processing, pending }, reported: report, initial
      }), T0)
      const sum = m.items_completed + m.items_failed + m.items_skipped + m.items_canceled + m.items_pending
      return sum === m.items_total && m.items_total >= total && m.items_pending >= 0 &&
        m.items_canceled >= done.canceled && m.percent_complete <= 100 && m.percent_in_progress >= m.percent_complete
    }))
})

t.test('time to start and processing time', async (t) => {
  const fresh = sampleJob({ state: 'pending', started_at: null, proc_since: null })
  t.match(jobMetrics(fresh, T0 + 9_000), { time_to_start_ms: null, time_processing_ms: 0 })
  t.match(jobMetrics(sampleJob(), T0 + 9_500), { time_to_start_ms: 500, time_processing_ms: 9_000 })
  const paused = sampleJob({ state: 'paused', proc_ms: 4_000, proc_since: null })
  t.equal(jobMetrics(paused, T0 + 99_000).time_processing_ms, 4_000, 'paused time does not count')
  const again = sampleJob({ proc_ms: 4_000, proc_since: T0 + 10_000, gap_ms: 2_000 })
  t.equal(jobMetrics(again, T0 + 13_000).time_processing_ms, 5_000, 'time in which nobody drained does not count')
  t.equal(jobMetrics(again, T0).time_processing_ms, 4_000, 'a reader whose clock is behind takes nothing away')
  t.equal(jobMetrics(sampleJob({ started_at: T0 - 5 }), T0).time_to_start_ms, 0, 'created_at is the worker\'s word')
})

t.test('averages undo the bias of their start', async (t) => {
  t.match(jobMetrics(sampleJob(), T0), { average_duration_ms_per_item: null, throughput_per_min: null })
  // newest first 100, 200: (100 + 0.95 · 200) / 1.95
  const two = sampleJob({ pace: { samples: 2, sum: 290, mean: 0, weight: 0, at: null } })
  t.equal(jobMetrics(two, T0).average_duration_ms_per_item, 148.72)
  const sum = Array.from({ length: 100 }, (_, k) => 0.95 ** k * 40).reduce((a, b) => a + b)
  const hundred = sampleJob({ pace: { samples: 100, sum, mean: 0, weight: 0, at: null } })
  t.equal(jobMetrics(hundred, T0).average_duration_ms_per_item, 40)
  t.equal(jobMetrics(sampleJob({ pace: known }), T0).throughput_per_min, 60)
})

t.test('eta: interval times what remains, less the time already waited', async (t) => {
  const job = sampleJob({ items_total: 10, counted: counted({ completed: 7 }), proc_since: T0, pace: known })
  t.match(jobMetrics(job, T0 + 10_400), {
    eta_ms: 2_600, eta_reason: 'estimated', eta_confidence: 0.4, finish_at: new Date(T0 + 13_000).toISOString()
  })
  t.equal(jobMetrics(job, T0 + 20_000).eta_ms, 2_000, 'an overdue item is expected at once')
  const last = { ...job, counted: counted({ completed: 9 }) }
  t.equal(jobMetrics(last, T0 + 20_000).eta_ms, 1, '0 would say that nothing remains')
  const { eta_low_ms: low, eta_ms: eta, eta_high_ms: high } = jobMetrics(job, T0 + 10_400)
  t.ok(low! < eta! && eta! < high!)
  t.match(jobMetrics({ ...job, rate_limited: true }, T0), { eta_reason: 'rate_limited' })
  const held = { ...job, rate_limited: true, retry_at: T0 + 60_000, gap_ms: 100 }
  t.equal(jobMetrics(held, T0 + 10_100).eta_ms, 50_000 + 2_000, 'nothing is settled before the rate limit ends')
  t.match(jobMetrics({ ...held, retry_at: T0 + 600_000 }, T0 + 400_100), {
    eta_ms: 202_000, eta_reason: 'rate_limited', finish_at: new Date(T0 + 602_100).toISOString()
  }, 'and the silence until then slows nothing down')
  t.ok(jobMetrics({ ...held, retry_at: T0 + 600_000 }, T0 + 400_100).throughput_per_min! < 10, 'but this is what is done now')
  t.equal(jobMetrics({ ...held, rate_limited: false }, T0 + 10_100).eta_ms, 3_000)
  t.equal(jobMetrics({ ...held, state: 'paused', proc_ms: 10_000, proc_since: null }, T0 + 10_100).eta_ms, 3_000)
})

t.test('a job that has gone quiet slows down, and does not stop slowing down', async (t) => {
  const fast = { samples: 0, sum: 0, mean: 0.0746, weight: 1, at: 5_000 } // 804,289 a minute
  const job = sampleJob({ items_total: 4_000, counted: counted({ completed: 3_000 }), proc_since: T0, pace: fast })
  const after = (ms: number) => jobMetrics(job, T0 + 5_000 + ms)
  t.match(after(0), { throughput_per_min: 804_289.54, eta_reason: 'estimated', eta_confidence: 1 })
  t.match(after(60_000), { throughput_per_min: 804_289.54, eta_reason: 'estimated' }, 'a minute: a worker may report in batches')
  t.equal(after(120_000).throughput_per_min, 20)
  t.equal(after(3_600_000).throughput_per_min, 0.34)
  t.match(after(120_000), { eta_ms: 41_667, eta_reason: 'silent', eta_confidence: 0 }, 'as slowly as the whole run, the silence in it')
  t.ok(after(3_600_000).eta_ms! > after(120_000).eta_ms!)
  const last = { ...job, items_total: 3_001 }
  t.ok(jobMetrics(last, T0 + 3_600_000).eta_ms! > 1_000, 'the last one is not expected at once for ever')
})

t.test('a silence that the means explain changes nothing', async (t) => {
  const slow = { samples: 10, sum: 10 * 300_000 * 0.8, mean: 40_000, weight: 1, at: 600_000 } // an item each 40 s, of some minutes each
  const job = sampleJob({ items_total: 100, counted: counted({ completed: 15, processing: 8 }), proc_since: T0, pace: slow })
  t.match(jobMetrics(job, T0 + 600_000 + 5 * 40_000), { throughput_per_min: 1.5, eta_reason: 'estimated' })
  t.match(jobMetrics({ ...job, pace: { ...slow, samples: 0, sum: 0 } }, T0 + 600_000 + 5 * 40_000 + 1_000), { eta_reason: 'silent' })
  t.match(jobMetrics(job, T0 + 600_000 + 5 * 40_000 + 1_000), { eta_reason: 'estimated' }, 'items take longer than that')
})

t.test('rate and estimate in a silence: without a jump, the rate only falls, the estimate only grows', async () => {
  fc.assert(fc.property(
    fc.double({ min: 0.01, max: 1e6, noNaN: true }), fc.double({ min: 0.05, max: 1, noNaN: true }), fc.nat(99),
    fc.integer({ min: 0, max: 1e8 }), fc.integer({ min: 0, max: 1e6 }),
    (interval, weight, completed, silence, more) => {
      const at = 1e6
      const pace = { samples: 0, sum: 0, mean: interval * weight, weight, at }
      const job = sampleJob({ counted: counted({ completed }), proc_since: T0, pace })
      const { throughput_per_min: before, eta_ms: eta } = jobMetrics(job, T0 + at + silence)
      const { throughput_per_min: then, eta_ms: later } = jobMetrics(job, T0 + at + silence + more)
      const next = Math.ceil(Math.max(0, interval - silence)) + 1 // what the next item has been waited for
      const closely = jobMetrics(job, T0 + at + silence + 1)
      return then! <= before! && then! >= 0 && later! >= eta! - next && closely.throughput_per_min! >= before! * 0.5 - 0.01
    }))
  const quiet = sampleJob({ proc_since: T0, pace: { samples: 0, sum: 0, mean: 1, weight: 1, at: 0 } })
  fc.assert(fc.property(fc.integer({ min: 120_000, max: 1e9 }), ms =>
    jobMetrics(quiet, T0 + ms).throughput_per_min! <= 20 * 60_000 / (ms - 60_000) + 0.01))
})

t.test('nobody works: no throughput; and of an ended job that of the whole run', async (t) => {
  const job = sampleJob({ counted: counted({ completed: 30, failed: 10, skipped: 5, canceled: 3 }), proc_since: T0, pace: known })
  t.equal(jobMetrics(job, T0 + 10_400).throughput_per_min, 60)
  t.match(jobMetrics({ ...job, stalled: true }, T0 + 10_400), { throughput_per_min: 0, eta_reason: 'stalled' })
  t.match(jobMetrics({ ...job, state: 'paused', proc_ms: 10_400, proc_since: null }, T0 + 99_000), { throughput_per_min: 0, eta_reason: 'paused' })
  t.equal(jobMetrics({ ...sampleJob(), proc_since: null, state: 'paused' }, T0).throughput_per_min, null, 'nothing is known')
  const initial = { completed: 5, failed: 0, skipped: 0, canceled: 0 }
  const ended = { ...job, state: 'completed' as const, proc_ms: 90_000, proc_since: null, initial }
  t.equal(jobMetrics(ended, T0 + 1e9).throughput_per_min, 30, 'what was given at registration was not settled in it')
  t.equal(jobMetrics({ ...ended, proc_ms: 0 }, T0).throughput_per_min, null)
  t.equal(jobMetrics(sampleJob({ state: 'failed', proc_ms: 9_000, proc_since: null }), T0).throughput_per_min, null)
})

t.test('eta from durations alone, and from nothing', async (t) => {
  const job = sampleJob({
    items_total: 10, counted: counted({ completed: 4, processing: 2 }), pace: { samples: 1, sum: 500, mean: 0, weight: 0, at: null }
  })
  t.match(jobMetrics(job, T0), { eta_ms: 1_500, eta_reason: 'estimated' }, 'six remain, two at a time')
  t.match(jobMetrics(sampleJob(), T0), {
    eta_ms: null, eta_low_ms: null, eta_high_ms: null, eta_confidence: 0, eta_reason: 'no_samples', finish_at: null
  })
})

t.test('eta is 0 when nothing remains and on every terminal job', async (t) => {
  const nothing = { eta_ms: 0, eta_low_ms: 0, eta_high_ms: 0, eta_reason: 'nothing_remains', finish_at: null }
  t.match(jobMetrics(sampleJob({ counted: counted({ completed: 100 }), pace: known }), T0), nothing)
  for (const state of ['completed', 'canceled', 'failed'] as const) t.match(jobMetrics(sampleJob({ state, pace: known }), T0), nothing, state)
})

t.test('eta is not known while the total is not, or while more is at work than was declared', async (t) => {
  const unknown = { eta_ms: null, eta_low_ms: null, eta_high_ms: null, eta_confidence: 0, eta_reason: 'no_samples', finish_at: null }
  const open = { items_total: 0 }
  t.match(jobMetrics(sampleJob(open), T0), unknown, 'nothing was declared')
  t.match(jobMetrics(sampleJob({ ...open, counted: counted({ completed: 3, processing: 1 }), pace: known }), T0), unknown, 'one at work')
  t.match(jobMetrics(sampleJob({ ...open, counted: counted({ completed: 3, pending: 1 }), pace: known }), T0), unknown, 'one waits')
  t.match(jobMetrics(sampleJob({ items_total: 3, counted: counted({ completed: 3, processing: 1 }), pace: known }), T0), unknown, 'one too many')
  t.match(jobMetrics(sampleJob({ ...open, reported: reported({ completed: 3 }) }), T0), { eta_ms: 0, eta_reason: 'nothing_remains' })
  t.match(jobMetrics(sampleJob({ ...open, state: 'completed' }), T0), { eta_ms: 0, eta_reason: 'nothing_remains' })
})

t.test('the eta of a paused job is what would remain after a resume', async (t) => {
  const paused = sampleJob({
    state: 'paused', items_total: 10, counted: counted({ completed: 7 }), proc_ms: 10_400, proc_since: null, pace: known
  })
  t.match(jobMetrics(paused, T0 + 10_400), { eta_ms: 2_600, eta_reason: 'paused', finish_at: null })
  t.equal(jobMetrics(paused, T0 + 1e9).eta_ms, 2_600, 'it stands while the job stands')
})

t.test('deadline', async (t) => {
  const job = sampleJob({ items_total: 10, counted: counted({ completed: 7 }), proc_since: T0, pace: known, deadline_ms: 12_000 })
  t.match(jobMetrics(job, T0 + 9_000), { processing_deadline_ms: 12_000, deadline_exceeded: false, deadline_at_risk: true })
  t.equal(jobMetrics({ ...job, deadline_ms: 14_000 }, T0 + 10_000).deadline_at_risk, false)
  t.equal(jobMetrics({ ...job, deadline_ms: null }, T0 + 10_000).deadline_at_risk, false)
  t.match(jobMetrics({ ...job, deadline_exceeded: true }, T0 + 13_000), { deadline_exceeded: true, deadline_at_risk: false })
  t.equal(jobMetrics({ ...job, state: 'completed' }, T0 + 13_000).deadline_at_risk, false)
})

t.test('conditions are shown in wall time', async (t) => {
  t.match(jobMetrics(sampleJob({ rate_limited: true, retry_at: T0 + 1_000, gap_ms: 250, stalled: true }), T0), {
    rate_limited: true, retry_at: new Date(T0 + 1_250).toISOString(), stalled: true
  })
  t.equal(jobMetrics(sampleJob({ retry_at: T0 }), T0).retry_at, null, 'no condition, no time')
  for (const state of ['completed', 'canceled', 'failed'] as const) {
    t.match(jobMetrics(sampleJob({ state, rate_limited: true, retry_at: T0 + 1_000, stalled: true }), T0), {
      rate_limited: false, retry_at: null, stalled: false
    }, `${state}: conditions end with the job`)
  }
})

t.test('metrics are a function: they change nothing and depend on nothing else', async (t) => {
  const job = sampleJob({ pace: known, counted: counted({ completed: 3, processing: 1 }), partial: 100 })
  const before = structuredClone(job)
  t.strictSame(jobMetrics(job, T0 + 1), jobMetrics(structuredClone(job), T0 + 1))
  t.strictSame(job, before)
})
