// A job that Redis has lost may come back: for a while its watchers are not told that it is gone, whatever else is read meanwhile.

import t, { type Test } from 'tap'
import { HeadwayError } from '../../src/protocol/errors.ts'
import { EPOCH, liveRoom, readAt, update, watcher } from './played-room.ts'

async function watched (t: Test, ...args: Parameters<typeof liveRoom>) {
  const set = await liveRoom(...args)
  t.teardown(() => set.room.close())
  return set
}

t.test('it comes back: a reset, and nothing before it', async t => {
  const { engine, room, first, nextRead, settled } = await watched(t, 5, 5)
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.same([first.heard, first.why], [[], undefined])
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  ;(await nextRead(3)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same([first.heard, first.why], [['reset:1'], undefined])
})

t.test('its return is heard while it is read', async t => {
  const { engine, room, first, nextRead, settled } = await watched(t, 5, 5)
  void room.recheck()
  const read = await nextRead(2)
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  read.resolve(null)
  ;(await nextRead(3)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same([first.heard, first.why], [['reset:1'], undefined])
})

t.test('a recheck that is under way, and one that failed, are as patient', async t => {
  const { room, first, nextRead, settled } = await watched(t, 5, 5)
  void room.recheck()
  const under = await nextRead(2)
  void room.recheck()
  under.resolve(null)
  ;(await nextRead(3)).reject(new HeadwayError('redis_unavailable', 'away'))
  ;(await nextRead(4)).resolve(null)
  await settled()
  t.same([first.heard, first.why], [[], undefined])
})

t.test('it does not come back: unknown, once the time is up', async t => {
  const { room, first, nextRead, settled } = await watched(t, 5, 5, 'running', 0, 0, 20)
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.equal(first.why, undefined)
  ;(await nextRead(3)).resolve(null)
  await settled()
  t.match(first.why, { code: 'unknown_job' })
})

t.test('a joiner whose read fails does not make the others wait for good', async t => {
  const { room, first, nextRead, settled } = await watched(t, 5, 5, 'running', 0, 0, 20)
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  const late = watcher()
  room.join(late)
  ;(await nextRead(3)).reject(new HeadwayError('redis_unavailable', 'away'))
  ;(await nextRead(4)).resolve(null)
  await settled()
  t.match([first.why, late.why], [{ code: 'unknown_job' }, { code: 'redis_unavailable' }])
})

t.test('who joins a room that waits hears at once that there is no such job; who was behind waits like the others', async t => {
  const { engine, room, first, nextRead, settled } = await watched(t, 5, 5)
  const slow = watcher()
  const { send } = slow
  const { resume } = room.join(slow)
  ;(await nextRead(2)).resolve(readAt(5, 5))
  await settled()
  slow.send = () => false
  engine.publish(update(6, 6))
  slow.send = send
  void room.recheck()
  ;(await nextRead(3)).resolve(null)
  await settled()
  const late = watcher()
  room.join(late)
  resume()
  ;(await nextRead(4)).resolve(null)
  await settled()
  t.match(late.why, { code: 'unknown_job' })
  t.same([first.why, slow.why], [undefined, undefined])
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  ;(await nextRead(5)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.equal(first.heard.at(-1), 'reset:1')
  t.equal(slow.heard.at(-1), 'reset:1')
})

t.test('a return that is heard while a joiner who may wait is read: one read for all, and nothing is missed', async t => {
  const { engine, room, first, nextRead, settled } = await watched(t, 5, 5)
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  const late = watcher()
  room.join(late, { wait_ms: 20_000 })
  const read = await nextRead(3)
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  read.resolve(null)
  const back = await nextRead(4)
  back.resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  engine.publish(update(2, 2, { epoch: EPOCH + 1 }))
  await settled()
  t.equal(engine.reads.length, 4)
  t.same(first.heard, ['reset:1', 'e2'])
  t.same(late.heard, ['joined', 'snap:1', 'e2'])
})

t.test('a job that was seen to end is over at once', async t => {
  const { room, first, nextRead, settled } = await watched(t, 5, 5, 'completed')
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.equal(first.why, null)
})
