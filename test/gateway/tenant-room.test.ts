// The order of things in a tenant's room, played by hand: joins, lists, changes and removals in every interleaving that could go wrong.
// At the end once more with Redis.

import t from 'tap'
import type { JobPage, JobRead, TenantChange } from '../../src/engine/engine.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { createReach } from '../../src/gateway/reach.ts'
import { createTenantRoom, type TenantMember } from '../../src/gateway/tenant-room.ts'
import { HeadwayError } from '../../src/protocol/errors.ts'
import type { StoredJob } from '../../src/protocol/job.ts'
import type { TenantMessage } from '../../src/protocol/tenant-messages.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { REGISTRATION, storedJob } from './stored.ts'
import { privateRedis } from './support.ts'

const EPOCH = 1_000
const ENGINE_COLUMNS = {
  lid: '0-0',
  life: 0,
  idle_since: null,
  waits: false,
  stripped: false,
  store: { log_first: 0, log_last: 0, log_events: 0, log_bytes: 0, items_seen: 0, outbox: null }
}

type Fields = Partial<StoredJob>

function stored (id: string, rev: number, fields: Fields = {}) {
  return { ...storedJob({ id, rev, epoch: EPOCH, registered_epoch: fields.epoch ?? EPOCH, ...fields }), ...ENGINE_COLUMNS }
}

const changed = (id: string, rev: number, fields: Fields = {}): TenantChange => ({ type: 'job', job: stored(id, rev, fields) })
const removed = (id: string, epoch = EPOCH): TenantChange => ({ type: 'removed', job_id: id, epoch, rev: 9 })

function page (...jobs: [string, number, Fields?][]): JobPage {
  return { jobs: jobs.map(([id, rev, fields]) => ({ job: stored(id, rev, fields), registration: REGISTRATION })), next_cursor: null }
}

/** An engine whose channel and reads the test moves by hand. */
function playedEngine () {
  const lists: { resolve: (page: JobPage) => void, reject: (error: Error) => void }[] = []
  const reads: { id: string, resolve: (read: JobRead | null) => void, reject: (error: Error) => void }[] = []
  const limits: number[] = []
  let listener: (change: TenantChange) => void = () => {}
  let left = 0
  return {
    lists,
    reads,
    limits,
    left: () => left,
    publish: (...changes: TenantChange[]) => { for (const change of changes) listener(change) },
    listJobs (_tenant: string, { limit }: { limit: number }) {
      limits.push(limit)
      return new Promise<JobPage>((resolve, reject) => lists.push({ resolve, reject }))
    },
    readJob: (_tenant: string, id: string) => new Promise<JobRead | null>((resolve, reject) => reads.push({ id, resolve, reject })),
    async subscribeTenant (_tenant: string, hear: (change: TenantChange) => void) {
      listener = hear
      return () => { left++ }
    }
  }
}

function readOf (id: string, rev: number, fields: Fields = {}): JobRead {
  const registration = { ...REGISTRATION, title: `title of ${id}` }
  return { job: stored(id, rev, fields), registration, items: [], open: [], items_seen: 0, events: [], truncated: false, now_ms: 0 }
}

interface Watcher extends TenantMember { heard: string[], messages: TenantMessage[], why?: HeadwayError }

/** Notes what it hears: `snap:a1,b2` and `reset:…` with the rev of each job, `a3:running`, `-a`. */
function watcher (): Watcher {
  const self: Watcher = {
    heard: [],
    messages: [],
    again: false,
    joined: () => self.heard.push('joined'),
    ended (why) { self.why = why },
    send ({ text }) {
      const message = JSON.parse(text) as TenantMessage
      self.messages.push(message)
      if (message.type === 'tenant.snapshot') {
        self.heard.push(`${message.data.reset ? 'reset' : 'snap'}:${message.data.jobs.map(({ id, rev }) => `${id}${rev}`).join()}`)
      } else if (message.type === 'tenant.job_changed') {
        self.heard.push(`${message.job_id}${message.rev}:${message.data.job.state}`)
      } else {
        self.heard.push(`-${message.job_id}`)
      }
    }
  }
  return self
}

const settled = () => new Promise(resolve => setImmediate(resolve))

function setUp (interval = 60_000) {
  const engine = playedEngine()
  let emptied = 0
  const room = createTenantRoom({ engine, tenant_id: 'acme', onEmpty: () => { emptied++ }, progress_interval_ms: interval })
  t.teardown(() => room.close())
  const next = async <T>(list: T[], n: number): Promise<T> => {
    await until(() => list.length >= n, { what: `read ${n}` })
    return list[n - 1] as T
  }
  return { engine, room, emptied: () => emptied, list: (n: number) => next(engine.lists, n), read: (n: number) => next(engine.reads, n) }
}

