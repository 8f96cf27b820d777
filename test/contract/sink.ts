// What every sink must do. Another database passes this suite, and is a sink.

import type { Test } from 'tap'
import type { Batch, EventRow, ItemRow, JobRow, Sink } from '../../src/persister/sink.ts'

export interface SinkUnderTest {
  sink: Sink
  /** What it holds, by key, with nothing but what the suite compares. */
  read (): Promise<{ jobs: Record<string, unknown>, items: Record<string, unknown>, events: Record<string, unknown> }>
}

const RUN = 1_764_200_000_000
const TS = '2026-11-27T00:00:00.000Z'

export function aJob (id: string, rev: number, more: Partial<JobRow> = {}): JobRow {
  return {
    id,
    tenant_id: 'acme',
    title: `Job ${id}`,
    job_kind: null,
    item_kind: 'video',
    state: 'running',
    reason: null,
    run: RUN,
    epoch: RUN,
    seq: rev,
    rev,
    concurrency: null,
    auto_complete: false,
    fail_on_deadline: false,
    metadata: { k: ['ü', null] },
    created_at: TS,
    started_at: TS,
    updated_at: TS,
    ended_at: null,
    control: { request_id: null, action: null, acknowledged: false },
    items_total: 3,
    items_completed: rev,
    items_failed: 0,
    items_skipped: 0,
    items_canceled: 0,
    items_pending: 0,
    items_processing: 0,
    percent_complete: 33.33,
    percent_in_progress: 33.33,
    time_to_start_ms: 0,
    time_processing_ms: 5,
    average_duration_ms_per_item: null,
    throughput_per_min: null,
    eta_ms: null,
    eta_low_ms: null,
    eta_high_ms: null,
    eta_confidence: 0,
    eta_reason: 'no_samples',
    finish_at: null,
    rate_limited: false,
    retry_at: null,
    stalled: false,
    processing_deadline_ms: null,
    deadline_exceeded: false,
    deadline_at_risk: false,
    history_truncated: false,
    engine: `1\t0\nrecord\nheader ${rev}`,
    ...more
  }
}

export function anItem (job: string, id: string, seq: number, more: Partial<ItemRow> = {}): ItemRow {
  return {
    tenant_id: 'acme',
    job_id: job,
    run: RUN,
    epoch: RUN,
    seq,
    id,
    title: null,
    state: 'completed',
    row_index: null,
    percent_complete: 100,
    attempt: 1,
    retryable: false,
    created_at: TS,
    updated_at: TS,
    duration_ms: 1,
    weight: null,
    kind: null,
    worker: null,
    error: null,
    result: { ok: true },
    truncated: false,
    ...more
  }
}

export function anEvent (job: string, seq: number, more: Partial<EventRow> = {}): EventRow {
  return {
    tenant_id: 'acme', job_id: job, run: RUN, epoch: RUN, seq, rev: seq, type: 'video.completed', ts: TS, correlation_id: `c${seq}`, data: { id: `i${seq}` }, ...more
  }
}

export function batchWith (batch: Partial<Batch>): Batch {
  return { jobs: [], items: [], events: [], ...batch }
}

