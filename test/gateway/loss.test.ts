// A job that Redis has lost may come back: for a while its watchers are not told that it is gone, whatever else is read meanwhile.

import t from 'tap'
import { HeadwayError } from '../../src/protocol/errors.ts'
import { EPOCH, liveRoom, readAt, update } from './played-room.ts'

t.test('it comes back: a reset, and nothing before it', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(5, 5)
  void room.renew()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.same([first.heard, first.why], [[], undefined])
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  ;(await nextRead(3)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same([first.heard, first.why], [['reset:1'], undefined])
})

t.test('its return is heard while it is read', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(5, 5)
  void room.renew()
  const read = await nextRead(2)
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  read.resolve(null)
  ;(await nextRead(3)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same([first.heard, first.why], [['reset:1'], undefined])
})

t.test('a recheck that is under way, and one that failed, are as patient', async t => {
  const { room, first, nextRead, settled } = await liveRoom(5, 5)
  void room.recheck()
  const under = await nextRead(2)
  void room.renew()
  under.resolve(null)
  ;(await nextRead(3)).reject(new HeadwayError('redis_unavailable', 'away'))
  ;(await nextRead(4)).resolve(null)
  await settled()
  t.same([first.heard, first.why], [[], undefined])
})

t.test('it does not come back: unknown, once the time is up', async t => {
  const { room, first, nextRead, settled } = await liveRoom(5, 5, 'running', 0, 0, 20)
  void room.renew()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.equal(first.why, undefined)
  ;(await nextRead(3)).resolve(null)
  await settled()
  t.match(first.why, { code: 'unknown_job' })
})

t.test('without a loss a job that is gone is unknown at once', async t => {
  const { room, first, nextRead, settled } = await liveRoom(5, 5)
  void room.recheck()
  ;(await nextRead(2)).resolve(null)
  await settled()
  t.match(first.why, { code: 'unknown_job' })
})
