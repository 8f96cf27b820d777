// The order of things in a room: every interleaving of joins, reads and messages that once could go wrong, played by hand.
// (live.test.ts and race.test.ts do the same with Redis, where the order is chance.)

import t from 'tap'
import type { FeedMessage, JobRead } from '../../src/engine/engine.ts'
import { createRoom, type Room } from '../../src/gateway/room.ts'
import type { Member } from '../../src/gateway/seats.ts'
import { HeadwayError } from '../../src/protocol/errors.ts'
import type { JobState } from '../../src/protocol/states.ts'
import { until } from '../support/wait.ts'
import { REGISTRATION, storedItem, storedJob } from './stored.ts'

const EPOCH = 1_000

/** An engine whose channel and reads the test moves by hand. */
function playedEngine () {
  const reads: { resolve: (read: JobRead | null) => void, reject: (error: Error) => void }[] = []
  let listener: (message: FeedMessage) => void = () => {}
  let left = 0
  return {
    reads,
    left: () => left,
    publish: (message: FeedMessage) => listener(message),
    readJob: () => new Promise<JobRead | null>((resolve, reject) => reads.push({ resolve, reject })),
    async subscribe (_tenant: string, _id: string, hear: (message: FeedMessage) => void) {
      listener = hear
      return () => { left++ }
    }
  }
}

/** One logged item event for each seq, or progress alone when `events` is 0. */
function update (seqTo: number, rev: number, { events = 1, epoch = EPOCH, partial = 0 } = {}): FeedMessage {
  const first = seqTo - events + 1
  return {
    type: 'update',
    tenant_id: 'acme',
    job_id: 'j',
    epoch,
    seq_from: first,
    seq_to: seqTo,
    job: storedJob({ epoch, seq: seqTo, rev, partial }),
    registration: null,
    events: Array.from({ length: events }, (_, n) => ({
      event: 'item' as const, seq: first + n, ts: 0, cid: `c${first + n}`, rev, name: 'started' as const, item: storedItem(`i${first + n}`)
    })),
    progress: []
  }
}

function readAt (seq: number, rev: number, epoch = EPOCH): JobRead {
  return { job: { ...storedJob({ epoch, seq, rev }), ...ENGINE_COLUMNS }, registration: REGISTRATION, items: [], items_seen: 0, now_ms: 0 }
}

const ENGINE_COLUMNS = {
  lid: '0-0',
  life: 0,
  idle_since: null,
  waits: false,
  stripped: false,
  store: { log_first: 0, log_last: 0, log_events: 0, log_bytes: 0, items_seen: 0, outbox: null }
}

interface Watcher extends Member { heard: string[], why: HeadwayError | null | undefined }

/** Notes what it hears: `snap:5`, `reset:5`, `e6` for an event of seq 6, `p6` for progress. */
function watcher (): Watcher {
  const heard: string[] = []
  const self: Watcher = {
    heard,
    why: undefined,
    joined: () => heard.push('joined'),
    ended (why) { self.why = why },
    send (text) {
      const { type, seq, data } = JSON.parse(text) as { type: string, seq: number, data: { reset?: boolean } }
      if (type === 'job.snapshot') heard.push(`${data.reset === true ? 'reset' : 'snap'}:${seq}`)
      else heard.push(`${type === 'job.progress' ? 'p' : 'e'}${seq}`)
    }
  }
  return self
}

function setUp () {
  const engine = playedEngine()
  let emptied = 0
  const room: Room = createRoom({ engine, tenant_id: 'acme', job_id: 'j', onEmpty: () => { emptied++ } })
  const nextRead = async (n: number) => {
    await until(() => engine.reads.length >= n, { what: `read ${n}` })
    return engine.reads[n - 1] as typeof engine.reads[number]
  }
  const settled = () => new Promise(resolve => setImmediate(resolve))
  return { engine, room, nextRead, settled, emptied: () => emptied }
}

async function liveRoom (seq = 1, rev = 1, state: JobState = 'running') {
  const set = setUp()
  const first = watcher()
  const leave = set.room.join(first, 0)
  const read = readAt(seq, rev)
  ;(await set.nextRead(1)).resolve({ ...read, job: { ...read.job, state } })
  await set.settled()
  first.heard.length = 0
  return { ...set, first, leave }
}

t.test('what arrives during the first read comes after the snapshot, older things not at all', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, 0)
  const read = await nextRead(1)
  engine.publish(update(4, 4))
  engine.publish(update(5, 5))
  engine.publish(update(6, 6))
  t.same(one.heard, [])
  read.resolve(readAt(5, 5))
  await settled()
  t.same(one.heard, ['joined', 'snap:5', 'e6'])
  engine.publish(update(6, 6))
  engine.publish(update(8, 7, { events: 2 }))
  t.same(one.heard.slice(3), ['e7', 'e8'])
})

