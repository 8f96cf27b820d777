// The batcher against a sender that the test answers by hand: what goes together, when, and what happens at the bounds.

import t from 'tap'
import { ENTRY_BYTES_MAX } from '../../src/protocol/limits.ts'
import { partitionOf } from '../../src/protocol/partition.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { createBatcher } from '../../src/worker/batcher.ts'
import type { BatcherParams } from '../../src/worker/batcher.ts'
import { until } from '../support/wait.ts'

const PARTITIONS = 8

/** Two jobs of different partitions. */
const JOB = 'job_1'
const OTHER = ['a', 'b', 'c', 'd'].find(id => partitionOf('acme', id, PARTITIONS) !== partitionOf('acme', JOB, PARTITIONS))!

const item = (id: string, job = JOB, title = ''): WorkerEvent => ({ type: 'item.update', tenant: 'acme', job, data: { id, title } })

function setup (params: Partial<BatcherParams> & { open?: boolean } = {}) {
  const sent: { partition: number, batch: string, answer: () => void, fail: (error: Error) => void }[] = []
  const batcher = createBatcher({
    send: (partition, batch) => new Promise((resolve, reject) => sent.push({ partition, batch, answer: resolve, fail: reject })),
    ...params
  })
  if (params.open !== false) batcher.open(PARTITIONS)
  return { batcher, sent, idsOf: (index: number) => sent[index]!.batch.split('\n').slice(1).map(line => line.split('\t')[4]) }
}

t.test('events of a window go together, each partition by itself, addresses said once', async t => {
  const { batcher, sent } = setup()
  const calls = [item('a'), item('b'), item('c', OTHER)].map(event => batcher.add(event))
  t.equal(calls[0], calls[1], 'one promise a batch')
  await until(() => sent.length === 2)
  const [first, second] = sent
  t.match(first, { partition: partitionOf('acme', JOB, PARTITIONS) })
  t.match(first!.batch.split('\n').map(line => line.split('\t').slice(0, 5)), [['1'], ['i', 'acme', JOB, '', 'a'], ['i', '', '', '', 'b']])
  t.match(second!.batch.split('\n')[1], `i\tacme\t${OTHER}\t\tc`)
  for (const { answer } of sent) answer()
  await Promise.all(calls)
  t.same(batcher.status(), { buffered_bytes: 0, waiting_calls: 0, waiting_bytes: 0 })
})

t.test('one entry under way a partition; meanwhile the next one grows to 64 and no further', async t => {
  const { batcher, sent, idsOf } = setup()
  const all = [batcher.add(item('first'))]
  await until(() => sent.length === 1)
  for (let i = 0; i < 130; i++) all.push(batcher.add(item(`i${i}`)))
  t.equal(sent.length, 1)
  sent[0]!.answer()
  await until(() => sent.length === 2)
  t.equal(idsOf(1).length, 64)
  sent[1]!.answer()
  await until(() => sent.length === 3)
  sent[2]!.answer()
  await until(() => sent.length === 4)
  sent[3]!.answer()
  await Promise.all(all)
  t.same([0, 1, 2, 3].flatMap(idsOf), ['first', ...Array.from({ length: 130 }, (_, i) => `i${i}`)])
})

t.test('64 events go at once, without a window', async t => {
  const { batcher, sent } = setup({ window_ms: 60_000 })
  for (let i = 0; i < 64; i++) void batcher.add(item(`i${i}`))
  t.equal(sent.length, 1)
})

t.test('no entry is larger than allowed', async t => {
  const { batcher, sent, idsOf } = setup()
  const result = 'ä'.repeat(1000)
  const all = Array.from({ length: 60 }, (_, i) => batcher.add({ type: 'item.update', tenant: 'acme', job: JOB, data: { id: `i${i}`, result } }))
  const flushed = batcher.flush()
  for (let i = 0; i < 3; i++) {
    await until(() => sent.length > i)
    t.ok(Buffer.byteLength(sent[i]!.batch) <= ENTRY_BYTES_MAX)
    t.match(sent[i]!.batch.split('\n')[1], /^i\tacme\tjob_1\t/, 'every batch begins with an address')
    sent[i]!.answer()
    if ([0, 1, 2].slice(0, i + 1).flatMap(idsOf).length === 60) break
  }
  await Promise.all([flushed, ...all])
  t.same(sent.map((_, i) => i).flatMap(idsOf), Array.from({ length: 60 }, (_, i) => `i${i}`))
})

