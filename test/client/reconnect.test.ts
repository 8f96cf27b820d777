// When the client comes back, how it is spread, and when the server's word is final. Where it goes on: resume.test.ts.

import t from 'tap'
import { CLOSE_CODES } from '../../src/protocol/errors.ts'
import { message, snapshot, turn } from './fakes.ts'
import { live, setup } from './support.ts'
import type { Answer } from './support.ts'

t.test('a cut line: full jitter, then a snapshot when it cannot go on', async t => {
  const { watch, made, clock, socket, world } = await live()
  world.answer = new TypeError('fetch failed')
  const delays: number[] = []
  for (let i = 0; i < 9; i++) {
    socket().end(1006)
    await turn()
    t.equal(watch.getSnapshot().connection, 'reconnecting')
    t.equal(watch.getSnapshot().job?.state, 'running', 'the last known state stays')
    delays.push(clock.waits()[0]!)
    await clock.pass(delays.at(-1)!)
  }
  t.same(delays, [125, 250, 500, 1000, 2000, 4000, 7500, 7500, 7500], 'half of 250 ms doubled up to 15 s, as random says')
  t.equal(made.length, 10)
  socket().open()
  t.match(socket().last('subscribe'), { job_id: 'job_1' })
  socket().acks()
  socket().says(message('job.stalled', 2))
  t.equal(watch.getSnapshot().job?.stalled, false, 'nothing counts before the snapshot')
  socket().says(snapshot({ seq: 7, rev: 9 }))
  t.match(watch.getSnapshot(), { connection: 'live', job: { seq: 7 } })
  socket().end(1006)
  await turn()
  t.equal(clock.waits()[0], 125, 'what worked begins anew')
})

t.test('after a failed open HTTP tells why', async t => {
  const open = async (answer: Answer) => {
    const all = setup()
    const watches = [all.client.watch('job_1'), all.client.watch('job_2')] as const
    all.world.answer = answer
    await turn()
    all.socket().end(1006)
    await turn()
    await turn()
    return { ...all, watches }
  }
  for (const [status, code] of [[401, 'unauthorized'], [403, 'forbidden']] as const) {
    const { watches, asked, clock, made } = await open({ status, body: { code, detail: 'no' } })
    t.same(asked, [{ url: 'http://gateway:8765/v1/jobs/job_1', authorization: 'Bearer tok' }])
    for (const watch of watches) t.match(watch.getSnapshot(), { connection: 'stopped', error: { code, detail: 'no' } })
    await clock.pass(60_000)
    t.equal(made.length, 1, `${status}: it does not come back`)
  }
  const missing = await open({ status: 404, body: { code: 'unknown_job', detail: 'none' } })
  t.match(missing.watches[0].getSnapshot(), { connection: 'stopped', error: { code: 'unknown_job' } })
  t.equal(missing.watches[1].getSnapshot().connection, 'connecting')
  await missing.clock.pass(125)
  missing.socket().open()
  t.same(missing.socket().sent.map(({ job_id: id }) => id), ['job_2'], 'only the other job goes on')

  const busy = await open({ status: 503, headers: { 'retry-after': '7' } })
  t.equal(busy.clock.waits()[0], 10_500, '7 s and up to as much again')
  const away = await open(new TypeError('fetch failed'))
  t.equal(away.clock.waits()[0], 125)
})

t.test('what was refused may be watched again', async t => {
  const { client, socket, world, made } = setup()
  const refused = client.watch('job_1')
  world.answer = { status: 401 }
  await turn()
  socket().end(1006)
  await turn()
  await turn()
  t.match(refused.getSnapshot(), { connection: 'stopped', error: { code: 'unauthorized' } })
  world.token = 'fresh'
  const again = client.watch('job_1')
  await turn()
  t.equal(made.length, 2)
  t.same(socket().protocols, ['headway.v1', 'bearer.fresh'])
  socket().open()
  socket().begins(snapshot())
  t.equal(again.getSnapshot().connection, 'live')
  t.equal(refused.getSnapshot().connection, 'stopped')
})

