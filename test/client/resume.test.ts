// Held here: the client's half of H6. After a cut line or a gap it goes on behind the last event it has seen; what belongs to
// an older subscription is not believed; and when nothing can be continued, a snapshot says so.

import t from 'tap'
import type { JobMessage } from '../../src/client/index.ts'
import { item, message, METRICS, snapshot, turn } from './fakes.ts'
import { live, setup } from './support.ts'

/** Live at seq 5, then cut and open again on a new socket. */
async function reopened () {
  const all = await live()
  all.socket().says(message('video.started', 2, item('a')), message('video.started', 3, item('b')),
    message('job.rate_limited', 4, { retry_at: 'x', reason: null }), message('job.stalled', 5))
  all.socket().end(1006)
  await turn()
  await all.clock.pass(125)
  all.socket().open()
  const heard: string[] = []
  all.watch.onMessage(({ type, seq }: JobMessage) => heard.push(`${seq} ${type}`))
  return { ...all, heard }
}

t.test('the first subscription has no cursor', async t => {
  const { socket } = await live()
  t.notOk('since' in socket().last('subscribe')!)
})

t.test('after a cut line: on from the last event, no snapshot, every event heard once', async t => {
  const { watch, socket, heard } = await reopened()
  t.match(socket().last('subscribe'), { job_id: 'job_1', since: '1000.5' })
  t.equal(watch.getSnapshot().connection, 'reconnecting')
  socket().acks('job_1', { resumed: true })
  t.match(watch.getSnapshot(), { connection: 'live', job: { seq: 5 } })
  socket().says(
    message('job.recovered', 6, {}, 20),
    message('video.completed', 7, item('a', { state: 'completed' }), 20),
    message('job.progress', 7, { ...METRICS, items_completed: 1, percent_complete: 10, rate_limited: false }, 22),
    message('video.progress', 7, item('b', { percent_complete: 60 }), 22),
    message('video.started', 8, item('c'), 23)
  )
  t.same(heard, ['6 job.recovered', '7 video.completed', '7 job.progress', '7 video.progress', '8 video.started'])
  t.match(watch.getSnapshot(), {
    connection: 'live',
    job: { seq: 8, rev: 23, stalled: false, rate_limited: false, items_completed: 1, percent_complete: 10 },
    items: [{ id: 'c' }, { id: 'a', state: 'completed' }, { id: 'b', percent_complete: 60 }],
    items_seen: 3
  })
})

t.test('what is sent again is heard once; the end may be among what was missed', async t => {
  const { watch, socket, heard } = await reopened()
  socket().acks('job_1', { resumed: true })
  socket().says(message('job.rate_limited', 4, { retry_at: 'y' }), message('job.stalled', 5), message('job.recovered', 6))
  t.same(heard, ['6 job.recovered'])
  socket().says(message('job.completed', 7, { ...METRICS, state: 'completed', reason: null, percent_complete: 100 }))
  t.match(watch.getSnapshot(), { connection: 'ended', job: { state: 'completed', percent_complete: 100 } })
})

t.test('before the answer nothing is believed, whatever it is', async t => {
  const { watch, socket } = await reopened()
  const before = watch.getSnapshot()
  socket().says(message('job.recovered', 6), snapshot({ seq: 9, rev: 9 }), { type: 'ack', id: null, action: 'unsubscribe', job_id: 'job_1' },
    { type: 'ack', id: 'another', action: 'subscribe', job_id: 'job_1', data: { resumed: true } }, message('job.progress', 5, METRICS, 9))
  t.equal(watch.getSnapshot(), before)
  socket().acks('job_1', { resumed: true })
  socket().says(message('job.recovered', 6))
  t.match(watch.getSnapshot(), { connection: 'live', job: { seq: 6 } })
})

t.test('a server that does not know cursors, or cannot go on: the snapshot counts', async t => {
  for (const data of [undefined, {}, { resumed: false }]) {
    const { watch, socket, heard } = await reopened()
    socket().acks('job_1', data)
    socket().says(message('job.recovered', 6), message('job.progress', 5, METRICS, 9))
    t.equal(watch.getSnapshot().connection, 'reconnecting')
    t.same(heard, [])
    socket().says(snapshot({ epoch: 2000, seq: 2, rev: 3 }, { reset: true }))
    t.match(watch.getSnapshot(), { connection: 'live', job: { epoch: 2000, seq: 2, rev: 3 } })
    socket().end(1006)
    await turn()
    t.equal(watch.getSnapshot().connection, 'reconnecting')
  }
})