t.test('joiners share one read, whoever came late into it too', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const [one, two] = [watcher(), watcher()]
  room.join(one, 0)
  const read = await nextRead(1)
  engine.publish(update(3, 3))
  room.join(two, 0)
  engine.publish(update(4, 4))
  read.resolve(readAt(3, 3))
  await settled()
  t.same(one.heard, ['joined', 'snap:3', 'e4'])
  t.same(two.heard, one.heard)
  t.equal(engine.reads.length, 1)
})

t.test('a live room does not wait for a join, and the joiner gets each event once', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const late = watcher()
  room.join(late, 0)
  const read = await nextRead(2)
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  t.same(first.heard, ['e2', 'e3'], 'live at once')
  read.resolve(readAt(2, 2))
  await settled()
  t.same(late.heard, ['joined', 'snap:2', 'e3'])
  engine.publish(update(4, 4))
  t.same(first.heard, ['e2', 'e3', 'e4'])
  t.same(late.heard.slice(2), ['e3', 'e4'])
})

t.test('a snapshot ahead of the channel: the joiner skips what it holds, the others do not', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const late = watcher()
  room.join(late, 0)
  ;(await nextRead(2)).resolve(readAt(3, 3))
  await settled()
  engine.publish(update(2, 2))
  engine.publish(update(3, 3))
  engine.publish(update(4, 4))
  t.same(first.heard, ['e2', 'e3', 'e4'])
  t.same(late.heard, ['joined', 'snap:3', 'e4'])
})

t.test('a gap is told by a reset, and what came meanwhile follows it', async t => {
  const { engine, first, nextRead, settled } = await liveRoom(1, 1)
  engine.publish(update(3, 3))
  const read = await nextRead(2)
  engine.publish(update(4, 4))
  engine.publish(update(5, 5))
  t.same(first.heard, [], 'silent while it looks')
  read.resolve(readAt(4, 4))
  await settled()
  t.same(first.heard, ['reset:4', 'e5'])
})

t.test('a gap during a join: both are read anew', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const late = watcher()
  room.join(late, 0)
  const read = await nextRead(2)
  engine.publish(update(4, 4))
  read.resolve(readAt(1, 1))
  ;(await nextRead(3)).resolve(readAt(4, 4))
  await settled()
  t.same(first.heard, ['reset:4'])
  t.same(late.heard, ['joined', 'snap:4'])
  engine.publish(update(5, 5))
  t.same(first.heard, ['reset:4', 'e5'])
  t.same(late.heard, ['joined', 'snap:4', 'e5'])
})

t.test('a gap in what was kept during a recheck begins another one', async t => {
  const { engine, first, nextRead, settled } = await liveRoom(1, 1)
  engine.publish(update(3, 3))
  const read = await nextRead(2)
  engine.publish(update(6, 6))
  read.resolve(readAt(3, 3))
  ;(await nextRead(3)).resolve(readAt(6, 6))
  await settled()
  t.same(first.heard, ['reset:3', 'reset:6'])
})

