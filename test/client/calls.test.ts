// Control calls, HTTP reads, and the client's own end.

import t from 'tap'
import { HeadwayError } from '../../src/client/index.ts'
import { turn } from './fakes.ts'
import { live, setup } from './support.ts'

t.test('control calls are settled by their ack or error', async t => {
  const { client, socket } = await live()
  const pause = client.pause('job_1', 'lunch')
  const cancel = client.cancel('job_1')
  const sent = socket().last('pause')!
  t.match(sent, { action: 'pause', job_id: 'job_1', reason: 'lunch' })
  t.notOk('reason' in socket().last('cancel')!)
  socket().says({ type: 'ack', id: sent.id, action: 'pause', job_id: 'job_1', data: { effect: 'applied', state: 'pausing', rev: 7, request_id: 'r1' } })
  t.same(await pause, { effect: 'applied', state: 'pausing', rev: 7, request_id: 'r1' })
  socket().says({ type: 'error', id: socket().last('cancel')!.id, code: 'invalid_transition', detail: 'no', job_id: 'job_1', allowed: ['running'] })
  await t.rejects(cancel, { name: 'HeadwayError', code: 'invalid_transition', allowed: ['running'] })
})

t.test('a control call opens the socket by itself and is never sent twice', async t => {
  const { client, made, socket, clock, world } = setup()
  world.answer = new TypeError('fetch failed')
  const resume = client.resume('job_1')
  await turn()
  t.equal(made.length, 1)
  socket().end(1006) // never opened: the call waits on
  await turn()
  await clock.pass(125)
  socket().open()
  t.match(socket().sent, [{ action: 'resume', job_id: 'job_1' }])
  socket().end(1006)
  await t.rejects(resume, { code: 'unconfirmed', temporary: true })
  await clock.pass(20_000)
  t.equal(made.flatMap(({ sent }) => sent).length, 1)
})

t.test('a control call without an answer is unconfirmed after 15 s', async t => {
  const { client, clock, socket } = await live()
  const pause = client.pause('job_1')
  const outcome = t.rejects(pause, { code: 'unconfirmed' })
  await clock.pass(15_000)
  await outcome
  socket().says({ type: 'ack', id: socket().last('pause')!.id, action: 'pause' })
  t.pass('an answer that comes too late is nobody\'s')
})

t.test('close ends everything at once', async t => {
  const { client, watch, socket, clock } = await live()
  const pause = client.pause('job_1')
  client.close()
  client.close()
  await t.rejects(pause, { code: 'closed' })
  t.equal(socket().closed, true)
  t.equal(watch.getSnapshot().connection, 'closed')
  t.same(clock.waits(), [])
  t.throws(() => client.watch('job_1'), HeadwayError)
  await t.rejects(client.pause('job_1'), { code: 'closed' })
})

t.test('closing while the token is on its way makes no socket', async t => {
  const { client, made } = setup()
  client.watch('job_1')
  client.close()
  await turn()
  t.equal(made.length, 0)
})

t.test('frames that are no messages are ignored', async t => {
  const { watch, socket } = await live()
  const before = watch.getSnapshot()
  socket().onmessage?.({ data: 'no json' })
  socket().onmessage?.({ data: '[]' })
  socket().onmessage?.({ data: 'null' })
  socket().says({ type: 'news' }, { type: 'job.stalled', job_id: 'job_9', seq: 1, rev: 1 })
  t.equal(watch.getSnapshot(), before)
})

t.test('lists and single jobs over HTTP', async t => {
  const { client, asked, world } = setup({ url: 'http://gateway/base' })
  world.answer = { status: 200, body: { data: [], next_cursor: null } }
  t.same(await client.listJobs({ state: 'running', limit: 5, cursor: 'a b' }), { data: [], next_cursor: null })
  await client.listItems('job:1', { state: 'failed' })
  await client.getJob('job_1')
  t.same(asked.map(({ url }) => url), [
    'http://gateway/base/v1/jobs?state=running&limit=5&cursor=a+b',
    'http://gateway/base/v1/jobs/job%3A1/items?state=failed',
    'http://gateway/base/v1/jobs/job_1'
  ])
  world.answer = { status: 404, body: { code: 'unknown_job', detail: 'There is no job x.' } }
  await t.rejects(client.getJob('x'), { name: 'HeadwayError', code: 'unknown_job', status: 404, message: 'There is no job x.' })
  world.answer = { status: 502 }
  await t.rejects(client.listJobs(), { code: 'internal', status: 502 })
})
