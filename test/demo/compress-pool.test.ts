// What becomes of a file in a worker thread.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createCompressPool } from '../../src/demo/compress-pool.ts'

const LIMITS = { quality: 11, size_limit_bytes: 1024 * 1024, time_limit_ms: 60_000 }

t.test('compresses, and tells how far it is', async t => {
  const path = join(t.testdir({}), 'text')
  writeFileSync(path, 'all work and no play '.repeat(10_000))
  const pool = createCompressPool(1)
  t.teardown(() => pool.stop())
  const heard: number[] = []
  const outcome = await pool.run({ ...LIMITS, path }, percent => { heard.push(percent) })
  t.match(outcome, { done: true, bytes_in: 210_000 })
  t.ok(outcome?.done === true && outcome.bytes_out < 1000, 'smaller than before')
  t.ok(heard.length > 2 && heard.every((percent, n) => percent > (heard[n - 1] ?? 0)), 'percents grow')
  t.equal(heard.at(-1), 100)
})

t.test('fails for real reasons, and goes on with the next', async t => {
  const folder = t.testdir({ large: 'x'.repeat(2000), empty: '' })
  const pool = createCompressPool(1)
  t.teardown(() => pool.stop())
  const run = (name: string, limits = {}) => pool.run({ ...LIMITS, ...limits, path: join(folder, name) }, () => {})
  t.match(await run('missing'), { done: false, code: 'unreadable', message: /ENOENT/ })
  t.match(await run('.'), { done: false, code: 'unreadable', message: /EISDIR/ })
  t.match(await run('large', { size_limit_bytes: 1999 }), { done: false, code: 'over_size_limit', message: /2000 bytes/ })
  t.match(await run('large', { time_limit_ms: 0 }), { done: false, code: 'over_time_limit' })
  t.match(await run('empty'), { done: true, bytes_in: 0 })
  t.match(await run('large', { size_limit_bytes: 2000 }), { done: true, bytes_in: 2000 })
})

t.test('a stop gives up what is under way, and what comes after', async t => {
  const path = join(t.testdir({}), 'numbers')
  writeFileSync(path, Array.from({ length: 400_000 }, (_, n) => (n * 7919) % 400_009).join(' '))
  const pool = createCompressPool(1)
  let stopped: Promise<void> | undefined
  const outcome = await pool.run({ ...LIMITS, size_limit_bytes: 1e9, path }, () => { stopped ??= pool.stop() })
  await stopped
  t.equal(outcome, null)
  t.equal(await pool.run({ ...LIMITS, path }, () => {}), null)
})
