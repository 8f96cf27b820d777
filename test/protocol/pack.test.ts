// Packed lines, read back by the columns of docs/engine.md §3.

import t from 'tap'
import fc from 'fast-check'
import { HeadwayError } from '../../src/protocol/errors.ts'
import { packBatch, packEvent, unescapeText } from '../../src/protocol/pack.ts'
import { ITEM_STATES } from '../../src/protocol/states.ts'
import type { ItemData, WorkerEvent } from '../../src/protocol/worker-events.ts'
import { anyId, anyText, longText } from './samples.ts'

const COLUMNS = {
  r: ('tenant job cid items_total state completed failed skipped canceled rate_limited deadline_ms auto_complete fail_on_deadline ' +
    'created_ms title job_kind item_kind concurrency metadata').split(' '),
  s: 'tenant job cid state resume retry_at_ms reason'.split(' '),
  p: 'tenant job cid items_total completed failed skipped canceled rate_limited retry_at_ms'.split(' '),
  h: 'tenant job cid ack worker'.split(' '),
  c: 'tenant job cid action reason'.split(' '),
  i: ('tenant job cid item state attempt retryable percent duration_ms created_ms updated_ms truncated row_index weight title kind ' +
    'worker error result').split(' ')
}

/** A line as a map of its columns that are not empty. */
function read (line: string): Record<string, string> {
  const [letter, ...values] = line.split('\t')
  const names = COLUMNS[letter as keyof typeof COLUMNS]
  if (names.length !== values.length) throw new Error(`${values.length} columns in a line of ${names.length}: ${line}`)
  return Object.fromEntries(names.map((name, i) => [name, unescapeText(values[i]!)]).filter(([, value]) => value !== ''))
}

const item = (data: unknown): WorkerEvent => ({ tenant: 'acme', job: 'j', type: 'item.update', data: data as ItemData })
const of = (type: string, data: unknown): WorkerEvent => ({ tenant: 'acme', job: 'j', type, data }) as WorkerEvent

function codeOf (run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof HeadwayError) return error.code
    throw error
  }
  return 'accepted'
}

t.test('every type has the columns of its format', async (t) => {
  const created = '2026-11-23T12:00:00.123456'
  const ms = String(Date.UTC(2026, 10, 23, 12, 0, 0, 123))
  t.strictSame(read(packEvent({
    type: 'job.register',
    tenant: 'acme',
    job: 'job_123',
    cid: 'c\t1',
    data: {
      items_total: 100,
      state: 'running',
      items_completed: 1,
      items_failed: 2,
      items_skipped: 3,
      items_canceled: 4,
      rate_limited: false,
      processing_deadline_ms: 60_000,
      auto_complete: true,
      fail_on_deadline: true,
      created_at: created,
      title: '100 %\tdone',
      job_kind: 'encode',
      item_kind: 'clip',
      concurrency: 8,
      metadata: { a: ['\n'] }
    }
  })), {
    tenant: 'acme',
    job: 'job_123',
    cid: 'c\t1',
    items_total: '100',
    state: 'running',
    completed: '1',
    failed: '2',
    skipped: '3',
    canceled: '4',
    rate_limited: '0',
    deadline_ms: '60000',
    auto_complete: '1',
    fail_on_deadline: '1',
    created_ms: ms,
    title: '100 %\tdone',
    job_kind: 'encode',
    item_kind: 'clip',
    concurrency: '8',
    metadata: '{"a":["\\n"]}'
  })
  t.strictSame(read(packEvent(of('job.register', {}))), { tenant: 'acme', job: 'j' })
  t.strictSame(read(packEvent(of('job.state', { state: 'rate_limited', retry_at: 5, reason: 'quota', resume: true }))),
    { tenant: 'acme', job: 'j', state: 'rate_limited', resume: '1', retry_at_ms: '5', reason: 'quota' })
  t.strictSame(read(packEvent(of('job.progress', { items_total: 9, items_completed: 0, rate_limited: true, retry_at: 7 }))),
    { tenant: 'acme', job: 'j', items_total: '9', completed: '0', rate_limited: '1', retry_at_ms: '7' })
  t.strictSame(read(packEvent(of('job.heartbeat', { ack: 'r1', worker: 'w' }))), { tenant: 'acme', job: 'j', ack: 'r1', worker: 'w' })
  t.strictSame(read(packEvent(of('job.control', { action: 'pause', reason: 'lunch' }))), { tenant: 'acme', job: 'j', action: 'pause', reason: 'lunch' })
  t.strictSame(read(packEvent(item({
    id: 'a:log',
    state: 'failed',
    attempt: 2,
    retryable: true,
    percent_complete: 12.345,
    duration_ms: 10.6,
    created_at: 1,
    updated_at: 2,
    row_index: 0,
    weight: 0.5,
    title: 'T',
    kind: 'k',
    worker: 'w',
    error: { code: 7 },
    result: 'r'
  }))), {
    tenant: 'acme',
    job: 'j',
    item: 'a:log',
    state: 'failed',
    attempt: '2',
    retryable: '1',
    percent: '1235',
    duration_ms: '11',
    created_ms: '1',
    updated_ms: '2',
    row_index: '0',
    weight: '0.5',
    title: 'T',
    kind: 'k',
    worker: 'w',
    error: '{"code":7}',
    result: '"r"'
  })
})

