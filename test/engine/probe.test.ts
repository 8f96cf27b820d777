// The verdicts of a round, with channels that the test answers for.

import t from 'tap'
import { createProbe } from '../../src/engine/probe.ts'
import type { Probe } from '../../src/engine/probe.ts'
import { until } from '../support/wait.ts'

type Answer = 'echo' | 'silence' | 'refused'

function setUp (answers: Record<string, Answer>, intervalMs = 5) {
  const deaf: string[][] = []
  const texts: string[] = []
  const probe: Probe = createProbe({
    interval_ms: intervalMs,
    echo_ms: 30,
    targets: () => Object.keys(answers),
    async publish (channel, text) {
      texts.push(text)
      if (answers[channel] === 'refused') throw new Error('Redis is away')
      if (answers[channel] === 'echo') probe.heard(text)
    },
    onDeaf: (channels) => { deaf.push(channels) }
  })
  return { probe, deaf, texts, answers }
}

// The probe's own timers hold no process, and here is nothing else to wait for.
const alive = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(alive))

t.test('an echo on every channel: it hears, and goes on asking with another text', async (t) => {
  const { probe, deaf, texts } = setUp({ a: 'echo', b: 'echo' })
  t.teardown(() => probe.stop())
  t.equal(probe.hearing(), false, 'not before it was heard')
  await probe.start()
  t.equal(probe.hearing(), true)
  await until(() => texts.length >= 6)
  t.equal(new Set(texts).size, texts.length)
  t.match(texts[0], /^1e\t\d+$/, 'as docs/engine.md tells')
  t.same(deaf, [])
})

t.test('one silent channel of several: deaf, until its echo comes again', async (t) => {
  const { probe, deaf, answers } = setUp({ a: 'echo', b: 'silence', c: 'refused' })
  t.teardown(() => probe.stop())
  await probe.start()
  t.equal(probe.hearing(), false)
  t.same(deaf[0], ['b'])
  answers['b'] = 'echo'
  await until(() => probe.hearing())
})

t.test('in doubt it asks at once, and once', async (t) => {
  const { probe, texts, answers } = setUp({ a: 'echo' }, 3_600_000)
  t.teardown(() => probe.stop())
  await probe.start()
  t.equal(texts.length, 1)
  answers['a'] = 'silence'
  probe.hurry()
  probe.hurry()
  t.equal(texts.length, 2)
  await until(() => !probe.hearing())
  probe.hurry()
  await until(() => texts.length === 3)
  probe.stop()
  probe.hurry()
  t.equal(texts.length, 3)
})

t.test('a message that Redis did not take proves nothing', async (t) => {
  const { probe, deaf } = setUp({ a: 'refused' })
  t.teardown(() => probe.stop())
  await probe.start()
  t.equal(probe.hearing(), true)
  t.same(deaf, [])
})

t.test('an echo of an earlier text is not this one\'s', async (t) => {
  const { probe } = setUp({ a: 'silence' })
  t.teardown(() => probe.stop())
  const started = probe.start()
  probe.heard('1e\t0')
  probe.heard('anything')
  await started
  t.equal(probe.hearing(), false)
})

t.test('after stop nothing is asked, also when an echo was awaited', async (t) => {
  const { probe, texts } = setUp({ a: 'silence' })
  const started = probe.start()
  await until(() => texts.length === 1)
  probe.stop()
  await started
  t.equal(texts.length, 1)
})
