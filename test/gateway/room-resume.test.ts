// H6 by hand: cursors, gaps that the log repairs, sockets that fall behind and come back.

import t from 'tap'
import { until } from '../support/wait.ts'
import type { FeedMessage } from '../../src/engine/engine.ts'
import { EPOCH, liveRoom, logged, readAt, setUp, update, watcher } from './played-room.ts'
import { storedItem } from './stored.ts'

t.test('a gap that the log covers is repaired without a reset, for late joiners too', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  engine.publish(update(4, 4))
  const read = await nextRead(2)
  t.equal(engine.after.at(-1), 1, 'read from where the room stands')
  const late = watcher()
  room.join(late)
  read.resolve(readAt(4, 4, EPOCH, logged(2, 4)))
  await settled()
  t.same(first.heard, ['e2', 'e3', 'e4', 'p4'])
  t.same(late.heard, ['joined', 'snap:4'])
  engine.publish(update(5, 5))
  t.same(first.heard.slice(4), ['e5'])
})

t.test('the age of a change is noted once, when watchers are told; what a recheck found counts with its whole age', async t => {
  const { engine, room, tally, nextRead, settled } = await liveRoom(1, 1)
  const noted = async (): Promise<{ count: number, sum: number }> => {
    const { values } = await tally.age.get()
    const of = (name: string): number => values.find(({ metricName }) => metricName?.endsWith(name))?.value ?? 0
    return { count: of('_count'), sum: of('_sum') }
  }
  room.join(watcher())
  ;(await nextRead(2)).resolve(readAt(1, 1))
  await settled()
  const before = (await noted()).count
  engine.publish(update(4, 4))
  t.equal((await noted()).count, before, 'a gap: nobody is told yet')
  const read = await nextRead(3)
  const found = readAt(4, 4, EPOCH, logged(1, 4))
  const minuteAgo = Date.now() - 60_000
  read.resolve({ ...found, events: found.events.map(event => ({ ...event, ts: event.seq === 2 ? minuteAgo : Date.now() })) })
  await settled()
  const { count, sum } = await noted()
  t.equal(count, before + 1)
  t.ok(sum >= 60, 'of the oldest that they had not seen')
  engine.publish(update(5, 5))
  t.equal((await noted()).count, before + 2, 'once for both')
})

t.test('a cursor: what was logged after it, the progress as it stands, then live; no snapshot', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const [back, older, lost, fresh] = [watcher(), watcher(), watcher(), watcher()]
  room.join(back, { since: { epoch: EPOCH, seq: 3 } })
  const read = await nextRead(1)
  t.equal(engine.after[0], 3)
  room.join(older, { since: { epoch: EPOCH, seq: 1 } })
  room.join(lost, { since: { epoch: EPOCH - 1, seq: 3 } })
  room.join(fresh)
  engine.publish(update(6, 6))
  read.resolve(readAt(5, 5, EPOCH, logged(4, 5)))
  await settled()
  t.same(back.heard, ['resumed', 'e4', 'e5', 'p5', 'e6'])
  t.same(lost.heard, ['joined', 'reset:5', 'e6'])
  t.same(fresh.heard, ['joined', 'snap:5', 'e6'])
  t.same(older.heard, [], 'the read began behind its cursor')
  const another = await nextRead(2)
  t.equal(engine.after[1], 1, 'so it has one of its own')
  another.resolve(readAt(6, 6, EPOCH, logged(2, 6)))
  await settled()
  t.same(older.heard, ['resumed', 'e2', 'e3', 'e4', 'e5', 'e6', 'p6'])
  engine.publish(update(7, 7))
  for (const one of [back, older, lost, fresh]) t.equal(one.heard.at(-1), 'e7')
})

t.test('a cursor that the log does not reach gets a snapshot that says so', async t => {
  const { room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, { since: { epoch: EPOCH, seq: 1 } })
  ;(await nextRead(1)).resolve(readAt(9, 9))
  await settled()
  t.same(one.heard, ['joined', 'reset:9'])
})

t.test('a member whose socket is behind gets nothing until it resumes, then all that it missed, once', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const slow = watcher()
  let open = true
  const { send } = slow
  slow.send = frame => open && send(frame)
  const { resume } = room.join(slow)
  ;(await nextRead(2)).resolve(readAt(1, 1))
  await settled()
  open = false
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  open = true
  engine.publish(update(4, 4))
  t.same(slow.heard, ['joined', 'snap:1'], 'not even what would fit again: it would be out of order')
  resume()
  const read = await nextRead(3)
  t.equal(engine.after.at(-1), 1)
  read.resolve(readAt(4, 4, EPOCH, logged(2, 4)))
  await settled()
  t.same(slow.heard.slice(2), ['e2', 'e3', 'e4', 'p4'])
  t.same(first.heard, ['e2', 'e3', 'e4'], 'nobody waited for it')
})