t.test('unknown fields are dropped, null is absent', async (t) => {
  t.strictSame(read(packEvent(item({ id: 'i', title: null, error: null, attempt: null, colour: 'red', status: 'x' }))),
    { tenant: 'acme', job: 'j', item: 'i' })
})

t.test('any item comes back column by column', async () => {
  const data = fc.record({
    id: anyId,
    state: fc.constantFrom(...ITEM_STATES),
    title: anyText,
    kind: anyText.filter((text) => Buffer.byteLength(text) <= 128),
    error: fc.jsonValue({ maxDepth: 3 }).filter((value) => value !== null && Buffer.byteLength(JSON.stringify(value)) <= 2_048),
    row_index: fc.nat(),
    percent_complete: fc.integer({ min: 0, max: 10_000 }).map((hundredths) => hundredths / 100)
  }, { requiredKeys: ['id'] })
  fc.assert(fc.property(data, (given) => {
    if (Buffer.byteLength(given.title ?? '') > 512) return true
    const line = packEvent(item(given))
    const got = read(line)
    return !line.includes('\n') && got.item === given.id && got.state === given.state && (got.title ?? '') === (given.title ?? '') &&
      (got.kind ?? '') === (given.kind ?? '') && got.truncated === undefined &&
      got.error === (given.error === undefined ? undefined : JSON.stringify(given.error)) &&
      got.row_index === (given.row_index === undefined ? undefined : String(given.row_index)) &&
      got.percent === (given.percent_complete === undefined ? undefined : String(Math.round(given.percent_complete * 100)))
  }), { numRuns: 300 })
})

t.test('long texts are cut at whole characters and marked', async (t) => {
  fc.assert(fc.property(longText, longText, longText, (title, error, result) => {
    const got = read(packEvent(item({ id: 'i', title, error, result: { result } })))
    const whole = Buffer.byteLength(title) <= 512 && Buffer.byteLength(error) <= 2_048 &&
      Buffer.byteLength(JSON.stringify({ result })) <= 2_048
    const shown = JSON.parse(got.result!)
    return (got.truncated === undefined) === whole && Buffer.byteLength(got.title ?? '') <= 512 && title.startsWith(got.title ?? '') &&
      error.startsWith(JSON.parse(got.error!)) &&
      (typeof shown === 'string' ? JSON.stringify({ result }).startsWith(shown) && Buffer.byteLength(shown) <= 2_048 : shown.result === result)
  }), { numRuns: 300 })
  t.equal(read(packEvent(of('job.state', { state: 'failed', reason: '€'.repeat(400) }))).reason, '€'.repeat(170), '510 of 512 bytes')
})

