// Records written by the columns of docs/engine.md, by hand and from arbitrary values, and read back.

import t from 'tap'
import fc from 'fast-check'
import {
  decodeAnswer, decodeHeader, decodeItem, decodeLogChunk, decodeMessage, decodeRegistration, decodeTenantMessage
} from '../../src/engine/packed.ts'
import type { StoredItem } from '../../src/protocol/job.ts'
import { escapeText } from '../../src/protocol/pack.ts'
import { ITEM_STATES } from '../../src/protocol/states.ts'
import { anyId, anyText, sampleItem } from '../protocol/samples.ts'

const address = { tenant: 'acme', id: 'j', gap_ms: 40, partition_epoch: 0 }
const HEADER = ['1', '17-3', '1000', '12', '34', 'pausing', 'RSHDAFWX', '2000', '100', '1', '2', '3', '4', '5', '6', '7', '8', '9,,11,',
  '1,2,3,4', '1100', '1200', '1300', '1400', '1500', '1600', '1700', '1800', 'req-1,pause,1900,1', '5000', '2,290.5,400,0.4,900',
  '1,3,20,4000,15,77', 'a%09b%25'].join('\t')
const MINIMAL = ['1', '0-0', '1000', '0', '1', 'pending', '', '', '0', '0', '0', '0', '0', '0', '0', '0', '0', '', '', '1100', '', '0', '',
  '1100', '1100', '1100', '', '', '', '', '0,0,0,0,0,', ''].join('\t')

t.test('a full header', async (t) => {
  t.strictSame(decodeHeader(HEADER, address), {
    tenant_id: 'acme',
    id: 'j',
    epoch: 1000,
    registered_epoch: 1000,
    lid: '17-3',
    seq: 12,
    rev: 34,
    state: 'pausing',
    reason: 'a\tb%',
    rate_limited: true,
    retry_at: 2000,
    stalled: true,
    deadline_exceeded: true,
    auto_complete: true,
    fail_on_deadline: true,
    waits: true,
    stripped: true,
    items_total: 100,
    counted: { completed: 1, failed: 2, retryable: 3, skipped: 4, canceled: 5, processing: 6, pending: 7 },
    partial: 8,
    reported: { completed: 9, failed: null, skipped: 11, canceled: null },
    initial: { completed: 1, failed: 2, skipped: 3, canceled: 4 },
    created_at: 1100,
    started_at: 1200,
    proc_ms: 1300,
    proc_since: 1400,
    life: 1500,
    updated_at: 1600,
    state_since: 1700,
    idle_since: 1800,
    control: { id: 'req-1', action: 'pause', at: 1900, acked: true },
    deadline_ms: 5000,
    pace: { samples: 2, sum: 290.5, mean: 400, weight: 0.4, at: 900 },
    store: { log_first: 1, log_last: 3, log_events: 20, log_bytes: 4000, items_seen: 15, outbox: 77 },
    gap_ms: 40
  })
})

t.test('empty columns are absent values', async (t) => {
  t.match(decodeHeader(MINIMAL, address), {
    rate_limited: false,
    stalled: false,
    waits: false,
    retry_at: null,
    started_at: null,
    proc_since: null,
    idle_since: null,
    reason: null,
    reported: { completed: null, failed: null },
    initial: { completed: 0, canceled: 0 },
    deadline_ms: null,
    control: { id: null, action: null, at: null, acked: false },
    pace: { samples: 0, sum: 0, mean: 0, weight: 0, at: null },
    store: { items_seen: 0, outbox: null }
  })
  const control = (column: string) => decodeHeader(HEADER.replace('req-1,pause,1900,1', column), address).control
  t.strictSame(control(',cancel,5,0'), { id: null, action: 'cancel', at: 5, acked: false }, 'a closed request')
  t.strictSame(control('a,b%25,cancel,5,0'), { id: 'a,b%', action: 'cancel', at: 5, acked: false }, 'a foreign id with commas')
})

t.test('a data loss of the partition raises the epoch, and keeps the registered one', async (t) => {
  t.match(decodeHeader(HEADER, { ...address, partition_epoch: 5000 }), { epoch: 5000, registered_epoch: 1000 })
  t.match(decodeHeader(HEADER, { ...address, partition_epoch: 999 }), { epoch: 1000 })
})