t.test('a repair does not tell a member again what its snapshot, ahead of the room, held', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const [part, all] = [watcher(), watcher()]
  room.join(part)
  ;(await nextRead(2)).resolve(readAt(3, 3))
  await settled()
  room.join(all)
  ;(await nextRead(3)).resolve(readAt(5, 5))
  await settled()
  engine.publish(update(5, 5)) // 2 to 4 were lost
  ;(await nextRead(4)).resolve(readAt(5, 5, EPOCH, logged(2, 5)))
  await settled()
  t.same(first.heard, ['e2', 'e3', 'e4', 'e5', 'p5'])
  t.same(part.heard, ['joined', 'snap:3', 'e4', 'e5', 'p5'])
  t.same(all.heard, ['joined', 'snap:5'])
  engine.publish(update(6, 6))
  for (const one of [first, part, all]) t.equal(one.heard.at(-1), 'e6')
})

t.test('a recheck that finds nothing new does not lose the progress that is held', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1, 'running', 40)
  engine.publish(update(1, 2, { events: 0, partial: 1_000 }))
  engine.publish(update(1, 3, { events: 0, partial: 2_000 }))
  t.same(first.heard, ['p1'], 'the second is held')
  void room.recheck()
  ;(await nextRead(2)).resolve(readAt(1, 3))
  await settled()
  await until(() => first.heard.length === 2, { what: 'the last progress is sent' })
  t.same(first.heard, ['p1', 'p1'])
})

t.test('a Redis that has lost writes is not believed before it has a new epoch', async t => {
  const { room, first, nextRead, settled } = await liveRoom(9, 9)
  void room.recheck()
  ;(await nextRead(2)).resolve(readAt(4, 4))
  await settled()
  t.same(first.heard, [], 'nothing that goes back')
  ;(await nextRead(3)).resolve(readAt(4, 4, EPOCH + 1))
  await settled()
  t.same(first.heard, ['reset:4'])
})

t.test('who joins soon after a read costs no other one: a snapshot while nothing has happened, else what its cursor misses', async t => {
  const { engine, room, settled } = await liveRoom(1, 1, 'running', 0, 60_000)
  const fresh = watcher()
  room.join(fresh)
  await settled()
  t.same(fresh.heard, ['joined', 'snap:1'])
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  const [early, exact] = [watcher(), watcher()]
  room.join(early, { since: { epoch: EPOCH, seq: 1 } })
  room.join(exact, { since: { epoch: EPOCH, seq: 3 } })
  await settled()
  t.same(early.heard, ['resumed', 'e2', 'e3', 'p3'])
  t.same(exact.heard, ['resumed', 'p3'])
  t.equal(engine.reads.length, 1)
  engine.publish(update(4, 4))
  for (const one of [fresh, early, exact]) t.equal(one.heard.at(-1), 'e4')
})

t.test('memory does not answer a cursor that it does not reach, nor one that has seen more, nor of another epoch, nor who begins late', async t => {
  for (const since of [{ epoch: EPOCH, seq: 4 }, { epoch: EPOCH, seq: 7 }, { epoch: EPOCH - 1, seq: 5 }, null]) {
    const { engine, room, nextRead } = await liveRoom(5, 5, 'running', 0, 60_000)
    engine.publish(update(6, 6))
    const one = watcher()
    room.join(one, { since })
    await nextRead(2)
    t.same(one.heard, [], JSON.stringify(since))
  }
})

t.test('an item in process is shown to who resumes, as the last message has it, and not when it has ended', async t => {
  const { engine, room, settled } = await liveRoom(1, 1, 'running', 0, 60_000)
  const item = (id: string, percent: number) => ({ ...storedItem(id), state: 'processing' as const, percent_complete: percent })
  const progress = (...items: ReturnType<typeof item>[]) => items.map(each => ({ ts: 0, cid: 'c', item: each }))
  engine.publish({ ...update(1, 2, { events: 0 }), progress: progress(item('a', 10), item('i2', 20)) } as FeedMessage)
  engine.publish({ ...update(1, 3, { events: 0 }), progress: progress(item('a', 30)) } as FeedMessage)
  engine.publish(update(2, 4)) // of i2
  const one = watcher()
  const shown: unknown[] = []
  const { send } = one
  one.send = frame => {
    const { type, data } = JSON.parse(frame.text) as { type: string, data: { id: string, percent_complete: number } }
    if (type === 'video.progress') shown.push([data.id, data.percent_complete])
    return send(frame)
  }
  room.join(one, { since: { epoch: EPOCH, seq: 1 } })
  await settled()
  t.same(shown, [['a', 30]])
})

