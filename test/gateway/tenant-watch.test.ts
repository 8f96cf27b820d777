// What a socket that reads too slowly gets of its tenant's stream when it reads again: the newest state of each job, and every end.
// Played by hand, then with a real socket that does not read while far more jobs end than stand in a list.

import t from 'tap'
import { Backlog } from '../../src/gateway/backlog.ts'
import { plainFrame } from '../../src/gateway/frame.ts'
import type { TenantSeat } from '../../src/gateway/hub.ts'
import type { About } from '../../src/gateway/missed.ts'
import { TenantWatch } from '../../src/gateway/tenant-watch.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { until } from '../support/wait.ts'
import { Client, type Message, privateRedis, startGateway, tokenOf } from './support.ts'

/** The bytes of a message that alone fills the socket. */
const FULL = 101

/** A socket whose reader the test moves by hand, and a hub that does nothing by itself. */
function setUp () {
  let queued = 0
  let done: (() => void) | undefined
  let lost = 0
  const written: string[] = []
  const seats: TenantSeat[] = []
  const left: TenantSeat[] = []
  const backlog = new Backlog({
    outlet: { queued: () => queued, flush (called?: () => void) { done = called } },
    write ({ text }) {
      written.push(text.trim())
      queued += text.length
    }
  }, 100)
  const hub = {
    joinTenant (_tenant: string, seat: TenantSeat) {
      seats.push(seat)
      return () => { left.push(seat) }
    }
  }
  const watch = new TenantWatch({ backlog, tenantEnded () {}, tenantLost () { lost++ } }, hub, 'acme')
  const joined = watch.begin(() => {})
  seats[0]!.joined()
  const say = (text: string, about: About, seat = seats.at(-1)!) => seat.send(plainFrame(text), about)
  const fill = () => say('x'.repeat(FULL), { kind: 'state', job_id: 'full' })
  async function read () {
    queued = 0
    const called = done
    done = undefined
    called?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  fill()
  written.length = 0
  return { watch, joined, say, read, written, seats, left, lost: () => lost }
}

t.test('the newest state of each job, in the order in which they changed last', async t => {
  const { joined, say, read, written, seats } = setUp()
  await joined
  say('a1', { kind: 'state', job_id: 'a' })
  say('b1', { kind: 'state', job_id: 'b' })
  say('a2', { kind: 'state', job_id: 'a' })
  t.same(written, [])
  await read()
  t.same(written, ['b1', 'a2'])
  say('a3', { kind: 'state', job_id: 'a' })
  t.same(written, ['b1', 'a2', 'a3'], 'and on it goes')
  t.equal(seats.length, 1, 'without another list')
})

t.test('an end stands before its removal and before the next run of the job', async t => {
  const { say, read, written } = setUp()
  say('run', { kind: 'state', job_id: 'a' })
  say('end', { kind: 'end', job_id: 'a' })
  say('gone', { kind: 'removal', job_id: 'a' })
  say('again 1', { kind: 'state', job_id: 'a' })
  say('again 2', { kind: 'state', job_id: 'a' })
  say('b', { kind: 'state', job_id: 'b' })
  say('b gone', { kind: 'removal', job_id: 'b' })
  await read()
  t.same(written, ['end', 'again 2', 'b gone'])
})

t.test('a list that was missed is replaced by a newer one, and what was kept stands behind it', async t => {
  const { say, read, written, seats, left } = setUp()
  say('end', { kind: 'end', job_id: 'a' })
  say('reset', { kind: 'list' })
  await read()
  t.same(written, [], 'the list is read first')
  t.match(seats.map(({ again }) => again), [false, true])
  t.same(left, [seats[0]], 'the room was never left by all')
  seats[1]!.joined()
  say('list', { kind: 'list' })
  say('c', { kind: 'state', job_id: 'c' })
  t.same(written, ['list', 'end', 'c'])
})

t.test('behind again before the list could be told: nothing that was kept is lost', async t => {
  const { say, read, written } = setUp()
  say('end', { kind: 'end', job_id: 'a' })
  say('reset', { kind: 'list' })
  await read()
  say('x'.repeat(FULL), { kind: 'list' })
  t.equal(written.length, 2, 'in its turn it gets all of it')
  await read()
  say('y'.repeat(FULL), { kind: 'state', job_id: 'a' })
  say('reset', { kind: 'list' })
  say('end b', { kind: 'end', job_id: 'b' })
  await read()
  say('list', { kind: 'list' })
  t.same(written.slice(-2), ['list', 'end b'])
})

t.test('beyond the bound states go first, for a list; ends that are too many end the socket', async t => {
  const large = 'x'.repeat(10_000)
  const { say, read, written, lost } = setUp()
  for (let n = 0; n < 50; n++) say(`end ${n}`, { kind: 'end', job_id: `e${n}` })
  for (let n = 0; n < 120; n++) say(large, { kind: 'state', job_id: `s${n}` })
  t.equal(lost(), 0)
  await read()
  say('list', { kind: 'list' })
  t.same(written.slice(0, 2), ['list', 'end 0'])
  t.equal(written.filter(text => text.startsWith('end')).length, 50)

  const other = setUp()
  for (let n = 0; n < 120; n++) other.say(large, { kind: 'end', job_id: `e${n}` })
  t.ok(other.lost() > 0)
})

t.test('stopped while it is behind', async t => {
  const { watch, say, read, written, left, seats } = setUp()
  say('a1', { kind: 'state', job_id: 'a' })
  watch.stop()
  await read()
  t.same(written, [])
  t.same(left, seats)
})

t.test('stopped before its list: who asked hears so', async t => {
  const backlog = new Backlog({ outlet: null, write () {} }, 100)
  const watch = new TenantWatch({ backlog, tenantEnded () {}, tenantLost () {} }, { joinTenant: () => () => {} }, 'acme')
  const joined = watch.begin(() => {})
  watch.stop()
  await t.rejects(joined, { code: 'closed' })
})

t.test('a real socket that does not read while 300 jobs end hears of every end', async t => {
  const JOBS = 300
  const redis = await privateRedis(t)
  const { engine, url } = await startGateway(t, redis, { HEADWAY_SOCKET_QUEUE_BYTES_MAX: '16384' })
  const token = await tokenOf()
  const ids = Array.from({ length: JOBS }, (_, n) => `job-${n}`)
  async function tell (event: Pick<WorkerEvent, 'type' | 'data'>): Promise<void> {
    const outcomes = await Promise.all(ids.map(job => engine.submit({ tenant: 'acme', job, ...event } as WorkerEvent)))
    t.same(outcomes.filter(({ outcome }) => outcome === 'refused'), [], event.type)
  }
  await tell({ type: 'job.register', data: { items_total: 1, state: 'running', metadata: { note: 'x'.repeat(1_500) } } })
  const [slow, quick] = await Promise.all([1, 2].map(() => new Client(`${url}/v1/ws?token=${token}`).open()))
  for (const client of [slow!, quick!]) {
    client.say({ action: 'subscribe_tenant', id: 's' })
    await client.of('tenant.snapshot')
  }
  slow!.socket.pause()
  // Each is a change of state, which goes out at once. Some 18 MB: the kernel has taken all of 7 MB for a socket that nobody read.
  for (let n = 0; n < 20; n++) await tell({ type: 'job.control', data: { action: n % 2 === 0 ? 'pause' : 'resume' } })
  await tell({ type: 'job.state', data: { state: 'completed' } })
  const ended = ({ messages }: Client) => new Set(messages.flatMap(({ type, data }: Message) => {
    const job = data?.['job'] as { id: string, state: string } | undefined
    return type === 'tenant.job_changed' && job?.state === 'completed' ? [job.id] : []
  }))
  await until(() => ended(quick!).size === JOBS, { what: 'who reads hears every end', timeout_ms: 60_000 })
  slow!.socket.resume()
  await until(() => ended(slow!).size === JOBS, { what: 'and who did not read, all the same' })
  t.ok(slow!.messages.length < quick!.messages.length, `${slow!.messages.length} of ${quick!.messages.length} messages: the newest of each job`)
  for (const client of [slow!, quick!]) client.socket.close()
})
