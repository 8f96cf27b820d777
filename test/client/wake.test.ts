// The network is back, or somebody looks again: what only jitter delays is tried at once, and an open line is asked.

import t from 'tap'
import { createBackoff } from '../../src/client/backoff.ts'
import { REAL_WAKE } from '../../src/client/platform.ts'
import { turn } from './fakes.ts'
import { live } from './support.ts'

t.test('a waiting client tries at once, and its waits begin anew', async t => {
  const { made, socket, clock, wake, world } = await live()
  world.answer = new TypeError('fetch failed')
  for (const ms of [125, 250, 500]) {
    socket().end(1006)
    await turn()
    await clock.pass(ms)
  }
  socket().end(1006)
  await turn()
  t.same(clock.waits(), [1000])
  wake()
  wake()
  await turn()
  t.equal(made.length, 5, 'one try, however often it is told')
  wake()
  await turn()
  t.equal(made.length, 5, 'nor another while one is under way')
  socket().end(1006)
  await turn()
  t.same(clock.waits(), [125])
})

t.test('a time that the server chose is waited for', async t => {
  for (const [code, reason, ms] of [[1012, '{"reconnect_after_ms":4321}', 4321], [1013, '', 1500]] as const) {
    const { made, socket, clock, wake } = await live()
    socket().end(code, reason)
    await turn()
    wake()
    await clock.pass(ms - 1)
    t.equal(made.length, 1)
    await clock.pass(1)
    t.equal(made.length, 2)
  }
})

t.test('an open line is asked once; without an answer it is left', async t => {
  const { made, socket, clock, wake, watch } = await live()
  const pings = () => made[0]!.sent.filter(({ action }) => action === 'ping').length
  wake()
  t.equal(pings(), 1)
  socket().says({ type: 'pong', id: null, ts: 'x' })
  t.same(clock.waits(), [30_000])
  wake()
  await clock.pass(6000)
  wake()
  t.equal(pings(), 2)
  await clock.pass(3999)
  t.equal(watch.getSnapshot().connection, 'live')
  await clock.pass(1)
  t.equal(watch.getSnapshot().connection, 'reconnecting', 'looking again and again does not keep a dead line')
  t.equal(made[0]!.closed, true)
})

t.test('nothing listens before, after close, or after a refusal', async t => {
  const closed = await live()
  t.equal(closed.wakeListeners.size, 1)
  closed.client.close()
  t.equal(closed.wakeListeners.size, 0)
  const refused = await live()
  refused.socket().end(4403)
  await turn()
  t.equal(refused.wakeListeners.size, 0)
  refused.client.watch('job_1')
  t.equal(refused.wakeListeners.size, 1)
})

t.test('in a browser: online, and visible but not hidden', t => {
  const page = Object.assign(new EventTarget(), { visibilityState: 'hidden' })
  const line = new EventTarget()
  const parts = {
    document: page,
    addEventListener: line.addEventListener.bind(line),
    removeEventListener: line.removeEventListener.bind(line)
  }
  for (const [name, value] of Object.entries(parts)) {
    const before = Object.getOwnPropertyDescriptor(globalThis, name)
    Object.defineProperty(globalThis, name, { value, configurable: true })
    t.teardown(() => before === undefined ? Reflect.deleteProperty(globalThis, name) : Object.defineProperty(globalThis, name, before))
  }
  let woken = 0
  const stop = REAL_WAKE(() => { woken++ })
  page.dispatchEvent(new Event('visibilitychange'))
  t.equal(woken, 0)
  page.visibilityState = 'visible'
  page.dispatchEvent(new Event('visibilitychange'))
  line.dispatchEvent(new Event('online'))
  t.equal(woken, 2)
  stop()
  page.dispatchEvent(new Event('visibilitychange'))
  line.dispatchEvent(new Event('online'))
  t.equal(woken, 2)
  t.end()
})

t.test('where there is no page nothing is told, and nothing breaks', t => {
  REAL_WAKE(() => t.fail())()
  t.end()
})

t.test('full jitter: from 0 to the bound, and what the server said comes on top', t => {
  let random = 0
  const waits = () => {
    const backoff = createBackoff({ random: () => random })
    return [backoff.next(), backoff.next(), backoff.next(), backoff.next(3000)]
  }
  t.same(waits(), [0, 0, 0, 3000])
  random = 0.999_999
  t.same(waits(), [249, 499, 999, 5999])
  const late = createBackoff({ random: () => random })
  for (let i = 0; i < 40; i++) late.next()
  t.equal(late.next(), 14_999)
  t.end()
})