t.test('the cursor is of the epoch that the last snapshot named', async t => {
  const { socket, clock } = await live()
  socket().says(snapshot({ epoch: 2000, seq: 0, rev: 1 }, { reset: true }))
  socket().end(1006)
  await turn()
  await clock.pass(125)
  socket().open()
  t.match(socket().last('subscribe'), { since: '2000.0' })
})

t.test('a gap is repaired from the log', async t => {
  const { watch, socket, clock } = await live()
  socket().says(message('job.stalled', 4))
  t.equal(watch.getSnapshot().connection, 'reconnecting')
  t.match(socket().last('unsubscribe'), { job_id: 'job_1' })
  socket().says(message('job.stalled', 2), { type: 'ack', id: null, action: 'unsubscribe', job_id: 'job_1' }, snapshot({ seq: 3, rev: 3 }))
  t.equal(watch.getSnapshot().job?.seq, 1, 'of the subscription that was given up')
  await clock.pass(125)
  t.match(socket().last('subscribe'), { job_id: 'job_1', since: '1000.1' })
  socket().acks('job_1', { resumed: true })
  socket().says(message('job.rate_limited', 2, { retry_at: null }), message('job.rate_limit_cleared', 3), message('job.stalled', 4))
  t.match(watch.getSnapshot(), { connection: 'live', job: { seq: 4, stalled: true } })
})

t.test('a gap that stays is given up for a snapshot; one event in between and it counts anew', async t => {
  const { socket, clock, watch } = await live()
  const delays: number[] = []
  const gap = async () => {
    socket().says(message('job.stalled', 9))
    delays.push(clock.waits()[0]!)
    await clock.pass(clock.waits()[0]!)
    socket().acks('job_1', { resumed: true })
    socket().says(message('job.progress', watch.getSnapshot().job!.seq, METRICS, 20))
    return socket().last('subscribe')!['since']
  }
  t.equal(await gap(), '1000.1')
  t.equal(await gap(), '1000.1')
  socket().says(message('job.recovered', 2, {}, 20))
  t.equal(await gap(), '1000.2')
  t.equal(await gap(), '1000.2')
  socket().says(message('job.stalled', 9))
  await clock.pass(500)
  t.notOk('since' in socket().last('subscribe')!)
  t.same(delays, [125, 250, 125, 250], 'later each time, until an event comes')
  socket().begins(snapshot({ seq: 9, rev: 21 }))
  t.match(watch.getSnapshot(), { connection: 'live', job: { seq: 9 } })
  socket().says(message('job.stalled', 12))
  await clock.pass(125)
  t.match(socket().last('subscribe'), { since: '1000.9' })
})

t.test('a temporary refusal asks with the cursor again', async t => {
  const { socket, clock, watch } = await reopened()
  const { id } = socket().last('subscribe')!
  socket().says({ type: 'error', id, code: 'redis_unavailable', detail: 'later', job_id: 'job_1' })
  await clock.pass(125)
  t.match(socket().last('subscribe'), { since: '1000.5' })
  socket().says({ type: 'ack', id, action: 'subscribe', job_id: 'job_1', data: { resumed: true } }, message('job.recovered', 6))
  t.equal(watch.getSnapshot().job?.seq, 5, 'an answer to the first request is nobody\'s')
})

t.test('min_interval_ms: on every subscription; the least that anybody asked for', async t => {
  const { client, socket, clock } = setup()
  const slow = client.watch('job_1', { min_interval_ms: 2000 })
  await turn()
  socket().open()
  t.match(socket().last('subscribe'), { min_interval_ms: 2000 })
  socket().begins(snapshot())
  socket().end(1006)
  await turn()
  await clock.pass(125)
  socket().open()
  t.match(socket().last('subscribe'), { min_interval_ms: 2000, since: '1000.1' })
  socket().acks('job_1', { resumed: true })
  const { length } = socket().sent
  client.watch('job_1', { min_interval_ms: 3000 })
  t.equal(socket().sent.length, length, 'slower: nothing to ask')
  client.watch('job_1', { min_interval_ms: 500 })
  t.match(socket().sent.slice(length), [{ action: 'unsubscribe' }, { action: 'subscribe', since: '1000.1', min_interval_ms: 500 }])
  socket().acks('job_1', { resumed: true })
  client.watch('job_1')
  t.notOk('min_interval_ms' in socket().last('subscribe')!)
  t.equal(slow.getSnapshot().connection, 'live')
})
