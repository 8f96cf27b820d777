// Held here: H1 and H12 for SDK workers, as far as numbering goes. A simulated Redis with the reducer's producer rule
// loses answers, connections, replicated tails and everything; in the end each kept entry has taken effect once, in order.

import t from 'tap'
import fc from 'fast-check'
import { createLane } from '../../src/engine/producer-lane.ts'
import type { Lane, LaneEntry } from '../../src/engine/producer-lane.ts'

interface World {
  stream: { id: number, name: string, n: number, batch: string }[]
  drained: number
  producers: Map<string, number>
  applied: string[]
}

const emptyWorld = (): World => ({ stream: [], drained: 0, producers: new Map(), applied: [] })
const copyOf = (world: World): World => ({
  stream: [...world.stream], drained: world.drained, producers: new Map(world.producers), applied: [...world.applied]
})

/** A Redis with one partition, and the lane that talks to it. */
function simulation () {
  let names = 0
  let clock = 0
  let pushed = 0
  let world = emptyWorld()
  let replica = emptyWorld()
  const lane: Lane = createLane(() => `p${++names}`)
  const settled: string[] = []

  function drain (entries: number): void {
    for (; entries > 0 && world.drained < world.stream.length; entries--) {
      const { name, n, batch } = world.stream[world.drained++]!
      const stored = world.producers.get(name) ?? 0
      if (n !== stored + 1) continue
      world.producers.set(name, n)
      world.applied.push(batch)
    }
  }

  return {
    lane,
    settled,
    get world () { return world },
    get names () { return names },
    push () {
      const batch = `b${pushed++}`
      const entry: LaneEntry = { batch, bytes: 1, stored: () => settled.push(batch), failed: null, id: null, stored_at: null }
      lane.push(entry)
    },
    /** @param answer false: Redis has it, the producer does not know */
    send (answer = true) {
      const next = lane.next()
      if (next === null) return
      const id = ++clock
      world.stream.push({ id, name: lane.name, n: next.n, batch: next.entry.batch })
      if (answer) lane.answered(`${id}-0`, 0)
    },
    drain,
    check (rewind = false) {
      const cursor = world.drained === 0 ? '0-0' : `${world.stream[world.drained - 1]!.id}-0`
      lane.learned({ stored: world.producers.get(lane.name) ?? null, cursor, rewind }, 0)
    },
    replicate () { replica = copyOf(world) },
    failover () { world = copyOf(replica) },
    flush () {
      world = emptyWorld()
      replica = emptyWorld()
    },
    /** Everything works again: the producer and the reducer come to rest. */
    heal () {
      this.check(true)
      for (let round = 0; round < 6; round++) {
        while (lane.next() !== null) this.send()
        drain(Infinity)
        this.check()
      }
    }
  }
}

const indexes = (applied: string[]): number[] => applied.map(batch => Number(batch.slice(1)))

t.test('numbers begin at 1 and grow by one; a promise is settled by the answer', async t => {
  const sim = simulation()
  sim.push()
  sim.push()
  t.equal(sim.lane.next()?.n, 1)
  sim.send()
  t.same(sim.settled, ['b0'])
  t.equal(sim.lane.next()?.n, 2)
  sim.send()
  t.equal(sim.lane.next(), null)
})

t.test('an entry whose answer was lost is settled by the stored number and not sent again', async t => {
  const sim = simulation()
  sim.push()
  sim.send(false)
  sim.drain(1)
  sim.check(true)
  t.same(sim.settled, ['b0'])
  t.equal(sim.lane.next(), null)
})

t.test('an entry that waits undrained is sent again with the same number and counts once', async t => {
  const sim = simulation()
  sim.push()
  sim.send(false)
  sim.check(true)
  sim.send()
  t.same(sim.world.stream.map(({ n }) => n), [1, 1])
  sim.drain(2)
  t.same(sim.world.applied, ['b0'])
})

t.test('a gap is seen by the drained position, without any word of a new epoch', async t => {
  const sim = simulation()
  sim.push()
  sim.push()
  sim.replicate()
  sim.send()
  sim.failover() // b0 is gone, its answer had come
  sim.send()
  sim.check()
  t.equal(sim.lane.next(), null, 'nothing is known before the reducer has passed it')
  sim.drain(1)
  sim.check()
  t.equal(sim.lane.next()?.n, 1)
  sim.send()
  sim.send()
  sim.drain(2)
  t.same(sim.world.applied, ['b0', 'b1'])
  t.equal(sim.names, 1)
})