/** @param create a fresh and empty one; torn down with the test */
export function sinkContract (t: Test, create: (t: Test) => Promise<SinkUnderTest>): void {
  const signal = new AbortController().signal

  t.test('it has a version, and tidying up is harmless', async (t) => {
    const { sink } = await create(t)
    t.ok(await sink.version(signal) >= 1)
    await sink.maintain(signal)
    await sink.maintain(signal)
  })

  t.test('a batch is stored; the same one again changes nothing', async (t) => {
    const { sink, read } = await create(t)
    const batch = batchWith({ jobs: [aJob('a', 2), aJob('b', 1)], items: [anItem('a', 'i1', 1)], events: [anEvent('a', 1), anEvent('a', 2)] })
    t.match(await sink.persist(batch, signal), { jobs: 2, jobs_written: 2, items: 1, items_written: 1, events: 2, events_written: 2 })
    const first = await read()
    t.match(await sink.persist(batch, signal), { jobs: 2, jobs_written: 0, items: 1, items_written: 0, events: 2, events_written: 0 })
    t.same(await read(), first)
    t.match(await sink.persist(batchWith({}), signal), { jobs: 0, items: 0, events: 0 })
  })

  t.test('only the newer wins, by (epoch, rev); an event that stands stays', async (t) => {
    const { sink, read } = await create(t)
    await sink.persist(batchWith({ jobs: [aJob('a', 5)], items: [anItem('a', 'i', 5)], events: [anEvent('a', 1)] }), signal)
    const older = batchWith({ jobs: [aJob('a', 4)], items: [anItem('a', 'i', 4, { state: 'failed' })], events: [anEvent('a', 1, { type: 'other' })] })
    t.match(await sink.persist(older, signal), { jobs_written: 0, items_written: 0, events_written: 0 })
    const lower = batchWith({ jobs: [aJob('a', 9, { epoch: RUN - 1 })], items: [anItem('a', 'i', 9, { epoch: RUN - 1 })] })
    t.match(await sink.persist(lower, signal), { jobs_written: 0, items_written: 0 })
    const higher = batchWith({ jobs: [aJob('a', 1, { epoch: RUN + 1 })], items: [anItem('a', 'i', 1, { epoch: RUN + 1 })], events: [anEvent('a', 1, { epoch: RUN + 1 })] })
    t.match(await sink.persist(higher, signal), { jobs_written: 1, items_written: 1, events_written: 1 })
    const { jobs, events } = await read()
    t.match(jobs, { 'acme/a': { epoch: RUN + 1, rev: 1 } })
    t.equal(Object.keys(events).length, 2)
  })

  t.test('a reused id is another run: its items and events stand apart, lost history is not inherited', async (t) => {
    const { sink, read } = await create(t)
    await sink.persist(batchWith({ jobs: [aJob('a', 5, { history_truncated: true })], items: [anItem('a', 'i', 1)], events: [anEvent('a', 1)] }), signal)
    const run = RUN + 1_000
    await sink.persist(batchWith({ jobs: [aJob('a', 1, { run, epoch: run })], events: [anEvent('a', 1, { run, epoch: run })] }), signal)
    t.match((await read()).jobs, { 'acme/a': { run, history_truncated: false } })
    t.same(await sink.itemsOf({ tenant_id: 'acme', job_id: 'a', run }, null, 10, signal), [])
    t.equal((await sink.itemsOf({ tenant_id: 'acme', job_id: 'a', run: RUN }, null, 10, signal)).length, 1)
    t.equal(Object.keys((await read()).events).length, 2)
  })

  t.test('lost history is told also by a row that is not newer, and stays told', async (t) => {
    const { sink, read } = await create(t)
    await sink.persist(batchWith({ jobs: [aJob('a', 5)] }), signal)
    await sink.persist(batchWith({ jobs: [aJob('a', 5, { history_truncated: true })] }), signal)
    await sink.persist(batchWith({ jobs: [aJob('a', 6)] }), signal)
    t.match((await read()).jobs, { 'acme/a': { rev: 6, history_truncated: true } })
  })

  t.test('two tenants may have the same id', async (t) => {
    const { sink, read } = await create(t)
    await sink.persist(batchWith({ jobs: [aJob('a', 1), aJob('a', 2, { tenant_id: 'umbrella' })], events: [anEvent('a', 1), anEvent('a', 1, { tenant_id: 'umbrella' })] }), signal)
    t.match((await read()).jobs, { 'acme/a': { rev: 1 }, 'umbrella/a': { rev: 2 } })
  })

  t.test('jobs that have not ended come in pages, with what a rebuild needs; their items too', async (t) => {
    const { sink } = await create(t)
    const jobs = Array.from({ length: 7 }, (_, n) => aJob(`j${n}`, 1, n === 3 ? { state: 'completed' } : { tenant_id: n > 4 ? 'Umbrella' : 'acme' }))
    await sink.persist(batchWith({ jobs, items: ['b', 'a', 'C'].map((id) => anItem('j1', id, 1)) }), signal)
    const found: string[] = []
    for (let after: [string, string] | null = null; ;) {
      const page = await sink.activeJobs(after, 2, signal)
      for (const { tenant_id: tenant, id, run, epoch, engine } of page) {
        found.push(`${tenant}/${id}`)
        t.match({ run, epoch, engine }, { run: RUN, epoch: RUN, engine: '1\t0\nrecord\nheader 1' })
      }
      const last = page.at(-1)
      if (last === undefined) break
      after = [last.tenant_id, last.id]
    }
    t.same(found.toSorted(), ['Umbrella/j5', 'Umbrella/j6', 'acme/j0', 'acme/j1', 'acme/j2', 'acme/j4'])
    const key = { tenant_id: 'acme', job_id: 'j1', run: RUN }
    const [first, ...others] = await sink.itemsOf(key, null, 2, signal)
    t.equal(others.length, 1)
    const rest = await sink.itemsOf(key, others[0]?.id ?? null, 2, signal)
    t.same([first, ...others, ...rest].map((item) => item?.id).toSorted(), ['C', 'a', 'b'])
    t.match(first, { state: 'completed', attempt: 1, result: { ok: true }, percent_complete: 100 })
  })

  t.test('a call that is given up ends', async (t) => {
    const { sink } = await create(t)
    await t.rejects(sink.persist(batchWith({ jobs: [aJob('a', 1)] }), AbortSignal.abort()))
  })
}