async function liveRoom (listed: JobPage, interval?: number) {
  const set = setUp(interval)
  const first = watcher()
  const leave = set.room.join(first)
  ;(await set.list(1)).resolve(listed)
  await settled()
  first.heard.length = 0
  return { ...set, first, leave }
}

t.test('joiners share one list; what changed meanwhile and is newer stands in it', async t => {
  const { engine, room, list } = setUp()
  const [one, two] = [watcher(), watcher()]
  room.join(one)
  const first = await list(1)
  engine.publish(changed('a', 1), changed('b', 5, { state: 'completed' }), changed('c', 3))
  room.join(two)
  engine.publish(removed('c'))
  first.resolve(page(['c', 2], ['b', 3], ['a', 2]))
  await settled()
  t.same(one.heard, ['joined', 'snap:b5,a2'])
  t.same(two.heard, one.heard)
  t.same(engine.limits, [200])
  t.match(one.messages[0], { data: { jobs: [{ id: 'b', state: 'completed' }, {}], reset: false } })
  engine.publish(changed('a', 2), changed('b', 4), changed('a', 3, { state: 'paused' }))
  t.same(one.heard.slice(2), ['a3:paused'], 'older ones are dropped')
})

t.test('a live room does not wait for a join, nor misses what the list already shows', async t => {
  const { engine, room, first, list } = await liveRoom(page(['a', 1], ['b', 1]))
  const late = watcher()
  room.join(late)
  const second = await list(2)
  engine.publish(changed('a', 2, { state: 'paused' }))
  t.same(first.heard, ['a2:paused'])
  second.resolve(page(['a', 2, { state: 'paused' }], ['b', 4, { state: 'failed' }]))
  await settled()
  t.same(late.heard, ['joined', 'snap:a2,b4'])
  engine.publish(changed('b', 4, { state: 'failed' }))
  t.same(first.heard, ['a2:paused', 'b4:failed'], 'its message came later than the list')
})

t.test('a job that is new waits for its registration, with every state of it', async t => {
  const { engine, first, read } = await liveRoom(page())
  engine.publish(changed('n', 1, { state: 'pending' }), changed('n', 2), changed('n', 3), changed('n', 4, { state: 'completed' }))
  const asked = await read(1)
  t.same(first.heard, [])
  engine.publish(changed('n', 5, { state: 'completed' }))
  asked.resolve(readOf('n', 5))
  await settled()
  t.same(first.heard, ['n1:pending', 'n3:running', 'n5:completed'])
  t.match(first.messages.at(-1), { data: { job: { title: 'title of n' } } })
  t.equal(engine.reads.length, 1, 'read once')
})

t.test('registrations are read a few at a time, and again when Redis was away', async t => {
  const { engine, first, read } = await liveRoom(page())
  for (let n = 0; n < 20; n++) engine.publish(changed(`j${n}.`, 1))
  await settled()
  t.equal(engine.reads.length, 8)
  ;(await read(1)).reject(new HeadwayError('redis_unavailable', 'away'))
  for (let n = 2; n <= 21; n++) {
    const { id, resolve } = await read(n)
    resolve(readOf(id, 1))
  }
  await until(() => first.heard.length === 20)
  t.equal(new Set(first.heard).size, 20)
})

t.test('a job that left Redis before its registration was read is not told; its next run is', async t => {
  const { engine, first, read } = await liveRoom(page())
  engine.publish(changed('n', 1))
  const asked = await read(1)
  engine.publish(changed('n', 1, { epoch: EPOCH + 1 }))
  asked.resolve(null)
  ;(await read(2)).resolve(readOf('n', 1, { epoch: EPOCH + 1 }))
  await settled()
  t.same(first.heard, ['n1:running'])
  t.match(first.messages.at(-1), { data: { job: { epoch: EPOCH + 1 } } })
})

t.test('progress is conflated, the newest comes, changes of state go at once', async t => {
  const { engine, first } = await liveRoom(page(['a', 1]), 400)
  engine.publish(changed('a', 2), changed('a', 3), changed('a', 4))
  t.same(first.heard, ['a2:running'], 'the first at once')
  await until(() => first.heard.length === 2)
  t.same(first.heard, ['a2:running', 'a4:running'])
  engine.publish(changed('a', 5), changed('a', 6, { state: 'pausing' }), changed('a', 7, { state: 'paused' }))
  t.same(first.heard.slice(2), ['a6:pausing', 'a7:paused'], 'what was held is older')
  engine.publish(changed('a', 8, { state: 'completed' }))
  t.same(first.heard.slice(4), ['a8:completed'])
})