t.test('a cursor beyond the log does not spoil the read for one that the log reaches', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const [ancient, recent] = [watcher(), watcher()]
  room.join(ancient, { since: { epoch: EPOCH, seq: 1 } })
  room.join(recent, { since: { epoch: EPOCH, seq: 8 } })
  ;(await nextRead(1)).resolve(readAt(9, 9)) // truncated
  await settled()
  t.same(ancient.heard, ['joined', 'reset:9'])
  const another = await nextRead(2)
  t.equal(engine.after[1], 8)
  another.resolve(readAt(9, 9, EPOCH, logged(9, 9)))
  await settled()
  t.same(recent.heard, ['resumed', 'e9', 'p9'])
})

t.test('a cursor ahead of Redis waits for the epoch that a loss brings', async t => {
  const { room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, { since: { epoch: EPOCH, seq: 9 } })
  ;(await nextRead(1)).resolve(readAt(5, 5))
  await settled()
  t.same(one.heard, [], 'a snapshot of the same epoch would take back four events')
  ;(await nextRead(2)).resolve(readAt(5, 6, EPOCH + 1))
  await settled()
  t.same(one.heard, ['joined', 'reset:5'])
})

t.test('a cursor of a later epoch than the read waits too: that was of a node which is no primary any more', async t => {
  const { room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, { since: { epoch: EPOCH + 1, seq: 5 } })
  ;(await nextRead(1)).resolve(readAt(7, 7))
  await settled()
  t.same(one.heard, [], 'a reset would take it back into a past that is lost')
  ;(await nextRead(2)).resolve(readAt(5, 5, EPOCH + 1))
  await settled()
  t.same(one.heard, ['resumed', 'p5'])
})

t.test('a cursor that was made up gets its snapshot in the end, and one that leaves meanwhile closes the room', async t => {
  const { engine, room, settled, emptied } = setUp()
  const [liar, leaver] = [watcher(), watcher()]
  room.join(liar, { since: { epoch: EPOCH, seq: 9 } })
  const { leave } = room.join(leaver, { since: { epoch: EPOCH, seq: 9 } })
  let answered = 0
  await until(async () => {
    for (; answered < engine.reads.length; answered++) engine.reads[answered]?.resolve(readAt(5, 5))
    await settled()
    if (answered === 1) leave()
    return liar.heard.length > 0
  }, { what: 'the snapshot' })
  t.same(liar.heard, ['joined', 'reset:5'])
  t.same(leaver.heard, [])
  t.equal(emptied(), 0)
})

t.test('a joiner that reads a newer run of the job takes the room with it', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(12, 12)
  const late = watcher()
  room.join(late)
  const read = await nextRead(2)
  engine.publish({ type: 'gone', epoch: EPOCH, tenant_id: 'acme', job_id: 'j' } as FeedMessage)
  t.same(first.heard, [])
  const again = watcher()
  room.join(again)
  read.resolve(readAt(2, 2, EPOCH + 1))
  await settled()
  t.same(late.heard, ['joined', 'snap:2'])
  t.equal(late.why, undefined)
  engine.publish(update(3, 3, { epoch: EPOCH + 1 }))
  t.same(late.heard, ['joined', 'snap:2', 'e3'])
})

t.test('no event of the run before reaches a joiner of the new one; the others begin anew', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(12, 12)
  const late = watcher()
  room.join(late)
  const read = await nextRead(2)
  engine.publish(update(13, 13))
  read.resolve(readAt(2, 2, EPOCH + 1))
  await settled()
  t.same(first.heard, ['e13', 'reset:2'])
  t.same(late.heard, ['joined', 'snap:2'])
  engine.publish(update(14, 14)) // still of the run before
  ;(await nextRead(3)).resolve(readAt(2, 2, EPOCH + 1))
  await settled()
  t.same(late.heard, ['joined', 'snap:2'])
  t.same(first.heard, ['e13', 'reset:2'])
})

t.test('a read that lacks what the room has told is not shown to a joiner either', async t => {
  const { room, first, nextRead, settled } = await liveRoom(12, 12)
  const late = watcher()
  room.join(late)
  ;(await nextRead(2)).resolve(readAt(10, 10))
  await settled()
  t.same(late.heard, [])
  t.match(late.why, { code: 'redis_unavailable' }, 'it comes back')
  ;(await nextRead(3)).resolve(readAt(10, 11, EPOCH + 1))
  await settled()
  t.same(first.heard, ['reset:10'])
})
