// What brings members from where they stood to where the room stands: made once, however many come and wherever they stood.

import t from 'tap'
import { CatchUp } from '../../src/gateway/catch-up.ts'
import { EPOCH, logged, readAt } from './played-room.ts'

t.test('an event is encoded once for all, and only when somebody needs it; what it weighs grows by that', async t => {
  const catchUp = new CatchUp(readAt(6, 6, EPOCH, logged(2, 6)), 1)
  const eventsOf = (seq: number) => catchUp.frames({ epoch: EPOCH, seq }, null).filter(({ head }) => head?.type.endsWith('.started'))
  const before = catchUp.bytes
  const few = eventsOf(4)
  t.same(few.map(({ head }) => head?.seq), [5, 6])
  t.equal(catchUp.bytes, before + few.reduce((sum, { size }) => sum + 2 * size, 0))
  const more = eventsOf(2)
  t.same(more.map(({ head }) => head?.seq), [3, 4, 5, 6])
  for (const [n, frame] of few.entries()) t.equal(more[n + 2], frame, 'the same, not one like it')
  const weight = catchUp.bytes
  eventsOf(2)
  t.equal(catchUp.bytes, weight)
})