t.test('every close code does what its table says', async t => {
  for (const [text, { reconnect, name }] of Object.entries(CLOSE_CODES)) {
    const { watch, clock, made, socket } = await live()
    socket().end(Number(text), '')
    await turn()
    await turn()
    t.equal(watch.getSnapshot().connection, reconnect ? 'reconnecting' : 'stopped', `${text} ${name}`)
    await clock.pass(15_000)
    t.equal(made.length, reconnect ? 2 : 1, `${text} ${name}`)
  }
})

t.test('a restarting gateway chooses the time; a busy one is not asked at once', async t => {
  const restarting = await live()
  restarting.socket().end(1012, '{"reconnect_after_ms":4321}')
  await turn()
  t.same(restarting.clock.waits(), [4321])
  for (const code of [1013, 4429]) {
    const busy = await live()
    busy.socket().end(code)
    await turn()
    t.same(busy.clock.waits(), [1500], 'a second and up to as much again')
  }
})

t.test('an expired token: back with a new one, stopped with the same', async t => {
  const { watch, world, clock, socket } = await live()
  world.token = 'renewed'
  socket().end(4401)
  await turn()
  await turn()
  t.equal(watch.getSnapshot().connection, 'reconnecting')
  await clock.pass(125)
  t.same(socket().protocols, ['headway.v1', 'bearer.renewed'])
})

t.test('a token that cannot be got is tried again', async t => {
  let tries = 0
  const { made, clock, client } = setup({
    async getToken () {
      if (++tries < 3) throw new Error('no session yet')
      return 'tok'
    }
  })
  client.watch('job_1')
  await turn()
  t.equal(made.length, 0)
  await clock.pass(1000)
  t.equal(made.length, 1)
})

t.test('a line that gives no sign is asked, then left', async t => {
  const { watch, clock, socket, made } = await live()
  await clock.pass(29_999)
  t.notOk(socket().last('ping'))
  await clock.pass(1)
  t.ok(socket().last('ping'))
  socket().says({ type: 'pong', id: null, ts: 'x' })
  await clock.pass(30_000)
  t.equal(made.length, 1)
  const [dead] = made
  await clock.pass(10_000)
  t.equal(dead!.closed, true)
  t.equal(watch.getSnapshot().connection, 'reconnecting')
  await clock.pass(250)
  t.equal(made.length, 2)
})

t.test('a socket that never opens is given up', async t => {
  const { client, clock, made, world } = setup()
  client.watch('job_1')
  world.answer = new TypeError('fetch failed')
  await turn()
  await clock.pass(15_000)
  t.equal(made[0]!.closed, true)
  await clock.pass(125)
  t.equal(made.length, 2)
})

t.test('a refused subscription stops its job, a temporary refusal only delays it', async t => {
  const { client, watch, socket, clock } = await live()
  const other = client.watch('job_2')
  const { id } = socket().last('subscribe')!
  socket().says({ type: 'error', id, code: 'redis_unavailable', detail: 'later', job_id: 'job_2' })
  t.equal(other.getSnapshot().connection, 'connecting')
  await clock.pass(125)
  const second = socket().last('subscribe')!
  t.match(second, { job_id: 'job_2' })
  t.not(second.id, id)
  socket().says({ type: 'error', id, code: 'unknown_job', detail: 'an answer to the first', job_id: 'job_2' })
  t.equal(other.getSnapshot().connection, 'connecting')
  socket().says({ type: 'error', id: second.id, code: 'unknown_job', detail: 'none', job_id: 'job_2' })
  t.match(other.getSnapshot(), { connection: 'stopped', error: { code: 'unknown_job', detail: 'none' } })
  t.equal(watch.getSnapshot().connection, 'live')
})
