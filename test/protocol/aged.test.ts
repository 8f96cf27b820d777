// A view some time later, held against what the gateway would say then of the same job.

import t from 'tap'
import fc from 'fast-check'
import { agedJob, createAging } from '../../src/protocol/aged.ts'
import type { StoredJob } from '../../src/protocol/job.ts'
import type { JobView } from '../../src/protocol/messages.ts'
import { JOB_STATES } from '../../src/protocol/states.ts'
import { jobView } from '../../src/protocol/view.ts'
import { T0, counted, sampleJob, sampleRegistration } from './samples.ts'

const AT = 10_000
const LONG_MS = 1e8

const viewAt = (job: StoredJob, nowMs: number): JobView => jobView(job, sampleRegistration(), nowMs)

/** An item each so many ms, the last one AT after the start. */
function steady (interval: number, weight = 1, changes: Partial<StoredJob> = {}): StoredJob {
  const pace = { samples: 0, sum: 0, mean: interval * weight, weight, at: AT }
  return sampleJob({ proc_since: T0, counted: counted({ completed: 50 }), pace, ...changes })
}

function near (one: number | null, other: number | null, share: number, least: number): boolean {
  return Math.abs(one! - other!) <= Math.max(least, share * Math.abs(other!))
}

t.test('made when an item was settled, it says what the gateway says', async () => {
  const interval = fc.double({ min: 10, max: 1e5, noNaN: true })
  const percents = fc.integer({ min: 5, max: 100 })
  fc.assert(fc.property(interval, percents, fc.integer({ max: 99, min: 1 }), fc.nat(LONG_MS), (ms, percent, completed, age) => {
    const job = steady(ms, percent / 100, { counted: counted({ completed }) })
    const aged = agedJob(viewAt(job, T0 + AT), age)
    const exact = viewAt(job, T0 + AT + age)
    const finish = exact.eta_ms! * 0.02 + ms
    return near(aged.throughput_per_min, exact.throughput_per_min, 0.02, 0.02) && near(aged.eta_ms, exact.eta_ms, 0.02, ms / 10 + 2) &&
      near(aged.eta_high_ms, exact.eta_high_ms, 0.03, ms / 5 + 4) && near(aged.eta_confidence, exact.eta_confidence, 0, 0.02) &&
      near(Date.parse(aged.finish_at!), Date.parse(exact.finish_at!), 0, finish) &&
      aged.time_processing_ms === exact.time_processing_ms && aged.eta_reason === exact.eta_reason
  }))
})

t.test('made at any time, it is not slower than the gateway\'s word, and comes to nothing all the same', async () => {
  fc.assert(fc.property(fc.double({ min: 0.01, max: 1e5, noNaN: true }), fc.nat(LONG_MS), fc.nat(LONG_MS), (interval, before, age) => {
    const job = steady(interval)
    const rate = agedJob(viewAt(job, T0 + AT + before), age).throughput_per_min!
    return rate >= viewAt(job, T0 + AT + before + age).throughput_per_min! * 0.98 - 0.02
  }))
  fc.assert(fc.property(fc.nat(LONG_MS), fc.integer({ min: 120_000, max: LONG_MS }), (before, age) =>
    agedJob(viewAt(steady(0.0746), T0 + AT + before), age).throughput_per_min! <= 20 * 60_000 / (age - 60_000) + 1))
})

t.test('nothing runs, nothing changes', async (t) => {
  for (const state of JOB_STATES) {
    const runs = ['running', 'pausing', 'completing', 'canceling'].includes(state)
    const view = viewAt(steady(1_000, 1, { state, proc_since: runs ? T0 : null }), T0 + AT)
    t.equal(agedJob(view, 0), view)
    t.equal(agedJob(view, 5_000) === view, !runs, state)
  }
  const stalled = { ...viewAt(steady(1_000), T0 + AT), stalled: true } // its event came after the metrics
  t.match(agedJob(stalled, 1), { throughput_per_min: 0, time_processing_ms: AT + 1 })
  t.match(agedJob(viewAt(sampleJob(), T0 + AT), 1_000), { throughput_per_min: null, eta_ms: null, time_processing_ms: 10_500 })
})

t.test('a rate limit is waited for', async (t) => {
  const view = viewAt(steady(1_000, 1, { rate_limited: true, retry_at: T0 + AT + 60_000 }), T0 + AT)
  t.equal(view.eta_ms, 60_000 + 49_000)
  t.match(agedJob(view, 30_000), { eta_ms: 79_000, finish_at: view.finish_at })
  t.match(agedJob(view, 600_000), { eta_reason: 'rate_limited', throughput_per_min: 2.14 })
  const open = viewAt(steady(1_000, 1, { rate_limited: true }), T0 + AT) // nobody knows until when
  t.match(agedJob(open, 30_000), { eta_ms: open.eta_ms })
})

t.test('from durations alone the estimate counts down, and ends at 1', async (t) => {
  const pace = { samples: 1, sum: 500, mean: 0, weight: 0, at: null }
  const view = viewAt(sampleJob({ proc_since: T0, items_total: 4, counted: counted({ completed: 1, processing: 1 }), pace }), T0)
  t.equal(view.eta_ms, 1_500)
  t.match(agedJob(view, 1_000), { eta_ms: 500, finish_at: view.finish_at })
  t.equal(agedJob(view, 9_000).eta_ms, 1)
})

t.test('a job that is heard of again is as it was said; one that is not grows old', async (t) => {
  let now = 1_000
  const aged = createAging(() => now)
  const pace = { samples: 0, sum: 0, mean: 1_000, weight: 1, at: 10_000 }
  const view = jobView(sampleJob({ proc_since: T0, counted: counted({ completed: 90 }), pace }), sampleRegistration(), T0 + 10_000)
  t.equal(aged(view), view)
  now += 400
  t.match(aged(view), { eta_ms: 9_600, time_processing_ms: 10_400, throughput_per_min: 60 })
  const heard = { ...view }
  t.equal(aged(heard), heard, 'another object: the next message')
  now += 600_000
  t.match(aged(view), { throughput_per_min: 2.14, eta_reason: 'silent' })
  t.match(view, { eta_ms: 10_000 }, 'nothing given is changed')
})
