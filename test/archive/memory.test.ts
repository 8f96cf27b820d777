// What a gateway remembers of the database: bounded in number and bytes, one read at a time for the same thing, faults never.

import t from 'tap'
import type { Reader } from '../../src/archive/archive.ts'
import { createMemory, type MemoryOptions } from '../../src/archive/memory.ts'

const ACME = { tenant_id: 'acme', user_token: null }
const FOR_EVER = 3_600_000

function counting (options: Partial<MemoryOptions> = {}) {
  const memory = createMemory({
    keep_ms: FOR_EVER, keep_nothing_ms: FOR_EVER, entries_max: 10, bytes_max: 10_000, reads_max: 2, ...options
  })
  const reads: string[] = []
  const get = (name: string, value: unknown = name, reader: Reader = ACME) => memory.get([name], reader, async () => {
    reads.push(name)
    return value
  })
  return { memory, reads, get }
}

t.test('the oldest goes when there are too many, or too much of it', async t => {
  const few = counting({ entries_max: 2 })
  for (const name of ['a', 'b', 'c', 'c', 'b', 'a']) await few.get(name)
  t.equal(few.reads.join(''), 'abca')
  const large = counting({ bytes_max: 2_000 })
  for (const name of ['a', 'b', 'b', 'a']) await large.get(name, 'x'.repeat(1_500))
  t.equal(large.reads.join(''), 'aba')
  const huge = counting({ bytes_max: 1_000 })
  for (const name of ['a', 'a']) await huge.get(name, 'x'.repeat(1_500))
  t.equal(huge.reads.join(''), 'aa', 'what is larger than all may be is not kept')
})

t.test('at no moment around the answer is the same read again', async t => {
  for (let ticks = 0; ticks < 20; ticks++) {
    const { memory } = counting()
    const answer = Promise.withResolvers<string>()
    let reads = 0
    const get = () => memory.get(['a'], ACME, () => {
      reads++
      return answer.promise
    })
    const first = get()
    answer.resolve('a')
    for (let tick = 0; tick < ticks; tick++) await null
    t.equal(await get(), 'a')
    t.equal(await first, 'a')
    t.equal(reads, 1, `${ticks} ticks behind the answer`)
  }
})

t.test('time ends it; that there is nothing has a time of its own', async t => {
  const { get, reads } = counting({ keep_ms: FOR_EVER, keep_nothing_ms: 0 })
  for (const value of [null, [], 'something', 'something']) await get('a', value)
  t.equal(reads.length, 3)
  const forgetful = counting({ keep_ms: 0 })
  await forgetful.get('a')
  await forgetful.get('a')
  t.equal(forgetful.reads.length, 2)
})

t.test('each reader has its own', async t => {
  const { get, reads } = counting()
  await get('a')
  await get('a', 'other', { tenant_id: 'globex', user_token: null })
  await get('a', 'other', { tenant_id: 'acme', user_token: 'one' })
  t.equal(await get('a', 'other', { tenant_id: 'acme', user_token: 'two' }), 'other')
  t.equal(reads.length, 4)
  t.equal(await get('a', 'never'), 'a')
})

t.test('reads under way are shared, and bounded; a fault is for those who asked, and the next one asks again', async t => {
  const { memory, get, reads } = counting({ reads_max: 1 })
  let fail = (_: Error): void => {}
  const slow = () => memory.get(['slow'], ACME, () => new Promise<string>((_resolve, reject) => { fail = reject }))
  const both = [slow(), slow()]
  await t.rejects(get('b'), { code: 'overloaded', temporary: true })
  fail(new Error('away'))
  for (const one of both) await t.rejects(one, { message: 'away' })
  t.equal(await get('slow', 'better'), 'better')
  t.same(reads, ['slow'])
})
