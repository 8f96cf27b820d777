// What clients see: the views and every kind of message.

import t from 'tap'
import type { LoggedEvent } from '../../src/protocol/logged-event.ts'
import { eventMessage, itemProgressMessage, itemView, jobView, progressMessage, snapshotMessage } from '../../src/protocol/view.ts'
import { T0, counted, sampleItem, sampleJob, sampleRegistration } from './samples.ts'

const iso = (ms: number) => new Date(ms).toISOString()

t.test('a job\'s view', async (t) => {
  const job = sampleJob({
    state: 'completed',
    reason: 'all',
    seq: 7,
    rev: 9,
    updated_at: T0 + 60_000,
    state_since: T0 + 1,
    gap_ms: 77,
    control: { id: null, action: 'pause', at: T0, acked: true }
  })
  const view = jobView(job, sampleRegistration({ title: 'T', job_kind: 'encode', concurrency: 3, metadata_json: '{"a":1}' }), T0)
  t.match(view, {
    id: 'job_123',
    tenant_id: 'acme',
    title: 'T',
    job_kind: 'encode',
    item_kind: 'video',
    state: 'completed',
    reason: 'all',
    epoch: T0,
    seq: 7,
    rev: 9,
    concurrency: 3,
    metadata: { a: 1 },
    created_at: iso(T0),
    started_at: iso(T0 + 500),
    updated_at: iso(T0 + 60_000),
    ended_at: iso(T0 + 60_000),
    control: { request_id: null, action: 'pause', acknowledged: true },
    items_total: 100
  })
  t.match(jobView(sampleJob({ started_at: null }), sampleRegistration({ metadata_json: 'no json' }), T0), {
    job_kind: null, metadata: null, started_at: null, ended_at: null
  })
})

t.test('on a canceled job only open items read as canceled', async (t) => {
  const state = (item: Parameters<typeof sampleItem>[0], job: 'canceled' | 'running' | 'failed') => itemView(sampleItem(item), job).state
  t.equal(state({ state: 'pending' }, 'canceled'), 'canceled')
  t.equal(state({ state: 'processing' }, 'canceled'), 'canceled')
  for (const settled of ['completed', 'failed', 'skipped', 'canceled'] as const) t.equal(state({ state: settled }, 'canceled'), settled)
  t.equal(state({ state: 'failed', retryable: true }, 'canceled'), 'failed')
  t.equal(state({ state: 'processing' }, 'failed'), 'processing')
})

t.test('an item\'s texts of JSON are values again', async (t) => {
  t.match(itemView(sampleItem({ error_json: '{"code":[1]}', result_json: '"r"', truncated: true }), 'running'), {
    error: { code: [1] }, result: 'r', truncated: true, title: null, created_at: iso(T0)
  })
  t.equal(itemView(sampleItem({ error_json: '{broken' }), 'running').error, '{broken')
})

t.test('a snapshot', async (t) => {
  const job = sampleJob({ state: 'canceled', seq: 4, rev: 8 })
  const message = snapshotMessage(job, sampleRegistration(), [sampleItem(), sampleItem({ id: 'b', state: 'failed' })], 12, T0 + 5, true)
  t.match(message, {
    type: 'job.snapshot',
    ts: iso(T0 + 5),
    correlation_id: `${T0}.4`,
    job_id: 'job_123',
    seq: 4,
    rev: 8,
    data: { epoch: T0, reset: true, job: { state: 'canceled', seq: 4 }, items: [{ id: 'item_1', state: 'canceled' }, { id: 'b', state: 'failed' }], items_seen: 12 }
  })
})

t.test('every logged event has its message', async (t) => {
  const job = sampleJob({ state: 'failed', deadline_ms: 5_000, seq: 20, rev: 30, counted: counted({ completed: 1 }) })
  const logged = { seq: 3, ts: T0 + 1, cid: 'c', rev: 6 }
  const cases: [LoggedEvent, object][] = [
    [{ ...logged, event: 'state_changed', prior: 'running', next: 'failed', forced: true, reason: 'r' },
      { type: 'job.state_changed', data: { prior_state: 'running', new_state: 'failed', forced: true, reason: 'r' } }],
    [{ ...logged, event: 'rate_limited', retry_at: T0, reason: null }, { type: 'job.rate_limited', data: { retry_at: iso(T0), reason: null } }],
    [{ ...logged, event: 'rate_limited', retry_at: null, reason: 'q' }, { type: 'job.rate_limited', data: { retry_at: null, reason: 'q' } }],
    [{ ...logged, event: 'rate_limit_cleared' }, { type: 'job.rate_limit_cleared', data: {} }],
    [{ ...logged, event: 'stalled' }, { type: 'job.stalled', data: {} }],
    [{ ...logged, event: 'recovered' }, { type: 'job.recovered', data: {} }],
    [{ ...logged, event: 'deadline_exceeded' }, { type: 'job.deadline_exceeded', data: { processing_deadline_ms: 5_000 } }],
    [{ ...logged, event: 'final', state: 'failed', reason: 'x' },
      { type: 'job.failed', data: { state: 'failed', reason: 'x', items_completed: 1, items_total: 100, eta_ms: 0 } }],
    [{ ...logged, event: 'item', name: 'retrying', item: sampleItem({ title: 'T' }) },
      { type: 'clip.retrying', data: { id: 'item_1', title: 'T', state: 'processing', row_index: null, percent_complete: 0 } }]
  ]
  for (const [event, want] of cases) {
    t.match(eventMessage(event, job, 'clip', T0 + 9), { ts: iso(T0 + 1), correlation_id: 'c', job_id: 'job_123', seq: 3, rev: 6, ...want })
  }
  const started: LoggedEvent = { ...logged, event: 'item', name: 'started', item: sampleItem() }
  t.match(eventMessage(started, { ...job, state: 'canceled' }, 'clip', T0), { data: { state: 'processing' } }, 'as it was then')
})

t.test('progress carries the current seq', async (t) => {
  const job = sampleJob({ seq: 4, rev: 8, updated_at: T0 + 3 })
  t.match(progressMessage(job, T0 + 5), {
    type: 'job.progress', ts: iso(T0 + 3), correlation_id: `${T0}.4`, seq: 4, rev: 8, data: { items_total: 100, time_processing_ms: 0 }
  })
  t.match(itemProgressMessage(job, 'clip', { ts: T0 + 2, cid: 'c', item: sampleItem({ percent_complete: 12.5 }) }), {
    type: 'clip.progress', ts: iso(T0 + 2), correlation_id: 'c', seq: 4, rev: 8, data: { id: 'item_1', percent_complete: 12.5 }
  })
})
