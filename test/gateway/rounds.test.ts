// A room that is too large for one go is told in slices, and nobody can tell the difference: order, joins and leaves between slices,
// sockets that fall behind and come back.

import t, { type Test } from 'tap'
import { createRounds } from '../../src/gateway/rounds.ts'
import type { Seat } from '../../src/gateway/seats.ts'
import { EPOCH, logged, readAt, setUp, update, watcher, type Watcher } from './played-room.ts'

const MANY = 2_500

const turn = () => new Promise(resolve => setImmediate(resolve))

/** Each look at the clock finds that time is up, so that a slice is as short as it can be. */
function impatient () {
  let time = 0
  return createRounds(() => { time += 1_000; return time })
}

const seatsOf = (count: number) => Array.from({ length: count }, (_, n) => ({ seated_in: n }) as Seat)

t.test('in slices, each round behind the one before', async t => {
  const rounds = impatient()
  const told: string[] = []
  const seats = seatsOf(200)
  const [one, other] = [{}, {}]
  rounds.add(one, seats, ({ seated_in: n }) => told.push(`a${n}`))
  rounds.add(one, seats.slice(0, 3), ({ seated_in: n }) => told.push(`b${n}`))
  rounds.add(other, seats.slice(0, 1), ({ seated_in: n }) => told.push(`c${n}`))
  t.same(told, [], 'nothing yet')
  t.ok(rounds.waits(one))
  await turn()
  t.ok(told.length > 0 && told.length < 200, `${told.length} in the first slice`)
  rounds.finish(one)
  t.notOk(rounds.waits(one))
  t.same(told, [...seats.map(({ seated_in: n }) => `a${n}`), 'b0', 'b1', 'b2'], 'once each, in order')
  t.ok(rounds.waits(other), 'finishing is for one room')
  while (rounds.waits(other)) await turn()
  t.equal(told.at(-1), 'c0')
})

t.test('what waits is bounded: the oldest is told in one go', async t => {
  const rounds = impatient()
  let told = 0
  const owner = {}
  for (let n = 0; n < 70; n++) rounds.add(owner, seatsOf(100), () => { told++ })
  t.equal(told, 600)
  while (rounds.waits(owner)) await turn()
  t.equal(told, 7_000)
})

/** @param keepMs how long the room serves joiners from its last read */
async function largeRoom (t: Test, keepMs = 0) {
  const set = setUp(0, keepMs, impatient())
  const members = Array.from({ length: MANY }, () => watcher())
  const places = members.map(member => set.room.join(member))
  ;(await set.nextRead(1)).resolve(readAt(1, 1))
  await turn()
  for (const { heard } of members) heard.length = 0
  t.teardown(() => set.room.close())
  const quiet = async (): Promise<void> => {
    let before = -1
    for (let now = 0; now !== before;) {
      before = now
      for (let n = 0; n < 5; n++) await turn()
      now = members.reduce((sum, { heard }) => sum + heard.length, 0)
    }
  }
  return { ...set, members, places, quiet }
}

const eventsOf = ({ heard }: Watcher) => heard.filter(text => text.startsWith('e'))

t.test('a room of many: all hear all of it in order', async t => {
  const { engine, members, quiet } = await largeRoom(t)
  for (let seq = 2; seq < 6; seq++) engine.publish(update(seq, seq))
  t.ok(members.some(({ heard }) => heard.length === 0), 'it was not told in one go')
  await quiet()
  t.same([...new Set(members.map(member => eventsOf(member).join()))], ['e2,e3,e4,e5'])
  t.notOk(members.some(({ heard }) => heard.some((text, n) => text.startsWith('p') && heard.slice(n).includes(`e${text.slice(1)}`))),
    'no progress before the event whose seq it carries')
})

t.test('who joins between two slices has had what was said before, and hears what comes after', async t => {
  const { engine, room, nextRead, quiet } = await largeRoom(t)
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  const late = watcher()
  room.join(late)
  ;(await nextRead(2)).resolve(readAt(3, 3))
  engine.publish(update(4, 4))
  await quiet()
  t.same(late.heard.filter(text => !text.startsWith('p')), ['joined', 'snap:3', 'e4'])
})

t.test('who leaves between two slices hears nothing more', async t => {
  const { engine, members, places, quiet } = await largeRoom(t)
  engine.publish(update(2, 2))
  const last = members.at(-1)!
  t.same(last.heard, [])
  places.at(-1)!.leave()
  await quiet()
  t.same(last.heard, [])
  t.same(eventsOf(members[0]!), ['e2'])
})

t.test('who falls behind in a slice and comes back before the next rounds are told hears each event once', async t => {
  const { engine, members, places, quiet } = await largeRoom(t, 60_000)
  const slow = members[0]!
  const { send } = slow
  slow.send = () => false
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  await turn()
  slow.send = send
  places[0]!.resume()
  await turn()
  t.same(eventsOf(slow), ['e2', 'e3'], 'at once, from what the room has kept')
  engine.publish(update(4, 4))
  await quiet()
  t.same(eventsOf(slow), ['e2', 'e3', 'e4'])
  t.same(eventsOf(members.at(-1)!), ['e2', 'e3', 'e4'])
})

t.test('a gap while rounds wait: told in order, then what the log had', async t => {
  const { engine, members, nextRead, quiet } = await largeRoom(t)
  engine.publish(update(2, 2))
  engine.publish(update(5, 5))
  ;(await nextRead(2)).resolve(readAt(5, 5, EPOCH, logged(3, 5)))
  await quiet()
  t.same([...new Set(members.map(member => eventsOf(member).join()))], ['e2,e3,e4,e5'])
})

t.test('a job that leaves Redis while rounds wait: its end first', async t => {
  const { engine, members, quiet } = await largeRoom(t)
  engine.publish(update(2, 2))
  engine.publish({ type: 'gone', tenant_id: 'acme', job_id: 'j', epoch: EPOCH, rev: 9 })
  await quiet()
  t.same([...new Set(members.map(member => eventsOf(member).join()))], ['e2'])
  t.ok(members.every(({ why }) => why !== undefined))
})
