// The mark, the turns, and that nothing is taken out of order.

import t from 'tap'
import { Backlog } from '../../src/gateway/backlog.ts'
import { plainFrame } from '../../src/gateway/frame.ts'

/** A socket whose reader the test moves by hand. */
function setUp () {
  let queued = 0
  let done: (() => void) | undefined
  const written: string[] = []
  const outlet = { push () {}, queued: () => queued, flush (called?: () => void) { done = called } }
  const backlog = new Backlog({
    outlet,
    write ({ text }) {
      written.push(text)
      queued += text.length
    }
  }, 100)
  const read = () => {
    queued = 0
    const called = done
    done = undefined
    called?.()
  }
  const resumed: string[] = []
  const give = (key: string, text: string) => backlog.take(key, plainFrame(text), { resume () { resumed.push(key) } })
  const settled = () => new Promise(resolve => setImmediate(resolve))
  return { backlog, written, resumed, give, read, settled }
}

const LARGE = 'x'.repeat(101)

t.test('above the mark nothing is taken, of any subscription, until all is read', async t => {
  const { backlog, written, resumed, give, read, settled } = setUp()
  t.ok(give('a', LARGE))
  t.equal(backlog.behindMs(Date.now()), 0)
  t.notOk(give('a', 'a1'))
  t.notOk(give('b', 'b1'))
  t.notOk(give('c', 'c1'))
  backlog.drop('c')
  t.ok(backlog.behindMs(Date.now() + 5_000) >= 4_000)
  t.same(written, [LARGE])
  read()
  t.same(resumed, ['a'], 'one at a time')
  await settled()
  t.same(resumed, ['a'], 'it reads what it missed')
  t.ok(give('a', LARGE))
  t.ok(give('a', 'a2'), 'what one missed comes as a whole')
  t.notOk(give('d', 'd1'), 'the mark holds for the others')
  await settled()
  t.same(resumed, ['a'])
  read()
  t.same(resumed, ['a', 'b'], 'in their order, and not what was dropped')
  t.ok(give('b', 'b2'))
  await settled()
  t.same(resumed, ['a', 'b', 'd'])
})

t.test('one that ends in its turn, or without a word, does not hold up the others', async t => {
  const { backlog, resumed, give, read, settled } = setUp()
  give('a', LARGE)
  give('a', 'a1')
  give('b', 'b1')
  read()
  backlog.drop('a')
  await settled()
  t.same(resumed, ['a', 'b'])
})

t.test('a closed one resumes nothing', t => {
  const { backlog, resumed, give, read } = setUp()
  give('a', LARGE)
  give('a', 'a1')
  backlog.close()
  read()
  t.same(resumed, [])
  t.end()
})

t.test('what one has missed may fill the socket: the next one waits until it is read', async t => {
  const { backlog, resumed, give, read, settled } = setUp()
  give('a', LARGE)
  give('a', 'a1')
  give('b', 'b1')
  read()
  t.same(resumed, ['a'])
  t.ok(give('a', LARGE), 'its turn, taken as a whole')
  await settled()
  t.same(resumed, ['a'])
  t.ok(backlog.behindMs(Date.now() + 5_000) >= 4_000, 'and the socket counts as behind')
  read()
  t.same(resumed, ['a', 'b'])
})

t.test('a socket that is full of answers to itself is behind too', t => {
  const { backlog, written, give } = setUp()
  give('a', LARGE)
  t.equal(backlog.behindMs(Date.now()), 0)
  t.ok(backlog.behindMs(Date.now() + 5_000) >= 4_000)
  t.notOk(give('a', 'a1'))
  t.same(written, [LARGE])
  t.end()
})