t.test('a newer format is refused, whatever it is', async (t) => {
  const newer = { code: 'newer_format' }
  t.throws(() => decodeHeader('2\tx', address), newer)
  t.throws(() => decodeRegistration('2\tx'), newer)
  t.throws(() => decodeLogChunk('2\t1\t1\t1\t1'), newer)
  t.throws(() => decodeMessage('2u\tx'), newer)
  t.throws(() => decodeLogChunk('1\t1\t1\t1\t1\nZ\t1\t'), newer)
})

t.test('a registration', async (t) => {
  t.strictSame(decodeRegistration('1\t100\tencode\tclip\t8\t60000\tAF\t50%25%0A\t{"a":"%09"}'), {
    items_total: 100,
    job_kind: 'encode',
    item_kind: 'clip',
    concurrency: 8,
    deadline_ms: 60000,
    auto_complete: true,
    fail_on_deadline: true,
    title: '50%\n',
    metadata_json: '{"a":"\t"}'
  })
  t.match(decodeRegistration('1\t0\t\tvideo\t\t\t\t\t'), {
    job_kind: '', concurrency: null, deadline_ms: null, auto_complete: false, fail_on_deadline: false, title: null, metadata_json: null
  })
})

const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary)
const wallMs = fc.integer({ min: 0, max: 1e14 - 1 })
const label = orNull(anyText.filter((text) => text !== ''))
const anyItem: fc.Arbitrary<StoredItem> = fc.record({
  id: anyId,
  state: fc.constantFrom(...ITEM_STATES),
  attempt: fc.integer({ min: 1, max: 99 }),
  retryable: fc.boolean(),
  percent_complete: fc.integer({ min: 0, max: 10_000 }).map((hundredths) => hundredths / 100),
  started_at: orNull(wallMs),
  duration_ms: orNull(fc.nat()),
  created_at: wallMs,
  updated_at: wallMs,
  truncated: fc.boolean(),
  row_index: orNull(fc.nat()),
  weight: orNull(fc.double({ noNaN: true, noDefaultInfinity: true }).map((weight) => weight + 0)),
  title: label,
  kind: label,
  worker: label,
  error_json: label,
  result_json: label
})

function record (item: StoredItem): string {
  const text = (value: string | null) => value === null ? '' : escapeText(value)
  return [item.state, item.attempt, item.retryable ? '1' : '0', Math.round(item.percent_complete * 100), item.started_at ?? '',
    item.duration_ms ?? '', item.created_at, item.updated_at, item.truncated ? '1' : '', item.row_index ?? '', item.weight ?? '',
    text(item.title), text(item.kind), text(item.worker), text(item.error_json), text(item.result_json)].join('\t')
}

t.test('any item comes back, alone, in a log and in a message', async (t) => {
  fc.assert(fc.property(anyItem, anyText, (item, cid) => {
    const line = `f\t5\t${escapeText(cid)}\t${item.id}\t${record(item)}`
    const alone = decodeItem(item.id, record(item))
    const logged = decodeLogChunk(`1\t9\t8\t3\t4\n${line}\n${line}`)
    const sent = decodeMessage(`1u\t9\t3\t3\t0\tacme\tj\n${HEADER}\n\n${line}\np${line.slice(1)}`)
    t.strictSame(alone, { ...item, weight: item.weight })
    t.strictSame(logged.events.map((event) => [event.seq, event.event === 'item' && event.item]), [[3, alone], [4, alone]])
    t.strictSame(logged.events[0]?.cid, cid === '' ? '9.3' : cid)
    t.match(sent, { type: 'update', seq_from: 3, seq_to: 3, registration: null })
    t.strictSame(sent.type === 'update' && sent.progress, [{ ts: 5, cid: cid === '' ? '9.12' : cid, item: alone }])
    return true
  }), { numRuns: 100 })
})

