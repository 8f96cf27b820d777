// What an application sees of its watches: views, events, their end, and what they share.

import t from 'tap'
import type { JobMessage } from '../../src/client/index.ts'
import { item, message, METRICS, snapshot, turn } from './fakes.ts'
import { live, setup } from './support.ts'

t.test('one socket for many jobs: token in the protocols, a subscription each, a view each', async t => {
  const { client, made } = setup()
  const first = client.watch('job_1')
  const second = client.watch('job_2', { wait_ms: 5000 })
  const again = client.watch('job_1')
  t.equal(first.getSnapshot().connection, 'connecting')
  await turn()
  t.equal(made.length, 1)
  const [socket] = made
  t.equal(socket!.url, 'ws://gateway:8765/v1/ws')
  t.same(socket!.protocols, ['headway.v1', 'bearer.tok'])
  t.same(socket!.sent, [])
  socket!.open()
  t.match(socket!.sent, [{ action: 'subscribe', job_id: 'job_1' }, { action: 'subscribe', job_id: 'job_2', wait_ms: 5000 }])
  t.equal(socket!.sent.length, 2)
  socket!.begins(snapshot(), snapshot({ id: 'job_2', title: 'other' }))
  t.equal(first.getSnapshot().connection, 'live')
  t.equal(first.getSnapshot(), again.getSnapshot(), 'shared')
  t.equal(second.getSnapshot().job?.title, 'other')
  const third = client.watch('job_3')
  t.match(socket!.last('subscribe'), { job_id: 'job_3' }, 'an open socket is used at once')
  t.equal(third.getSnapshot().job, null)
})

t.test('an address with a path, wss and its own slash', async t => {
  for (const [url, expected] of [
    ['https://host/headway', 'wss://host/headway/v1/ws'], ['wss://host/', 'wss://host/v1/ws'], ['ws://host:1', 'ws://host:1/v1/ws']
  ] as const) {
    const { client, socket } = setup({ url })
    client.watch('job_1')
    await turn()
    t.equal(socket().url, expected)
  }
})

t.test('listeners: views for every change, typed events, one that throws harms nobody', async t => {
  const errors: unknown[] = []
  const { watch, socket } = await live({ onListenerError: error => errors.push(error) })
  const heard: string[] = []
  watch.subscribe(() => { throw new Error('bad listener') })
  const stop = watch.subscribe(() => heard.push(`view ${watch.getSnapshot().job?.seq}`))
  watch.on('job.state_changed', ({ data }) => heard.push(`${data.prior_state} to ${data.new_state}`))
  watch.on('video.completed', ({ data, seq }) => heard.push(`item ${data.id} at ${seq}`))
  watch.onMessage(({ type }: JobMessage) => heard.push(type))
  const before = watch.getSnapshot()
  t.equal(watch.getSnapshot(), before, 'the same until something changes')
  socket().says(
    message('job.state_changed', 2, { prior_state: 'running', new_state: 'pausing', reason: null, forced: false }),
    message('job.state_changed', 2, { prior_state: 'running', new_state: 'pausing', reason: null, forced: false }),
    message('video.completed', 3, item('v1'))
  )
  t.same(heard, ['view 2', 'running to pausing', 'job.state_changed', 'view 3', 'item v1 at 3', 'video.completed'])
  t.equal(errors.length, 2)
  stop()
  watch.close()
  socket().says(message('job.stalled', 4))
  t.equal(heard.length, 6, 'nothing is heard after close')
})

t.test('the final event ends the watch and, when it was the last, the socket', async t => {
  const { watch, socket, clock, client } = await live()
  socket().says(
    message('job.state_changed', 2, { prior_state: 'running', new_state: 'completed', reason: null, forced: false }),
    message('job.completed', 3, { ...METRICS, state: 'completed', reason: null, percent_complete: 100 })
  )
  t.match(watch.getSnapshot(), { connection: 'ended', job: { state: 'completed', percent_complete: 100 } })
  t.match(socket().last('unsubscribe'), { job_id: 'job_1' })
  t.equal(socket().closed, false)
  await clock.pass(1000)
  t.equal(socket().closed, true)
  t.same(clock.waits(), [], 'no timer is left')
  const again = client.watch('job_1')
  t.equal(again.getSnapshot().connection, 'connecting', 'watching again begins anew: the id may have a new run')
})

t.test('a job that has ended already ends the watch with its snapshot', async t => {
  const { client, socket } = setup()
  const watch = client.watch('job_1')
  await turn()
  socket().open()
  socket().begins(snapshot({ state: 'failed', ended_at: 'x' }))
  t.match(watch.getSnapshot(), { connection: 'ended', job: { state: 'failed' } })
})

t.test('the last handle ends the subscription; a page that changes keeps its socket', async t => {
  const { client, watch, socket, made, clock } = await live()
  const other = client.watch('job_1')
  watch.close()
  watch.close()
  t.notOk(socket().last('unsubscribe'))
  other.close()
  t.match(socket().last('unsubscribe'), { job_id: 'job_1' })
  t.equal(other.getSnapshot().connection, 'closed')
  await clock.pass(999)
  client.watch('job_2')
  await clock.pass(5000)
  t.equal(made.length, 1)
  t.equal(socket().closed, false)
})