t.test('what is not valid is refused at once and harms nothing', async t => {
  const { batcher, sent, idsOf } = setup()
  const good = batcher.add(item('a'))
  await t.rejects(batcher.add(item('no id')), { code: 'invalid_field' })
  await t.rejects(batcher.add({ type: 'job.progress', tenant: 'acme', job: JOB, data: { items_total: NaN } }), { code: 'invalid_field' })
  void batcher.add(item('b'))
  await until(() => sent.length === 1)
  t.same(idsOf(0), ['a', 'b'])
  sent[0]!.answer()
  await good
})

t.test('over the bound calls wait, enter in order, and beyond twice the bound are refused', async t => {
  const { batcher, sent, idsOf } = setup({ buffer_bytes_max: 2000 })
  const title = 'x'.repeat(400)
  const settled: number[] = []
  const call = (i: number) => { void batcher.add(item(`i${i}`, JOB, title)).then(() => settled.push(i)) }
  for (let i = 0; i < 5; i++) call(i)
  await until(() => sent.length === 1)
  t.ok(batcher.status().buffered_bytes >= 2000)
  for (let i = 5; i < 7; i++) call(i)
  t.match(batcher.status(), { waiting_calls: 2 })
  t.same(settled, [])
  await t.rejects(batcher.add(item('late', JOB, title)), { code: 'overloaded', temporary: true })
  t.ok(batcher.status().waiting_bytes <= 2000)
  const flushed = batcher.flush()
  sent[0]!.answer()
  await until(() => sent.length === 2)
  sent[1]!.answer()
  await flushed
  t.same([0, 1].flatMap(idsOf), Array.from({ length: 7 }, (_, i) => `i${i}`))
  t.same(settled, [0, 1, 2, 3, 4, 5, 6])
  t.same(batcher.status(), { buffered_bytes: 0, waiting_calls: 0, waiting_bytes: 0 })
})

t.test('before the number of partitions is known everything waits', async t => {
  const { batcher, sent } = setup({ open: false })
  const call = batcher.add(item('a'))
  await t.rejects(batcher.add(item('no id')), { code: 'invalid_field' }, 'but is checked already')
  t.match(batcher.status(), { waiting_calls: 1 })
  batcher.open(PARTITIONS)
  await until(() => sent.length === 1)
  sent[0]!.answer()
  await call
})

t.test('an entry that the sender gives up rejects its calls; the next one goes on', async t => {
  const { batcher, sent } = setup()
  const lost = batcher.add(item('a'))
  await until(() => sent.length === 1)
  const next = batcher.add(item('b'))
  sent[0]!.fail(new Error('given up'))
  await t.rejects(lost, { message: 'given up' })
  await until(() => sent.length === 2)
  sent[1]!.answer()
  await next
})

t.test('flush waits for what came before, not for what comes later', async t => {
  const { batcher, sent } = setup({ window_ms: 60_000 })
  void batcher.add(item('a'))
  const flushed = batcher.flush()
  t.equal(sent.length, 1, 'no window')
  void batcher.add(item('b'))
  sent[0]!.answer()
  await flushed
  t.equal(sent.length, 1)
  void batcher.flush()
  t.equal(sent.length, 2)
})

t.test('after close nothing is taken, and what waited is refused', async t => {
  const { batcher } = setup({ open: false })
  const waiting = batcher.add(item('a'))
  batcher.close()
  batcher.close()
  await t.rejects(waiting, { code: 'closed' })
  await t.rejects(batcher.add(item('b')), { code: 'closed' })
})