t.test('every letter of the log', async (t) => {
  const chunk = ['1\t1000\t34\t5\t18', 'S\t1\tc\trunning\tpausing\t1\tby%09user', 'L\t2\t\t3000\tquota', 'L\t2\t\t\t', 'l\t3\t', 'T\t4\t', 't\t5\t',
    'D\t6\t', 'F\t7\tc\tfailed\tabandoned'].join('\n')
  const letters = ['q', 's', 'c', 'f', 'k', 'x', 'r'].map((letter) => `${letter}\t8\tc\ti\t${record(sampleItem())}`).join('\n')
  const { epoch, rev, seq_from: from, seq_to: to, events } = decodeLogChunk(`${chunk}\n${letters}`)
  t.strictSame([epoch, rev, from, to], [1000, 34, 5, 18])
  t.strictSame(events.slice(0, 8), [
    { seq: 5, ts: 1, cid: 'c', rev: 34, event: 'state_changed', prior: 'running', next: 'pausing', forced: true, reason: 'by\tuser' },
    { seq: 6, ts: 2, cid: '1000.6', rev: 34, event: 'rate_limited', retry_at: 3000, reason: 'quota' },
    { seq: 7, ts: 2, cid: '1000.7', rev: 34, event: 'rate_limited', retry_at: null, reason: null },
    { seq: 8, ts: 3, cid: '1000.8', rev: 34, event: 'rate_limit_cleared' },
    { seq: 9, ts: 4, cid: '1000.9', rev: 34, event: 'stalled' },
    { seq: 10, ts: 5, cid: '1000.10', rev: 34, event: 'recovered' },
    { seq: 11, ts: 6, cid: '1000.11', rev: 34, event: 'deadline_exceeded' },
    { seq: 12, ts: 7, cid: 'c', rev: 34, event: 'final', state: 'failed', reason: 'abandoned' }
  ])
  const names = events.slice(8).map((event) => event.event === 'item' ? event.name : event.event)
  t.strictSame(names, ['queued', 'started', 'completed', 'failed', 'skipped', 'canceled', 'retrying'])
})

t.test('messages', async (t) => {
  const quiet = decodeMessage(`1u\t5000\t13\t12\t70\tacme\tj:1\n${HEADER}\n1\t7\t\tvideo\t\t\t\t\t`)
  t.match(quiet, {
    type: 'update',
    tenant_id: 'acme',
    job_id: 'j:1',
    epoch: 5000,
    seq_from: 13,
    seq_to: 12,
    events: [],
    progress: [],
    job: { epoch: 5000, registered_epoch: 1000, gap_ms: 70, id: 'j:1' },
    registration: { items_total: 7 }
  })
  t.strictSame(decodeMessage('1g\t5000\t35\tacme\tj:1'), { type: 'gone', tenant_id: 'acme', job_id: 'j:1', epoch: 5000, rev: 35 })
})

t.test('messages of a tenant', async (t) => {
  const changes = decodeTenantMessage(`1t\t70\nu\tj:1\t5000\t${HEADER}\ng\tj:2\t4000\t35\nu\tj:3\t1000\t${MINIMAL}`, 'acme')
  t.strictSame(changes, [
    { type: 'job', job: decodeHeader(HEADER, { tenant: 'acme', id: 'j:1', gap_ms: 70, partition_epoch: 5000 }) },
    { type: 'removed', job_id: 'j:2', epoch: 4000, rev: 35 },
    { type: 'job', job: decodeHeader(MINIMAL, { tenant: 'acme', id: 'j:3', gap_ms: 70, partition_epoch: 0 }) }
  ])
  t.throws(() => decodeTenantMessage('2t\t70', 'acme'), { code: 'newer_format' })
  t.throws(() => decodeTenantMessage('1t\t70\nz\tj', 'acme'), { code: 'newer_format' })
})

t.test('answers', async (t) => {
  t.strictSame(decodeAnswer('ok\tapplied\tpausing\t35\treq-1\nok\trepeat\trunning\t3\t\n' +
    'no\tinvalid_transition\tjob j is completed%25\tcompleted\tpaused,failed\nno\tfrom_the_future\t\t\t'), [
    { outcome: 'ok', effect: 'applied', state: 'pausing', rev: 35, request_id: 'req-1' },
    { outcome: 'ok', effect: 'repeat', state: 'running', rev: 3, request_id: null },
    { outcome: 'refused', code: 'invalid_transition', detail: 'job j is completed%', state: 'completed', allowed: ['paused', 'failed'] },
    { outcome: 'refused', code: 'internal', detail: 'from_the_future', state: null, allowed: [] }
  ])
})