t.test('a removal is told, ends what was held, and an older run\'s is nothing', async t => {
  const { engine, first } = await liveRoom(page(['a', 1], ['b', 1]), 10)
  engine.publish(changed('a', 2), changed('b', 2), changed('a', 3), changed('b', 3), removed('a', EPOCH - 1), removed('a'))
  t.same(first.heard, ['a2:running', 'b2:running', '-a'])
  t.match(first.messages.at(-1), { job_id: 'a', data: { epoch: EPOCH } })
  await until(() => first.heard.length === 4)
  t.equal(first.heard[3], 'b3:running')
})

t.test('a recheck: all get a reset, joiners a snapshot, and what is in neither follows', async t => {
  const { engine, room, first, list } = await liveRoom(page(['a', 1], ['old', 1]))
  engine.publish(changed('a', 2), changed('a', 3))
  const done = room.recheck()
  const late = watcher()
  room.join(late)
  const second = await list(2)
  engine.publish(changed('old', 2))
  second.resolve(page(['b', 7], ['a', 5]))
  await done
  t.same(first.heard, ['a2:running', 'old2:running', 'a3:running', 'reset:b7,a5', 'old2:running'])
  t.same(late.heard, ['joined', 'snap:b7,a5', 'old2:running'])
  engine.publish(changed('a', 5), changed('a', 6))
  t.equal(first.heard.length, 5, 'held back, as any progress')
})

t.test('what a recheck does not list and was not known to have ended is read: its end and its going are told', async t => {
  const { engine, room, first, list, read } = await liveRoom(page(['ended', 1], ['gone', 1], ['same', 1], ['told', 1], ['only-listed', 1]))
  const late = watcher()
  room.join(late)
  ;(await list(2)).resolve(page(['only-listed', 2]))
  engine.publish(changed('told', 2, { state: 'completed' }))
  await settled()
  first.heard.length = 0
  const done = room.recheck()
  ;(await list(3)).resolve(page(['new', 1]))
  await done
  t.same(first.heard, ['reset:new1'])
  for (const n of [1, 2, 3, 4]) {
    const { id, resolve } = await read(n)
    resolve(id === 'gone' ? null : id === 'same' ? readOf(id, 1) : readOf(id, 9, { state: 'completed' }))
  }
  await until(() => first.heard.length === 4)
  t.same(first.heard.slice(1).toSorted(), ['-gone', 'ended9:completed', 'only-listed9:completed'])
  await settled()
  t.equal(engine.reads.length, 4, 'told had ended before')
})

t.test('another interruption during a recheck: listed once more', async t => {
  const { room, first, list } = await liveRoom(page(['a', 1]))
  const one = room.recheck()
  const second = await list(2)
  const two = room.recheck()
  second.resolve(page(['a', 2]))
  ;(await list(3)).resolve(page(['a', 3]))
  await Promise.all([one, two])
  t.same(first.heard, ['reset:a3'])
})

t.test('a list that lacks what was told is not shown: the next one, of the new epoch, is', async t => {
  const { engine, room, first, list } = await liveRoom(page(['a', 5], ['b', 1]))
  engine.publish(changed('a', 7, { state: 'completed' }))
  void room.recheck()
  const late = watcher()
  room.join(late)
  ;(await list(2)).resolve(page(['a', 5], ['b', 1]))
  await settled()
  t.same(first.heard, ['a7:completed'], 'nothing goes back')
  t.equal(late.why?.code, 'redis_unavailable')
  const third = await list(3)
  engine.publish(changed('b', 1, { epoch: EPOCH + 1, registered_epoch: EPOCH }))
  third.resolve(page(['a', 5, { epoch: EPOCH + 1, registered_epoch: EPOCH }], ['b', 1, { epoch: EPOCH + 1, registered_epoch: EPOCH }]))
  await until(() => first.heard.includes('reset:a5,b1'))
})

t.test('a change during the list may be newer than it', async t => {
  const { engine, room, first, list } = await liveRoom(page(['a', 5]))
  const done = room.recheck()
  const second = await list(2)
  engine.publish(changed('a', 6, { state: 'paused' }))
  second.resolve(page(['a', 5]))
  await done
  t.same(first.heard, ['a6:paused', 'reset:a6'])
})