t.test('confirmed entries are forgotten, unconfirmed ones never', async t => {
  const sim = simulation()
  for (let i = 0; i < 3; i++) sim.push()
  for (let i = 0; i < 3; i++) sim.send()
  sim.lane.prune(Infinity)
  t.equal(sim.lane.size, 3)
  sim.drain(2)
  sim.check()
  sim.lane.prune(-1)
  t.equal(sim.lane.size, 3, 'stored too recently')
  sim.lane.prune(0)
  t.equal(sim.lane.size, 1)
  t.equal(sim.lane.base, 3)
  t.equal(sim.lane.bytes, 1)
})

t.test('after a loss of everything the rest goes out under a new name from 1, once the old one proved dead', async t => {
  const sim = simulation()
  for (let i = 0; i < 4; i++) sim.push()
  for (let i = 0; i < 4; i++) sim.send()
  sim.drain(2)
  sim.check()
  sim.lane.prune(Infinity)
  sim.flush()
  sim.check(true)
  t.equal(sim.lane.next()?.n, 3, 'a probe under the old name')
  sim.send()
  t.equal(sim.lane.next(), null, 'and nothing behind it')
  sim.drain(1)
  sim.check()
  t.equal(sim.names, 2)
  t.equal(sim.lane.next()?.n, 1)
  sim.heal()
  t.same(sim.world.applied, ['b2', 'b3'])
})

t.test('a number is absent but the entries are in the stream of the new primary: no second copy takes effect', async t => {
  const sim = simulation()
  for (let i = 0; i < 3; i++) sim.push()
  for (let i = 0; i < 3; i++) sim.send()
  sim.replicate() // the entries, not what the drain made of them
  sim.drain(3)
  sim.check()
  sim.lane.prune(Infinity)
  sim.push()
  sim.failover()
  sim.check(true)
  sim.heal()
  t.same(sim.world.applied, ['b0', 'b1', 'b2', 'b3'])
})

t.test('numbers that it never gave make it take another name', async t => {
  const sim = simulation()
  sim.push()
  sim.world.producers.set(sim.lane.name, 7)
  sim.check(true)
  t.equal(sim.names, 2)
  sim.heal()
  t.same(sim.world.applied, ['b0'])
})

t.test('whatever is lost, each entry takes effect once and in order', async t => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('push', 'send', 'drain') },
    { weight: 2, arbitrary: fc.constantFrom('sendUnanswered', 'check', 'reconnect', 'replicate') },
    { weight: 1, arbitrary: fc.constantFrom('failover', 'prune') }
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
    const sim = simulation()
    for (const name of steps) {
      if (name === 'push') sim.push()
      else if (name === 'send') sim.send()
      else if (name === 'sendUnanswered') { sim.send(false); sim.check(true) } else if (name === 'drain') sim.drain(1)
      else if (name === 'check') sim.check()
      else if (name === 'reconnect') sim.check(true)
      else if (name === 'replicate') sim.replicate()
      else if (name === 'failover') { sim.failover(); sim.check(true) } else { sim.replicate(); sim.lane.prune(Infinity) }
    }
    const all = steps.filter(name => name === 'push').length
    sim.heal()
    if (sim.settled.length !== all) throw new Error(`${sim.settled.length} promises of ${all} were settled`)
    const applied = indexes(sim.world.applied)
    if (applied.length !== all || applied.some((index, i) => index !== i)) throw new Error(`applied ${applied.join(' ')} of ${all}`)
  }), { numRuns: 2000 })
  t.pass('2,000 histories')
})

t.test('after a FLUSHALL at any moment what was kept takes effect once and in order', async t => {
  const step = fc.constantFrom('push', 'push', 'send', 'drain', 'check', 'prune', 'sendUnanswered')
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), fc.array(step, { maxLength: 20 }), (before, after) => {
    const sim = simulation()
    const run = (name: string): void => {
      if (name === 'push') sim.push()
      else if (name === 'send') sim.send()
      else if (name === 'drain') sim.drain(1)
      else if (name === 'check') sim.check()
      else if (name === 'prune') sim.lane.prune(Infinity)
      else { sim.send(false); sim.check(true) }
    }
    before.forEach(run)
    const forgotten = before.concat(after).filter(name => name === 'push').length - sim.lane.size - after.filter(name => name === 'push').length
    sim.flush()
    sim.check(true)
    after.forEach(run)
    sim.heal()
    const applied = indexes(sim.world.applied)
    const all = before.concat(after).filter(name => name === 'push').length
    const wanted = Array.from({ length: all - forgotten }, (_, i) => forgotten + i)
    if (applied.join() !== wanted.join()) throw new Error(`applied ${applied.join(' ')}, wanted ${wanted.join(' ')}`)
  }), { numRuns: 2000 })
  t.pass('2,000 histories')
})
