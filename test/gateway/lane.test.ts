// Conflation: first at once, then at most once an interval, the newest only, the last never dropped.

import t from 'tap'
import type { ProgressLine } from '../../src/engine/packed.ts'
import { createLane, laneInterval, type Held } from '../../src/gateway/lane.ts'
import { until } from '../support/wait.ts'
import { storedItem } from './stored.ts'

function line (id: string, percent: number): ProgressLine {
  return { ts: 0, cid: 'c', item: { ...storedItem(id), percent_complete: percent } }
}

function setUp (intervalMs: number) {
  const written: string[] = []
  const write = (_: unknown, { job, items }: Held) =>
    written.push(`${job ? 'job ' : ''}${[...items].map(({ item }) => `${item.id}:${item.percent_complete}`).join(' ')}`)
  return { written, lane: createLane({ interval_ms: intervalMs, write }) }
}

t.test('first at once, the rest as one, the newest of each item', async t => {
  const { written, lane } = setUp(40)
  lane.hold(true, [line('a', 1)])
  t.same(written, ['job a:1'])
  lane.hold(false, [line('a', 2), line('b', 1)])
  lane.hold(false, [line('a', 3)])
  lane.hold(true, [])
  t.equal(written.length, 1, 'held')
  await until(() => written.length === 2, { what: 'the interval passes' })
  t.equal(written[1], 'job a:3 b:1')
})

t.test('an item\'s event discards its progress, a flush brings the rest at once, clear drops all', t => {
  const { written, lane } = setUp(60_000)
  lane.hold(true, [])
  lane.hold(false, [line('a', 1), line('b', 1)])
  lane.discardItem('a')
  lane.flush()
  lane.flush()
  t.same(written, ['job ', 'b:1'])
  lane.hold(true, [])
  lane.clear()
  lane.flush()
  t.equal(written.length, 2)
  t.end()
})

t.test('what is due goes with the next event, in the same turn', t => {
  const { written, lane } = setUp(20)
  lane.hold(true, [])
  lane.hold(true, [line('a', 1)])
  lane.hold(false, [])
  t.equal(written.length, 1, 'its time has not come')
  const due = performance.now() + 20
  while (performance.now() < due); // no timer fires meanwhile
  lane.hold(false, [])
  t.same(written, ['job ', 'job a:1'])
  lane.hold(false, [])
  t.equal(written.length, 2, 'nothing is held')
  t.end()
})

t.test('what is held is bounded: at the bound it goes out', t => {
  const { written, lane } = setUp(60_000)
  lane.hold(true, [])
  for (let n = 0; n < 300; n++) lane.hold(false, [line(`i${n}`, 1)])
  t.equal(written.length, 2)
  t.equal(written[1]?.split(' ').length, 257)
  lane.clear()
  t.end()
})

t.test('intervals are the room\'s, doubled', t => {
  t.same([0, 100, 101, 1_000].map(wanted => laneInterval(100, wanted)), [100, 100, 200, 1_600])
  t.equal(laneInterval(0, 0), 0)
  t.ok(laneInterval(0, 50) >= 50)
  t.end()
})