t.test('another epoch is a reset, and a stale one that Redis does not confirm is nothing', async t => {
  const { engine, first, nextRead, settled } = await liveRoom(7, 7)
  engine.publish(update(1, 1, { epoch: EPOCH + 1 }))
  ;(await nextRead(2)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same(first.heard, ['reset:1'])
  engine.publish(update(8, 8, { epoch: EPOCH }))
  ;(await nextRead(3)).resolve(readAt(1, 1, EPOCH + 1))
  await settled()
  t.same(first.heard, ['reset:1'])
})

t.test('a lost connection: nothing is said when nothing was missed, a reset when something was', async t => {
  const { room, first, nextRead, settled } = await liveRoom(2, 2)
  const same = room.recheck()
  ;(await nextRead(2)).resolve(readAt(2, 2))
  await same
  t.same(first.heard, [])
  const moved = room.recheck()
  ;(await nextRead(3)).resolve(readAt(2, 3))
  await moved
  await settled()
  t.same(first.heard, ['reset:2'], 'progress alone was missed')
})

t.test('Redis away during a recheck: silent until it is back, then a reset', async t => {
  const { engine, first, nextRead, settled } = await liveRoom(1, 1)
  engine.publish(update(3, 3))
  ;(await nextRead(2)).reject(new HeadwayError('redis_unavailable', 'away'))
  await settled()
  engine.publish(update(4, 4))
  t.same(first.heard, [])
  ;(await nextRead(3)).resolve(readAt(4, 4))
  await settled()
  t.same(first.heard, ['reset:4'])
})

t.test('a read that fails tells the joiners and leaves the others alone', async t => {
  const { engine, room, first, nextRead, settled } = await liveRoom(1, 1)
  const late = watcher()
  room.join(late, 0)
  ;(await nextRead(2)).reject(new HeadwayError('redis_unavailable', 'away'))
  await settled()
  t.equal(late.why?.code, 'redis_unavailable')
  engine.publish(update(2, 2))
  t.same(first.heard, ['e2'])
})

t.test('progress alone: once, and not when nothing that shows has moved', async t => {
  const { engine, first } = await liveRoom(1, 1)
  engine.publish(update(1, 2, { events: 0, partial: 5_000 }))
  engine.publish(update(1, 3, { events: 0, partial: 5_000 }))
  t.same(first.heard, ['p1'])
})

t.test('a job that leaves Redis after its end ends the room quietly', async t => {
  const { engine, first, emptied } = await liveRoom(1, 1, 'completed')
  engine.publish({ type: 'gone', tenant_id: 'acme', job_id: 'j', epoch: EPOCH - 1, rev: 9 })
  t.equal(first.why, undefined, 'that was the run before')
  engine.publish({ type: 'gone', tenant_id: 'acme', job_id: 'j', epoch: EPOCH, rev: 1 })
  t.equal(first.why, null)
  t.same(first.heard, [])
  t.equal(emptied(), 1)
})

t.test('a job that vanishes unfinished is told to those who watch it', async t => {
  const left = await liveRoom(1, 1)
  left.engine.publish({ type: 'gone', tenant_id: 'acme', job_id: 'j', epoch: EPOCH, rev: 1 })
  t.equal(left.first.why?.code, 'unknown_job', 'gone, and its end was not heard')

  const lost = await liveRoom(1, 1)
  void lost.room.recheck()
  ;(await lost.nextRead(2)).resolve(null)
  await lost.settled()
  t.equal(lost.first.why?.code, 'unknown_job', 'read again, and not there')
  t.equal(lost.emptied(), 1)

  const ended = await liveRoom(1, 1, 'failed')
  void ended.room.recheck()
  ;(await ended.nextRead(2)).resolve(null)
  await ended.settled()
  t.equal(ended.first.why, null, 'its end was heard')
})

t.test('an unknown job: at once, or after the time to wait', async t => {
  const { engine, room, nextRead, settled, emptied } = setUp()
  const [now, patient] = [watcher(), watcher()]
  room.join(now, 0)
  room.join(patient, 60)
  ;(await nextRead(1)).resolve(null)
  await settled()
  t.equal(now.why?.code, 'unknown_job')
  t.equal(patient.why, undefined)
  await until(() => patient.why, { what: 'waiting ends' })
  t.equal(patient.why?.code, 'unknown_job')
  t.equal(emptied(), 1)
  await settled()
  t.equal(engine.left(), 1, 'the channel is left')
})

t.test('a registration ends the wait, also one that came in during the read', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, 20_000)
  const read = await nextRead(1)
  engine.publish(update(0, 1, { events: 0 }))
  read.resolve(null)
  ;(await nextRead(2)).resolve(readAt(0, 1))
  await settled()
  t.same(one.heard, ['joined', 'snap:0'])

  const other = setUp()
  const two = watcher()
  other.room.join(two, 20_000)
  ;(await other.nextRead(1)).resolve(null)
  await other.settled()
  other.engine.publish(update(0, 1, { events: 0 }))
  ;(await other.nextRead(2)).resolve(readAt(0, 1))
  await other.settled()
  t.same(two.heard, ['joined', 'snap:0'])
})

t.test('the last one to leave closes the room, in the middle of a read too', async t => {
  const { engine, room, nextRead, settled, emptied } = setUp()
  const one = watcher()
  const leave = room.join(one, 0)
  const read = await nextRead(1)
  leave()
  t.equal(emptied(), 1)
  read.resolve(readAt(1, 1))
  await settled()
  t.same(one.heard, [])
  t.equal(engine.left(), 1)
})

t.test('more than is kept during a read: read again instead', async t => {
  const { engine, room, nextRead, settled } = setUp()
  const one = watcher()
  room.join(one, 0)
  const read = await nextRead(1)
  for (let n = 1; n <= 1_500; n++) engine.publish(update(n, n))
  read.resolve(readAt(1, 1))
  ;(await nextRead(2)).resolve(readAt(1_500, 1_500))
  await settled()
  t.same(one.heard, ['joined', 'snap:1500'])
})