t.test('Redis away: joiners are told, members wait for the reset', async t => {
  const { room, first, list } = await liveRoom(page(['a', 1]))
  const late = watcher()
  room.join(late)
  ;(await list(2)).reject(new HeadwayError('redis_unavailable', 'away'))
  await settled()
  t.equal(late.why?.code, 'redis_unavailable')
  void room.recheck()
  ;(await list(3)).reject(new HeadwayError('redis_unavailable', 'away'))
  ;(await list(4)).resolve(page())
  await settled()
  t.same(first.heard, ['reset:'])
})

t.test('who joins while members wait for another list does not take it from them', async t => {
  const { room, first, list } = await liveRoom(page(['a', 1]))
  void room.recheck()
  ;(await list(2)).reject(new HeadwayError('redis_unavailable', 'away'))
  await settled()
  const late = watcher()
  room.join(late)
  ;(await list(3)).resolve(page(['b', 1]))
  await settled()
  t.same(first.heard, ['reset:b1'])
  t.same(late.heard, ['joined', 'snap:b1'])
})

t.test('the last one to leave closes the room, in the middle of a list too', async t => {
  const { engine, leave, emptied } = await liveRoom(page())
  leave()
  await settled()
  t.equal(emptied(), 1)
  t.equal(engine.left(), 1)

  const other = setUp()
  const one = watcher()
  const leaveEarly = other.room.join(one)
  const list = await other.list(1)
  leaveEarly()
  list.resolve(page(['a', 1]))
  await settled()
  t.same(one.heard, [])
  t.equal(other.emptied(), 1)
})

t.test('more jobs than are kept: held progress goes out before its job is forgotten', async t => {
  const { engine, first } = await liveRoom(page(['a', 1]))
  engine.publish(changed('a', 2), changed('a', 3))
  for (let n = 0; n < 10_000; n++) engine.publish(changed(`j${n}.`, 1))
  t.same(first.heard, ['a2:running', 'a3:running'])
})

t.test('the end of a job waits for nothing but its own registration, and is not forgotten among thousands that wait', async t => {
  const { engine, first, read } = await liveRoom(page())
  engine.publish(changed('early', 1, { state: 'completed' }))
  for (let n = 0; n < 12_000; n++) engine.publish(changed(`j${n}.`, 1))
  engine.publish(changed('late', 1, { state: 'failed' }))
  ;(await read(1)).resolve(readOf('early', 1, { state: 'completed' }))
  const next = await read(9)
  t.equal(next.id, 'late', 'before the thousands')
  next.resolve(readOf('late', 1, { state: 'failed' }))
  await settled()
  t.same(first.heard, ['early1:completed', 'late1:failed'], 'and nobody has to look at the list again')
})

t.test('with Redis: every job of the tenant ends up as it is, and leaves', async t => {
  const redis = await privateRedis(t)
  const settings = { retention_ms: 200, sweep_interval_ms: 20 }
  const engine = createEngine({ redis_url: redis.url, prefix: randomPrefix(), partitions: 4, settings })
  t.teardown(() => engine.stop())
  await engine.start()
  await engine.submit({ type: 'job.register', tenant: 'acme', job: 'before', data: { items_total: 1, title: 'First' } })
  const room = createTenantRoom({ engine: createReach(engine), tenant_id: 'acme', onEmpty: () => {}, progress_interval_ms: 20 })
  const one = watcher()
  const leave = room.join(one)
  await until(() => one.heard.length === 2)
  t.same(one.heard, ['joined', 'snap:before1'])
  await engine.submit({ type: 'job.register', tenant: 'acme', job: 'live', data: { items_total: 50, state: 'running', title: 'Second' } })
  await engine.append(Array.from({ length: 50 }, (_, n) => ({
    type: 'item.update' as const, tenant: 'acme', job: 'live', data: { id: `i${n}`, state: 'completed' as const }
  })))
  await engine.submit({ type: 'job.state', tenant: 'acme', job: 'live', data: { state: 'completed' } })
  await until(() => one.heard.includes('-live'), { what: 'the job ends and leaves' })
  const last = one.messages.findLast(message => message.type === 'tenant.job_changed')
  t.match(last, { job_id: 'live', data: { job: { state: 'completed', title: 'Second', items_completed: 50, percent_complete: 100 } } })
  await room.recheck()
  t.equal(one.heard.at(-1), 'reset:before1')
  leave()
})