t.test('what is not allowed is refused by name', async (t) => {
  const refused: [WorkerEvent, string][] = [
    [of('job.progress', { items_completed: -1 }), 'invalid_field'],
    [of('job.progress', { items_completed: 1.5 }), 'invalid_field'],
    [of('job.progress', { items_completed: '5' }), 'invalid_field'],
    [of('job.progress', { items_total: NaN }), 'invalid_field'],
    [of('job.progress', { items_total: JSON.parse('1e999') }), 'invalid_field'],
    [of('job.progress', { items_total: 1e14 }), 'invalid_field'],
    [of('job.progress', { rate_limited: 1 }), 'invalid_field'],
    [of('job.progress', null), 'invalid_field'],
    [of('job.state', { state: 'stopped' }), 'invalid_field'],
    [of('job.state', {}), 'invalid_field'],
    [of('job.state', { state: 'failed', retry_at: 'soon' }), 'invalid_field'],
    [of('job.control', { action: 'stop' }), 'invalid_field'],
    [of('job.register', { item_kind: 'job' }), 'invalid_field'],
    [of('job.register', { state: 'paused' }), 'invalid_field'],
    [of('job.register', { title: 7 }), 'invalid_field'],
    [of('job.register', { metadata: [] }), 'invalid_field'],
    [of('job.register', { metadata: new Date(0) }), 'invalid_field'],
    [of('job.register', { metadata: { text: 'x'.repeat(4_096) } }), 'invalid_field'],
    [of('job.register', { metadata: nested(15) }), 'accepted'],
    [of('job.register', { metadata: nested(16) }), 'too_deep'],
    [item({ id: 'i', error: nested(20_000) }), 'too_deep'],
    [item({ id: 'i', result: 10n }), 'invalid_field'],
    [item({ id: 'i', result: () => 0 }), 'invalid_field'],
    [item({ id: 'i', percent_complete: 100.1 }), 'invalid_field'],
    [item({ id: 'i', weight: Infinity }), 'invalid_field'],
    [item({ id: 'i', attempt: 0 }), 'invalid_field'],
    [item({ id: 'i', state: 'running' }), 'invalid_field'],
    [item({ id: 'i', duration_ms: -1 }), 'invalid_field'],
    [item({ id: 'a/b' }), 'invalid_field'],
    [item({}), 'invalid_field'],
    [{ ...item({ id: 'i' }), tenant: 'a/b' }, 'invalid_field'],
    [{ ...item({ id: 'i' }), job: '' }, 'invalid_field'],
    [{ ...item({ id: 'i' }), cid: 'x'.repeat(129) }, 'invalid_field'],
    [of('job.explode', {}), 'unknown_type'],
    [of('job.register', { metadata: { text: '%'.repeat(4_000) }, title: '%'.repeat(512) }), 'accepted'],
    [item({ id: 'i', error: '\u0001'.repeat(2_048), result: '\u0001'.repeat(2_048) }), 'event_too_large']
  ]
  for (const [event, code] of refused) t.equal(codeOf(() => packEvent(event)), code, show(event))
  t.throws(() => packEvent(of('job.progress', { items_failed: -3 })), { message: /job\.progress: items_failed must be .*; it is -3/ })
})

t.test('a batch names tenant and job only when they change', async (t) => {
  const a = { tenant: 'acme', job: 'j1', type: 'job.heartbeat', data: {} } as const
  t.equal(packBatch([a, a, { ...a, job: 'j2' }, { ...a, tenant: 'other', job: 'j2' }]),
    '1\nh\tacme\tj1\t\t\t\nh\t\t\t\t\t\nh\tacme\tj2\t\t\t\nh\tother\tj2\t\t\t')
})

t.test('a batch is bounded in events and bytes', async (t) => {
  const small = item({ id: 'i' })
  const large = item({ id: 'i', error: 'x'.repeat(2_048) })
  t.equal(codeOf(() => packBatch(Array(64).fill(small))), 'accepted')
  t.equal(codeOf(() => packBatch(Array(65).fill(small))), 'entry_too_large')
  t.equal(codeOf(() => packBatch(Array(31).fill(large))), 'accepted')
  t.equal(codeOf(() => packBatch(Array(32).fill(large))), 'entry_too_large')
  t.equal(codeOf(() => packBatch([])), 'malformed_entry')
})

function nested (levels: number): unknown {
  let value: unknown = {}
  for (let level = 1; level < levels; level++) value = { a: value }
  return value
}

function show (event: WorkerEvent): string {
  return `${event.type} ${String(Object.entries(event.data ?? {}).map(([key, value]) => `${key}=${String(value).slice(0, 20)}`))}`
}
