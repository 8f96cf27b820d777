// A room whose channel and reads a test moves by hand, and watchers that note what they hear.

import type { FeedMessage, JobRead } from '../../src/engine/engine.ts'
import { createTally } from '../../src/gateway/tally.ts'
import { createRoom, type Room } from '../../src/gateway/room.ts'
import { createRounds } from '../../src/gateway/rounds.ts'
import type { Member } from '../../src/gateway/seats.ts'
import { createShelf } from '../../src/gateway/shelf.ts'
import type { HeadwayError } from '../../src/protocol/errors.ts'
import type { LoggedEvent } from '../../src/protocol/logged-event.ts'
import type { JobState } from '../../src/protocol/states.ts'
import { until } from '../support/wait.ts'
import { REGISTRATION, storedItem, storedJob } from './stored.ts'

export const EPOCH = 1_000

/** An engine whose channel and reads the test moves by hand. */
export function playedEngine () {
  const reads: { resolve: (read: JobRead | null) => void, reject: (error: Error) => void }[] = []
  let listener: (message: FeedMessage) => void = () => {}
  const after: (number | undefined)[] = []
  let left = 0
  return {
    reads,
    after,
    left: () => left,
    hearing: () => true,
    doubts: 0,
    doubt () { this.doubts++ },
    publish: (message: FeedMessage) => listener(message),
    readJob (_tenant: string, _id: string, afterSeq?: number) {
      after.push(afterSeq)
      return new Promise<JobRead | null>((resolve, reject) => reads.push({ resolve, reject }))
    },
    async subscribe (_tenant: string, _id: string, hear: (message: FeedMessage) => void) {
      listener = hear
      return () => { left++ }
    }
  }
}

/** One logged item event for each seq, or progress alone when `events` is 0. */
export function update (seqTo: number, rev: number, { events = 1, epoch = EPOCH, partial = 0 } = {}): FeedMessage {
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

export function readAt (seq: number, rev: number, epoch = EPOCH, events: LoggedEvent[] = []): JobRead {
  const job = { ...storedJob({ epoch, seq, rev }), ...ENGINE_COLUMNS }
  return { job, registration: REGISTRATION, items: [], open: [], items_seen: 0, now_ms: 0, events, truncated: events.length === 0 }
}

const ENGINE_COLUMNS = {
  lid: '0-0',
  life: 0,
  idle_since: null,
  waits: false,
  stripped: false,
  store: { log_first: 0, log_last: 0, log_events: 0, log_bytes: 0, items_seen: 0, outbox: null }
}

export interface Watcher extends Member { heard: string[], why: HeadwayError | null | undefined }

/** Notes what it hears: `snap:5`, `reset:5`, `e6` for an event of seq 6, `p6` for progress. */
export function watcher (): Watcher {
  const heard: string[] = []
  const self: Watcher = {
    heard,
    why: undefined,
    joined: resumed => { heard.push(resumed ? 'resumed' : 'joined') },
    ended (why) { self.why = why },
    send ({ text }) {
      const { type, seq, data } = JSON.parse(text) as { type: string, seq: number, data: { reset?: boolean } }
      if (type === 'job.snapshot') heard.push(`${data.reset === true ? 'reset' : 'snap'}:${seq}`)
      else heard.push(`${type === 'job.progress' ? 'p' : 'e'}${seq}`)
      return true
    }
  }
  return self
}

export function setUp (progressMs = 0, keepMs = 0, rounds = createRounds(), patienceMs = 60_000) {
  const engine = playedEngine()
  const tally = createTally()
  let emptied = 0
  const room: Room = createRoom({
    engine,
    shelf: createShelf({ keep_ms: keepMs, count_max: 1, bytes_max: 1_000_000 }),
    tally,
    rounds,
    tenant_id: 'acme',
    job_id: 'j',
    progress_interval_ms: progressMs,
    patience_ms: patienceMs,
    onEmpty: () => { emptied++ }
  })
  const nextRead = async (n: number) => {
    await until(() => engine.reads.length >= n, { what: `read ${n}` })
    return engine.reads[n - 1] as typeof engine.reads[number]
  }
  const settled = () => new Promise(resolve => setImmediate(resolve))
  return { engine, room, tally, nextRead, settled, emptied: () => emptied }
}

export async function liveRoom (seq = 1, rev = 1, state: JobState = 'running', progressMs = 0, keepMs = 0, patienceMs = 60_000) {
  const set = setUp(progressMs, keepMs, createRounds(), patienceMs)
  const first = watcher()
  const { leave } = set.room.join(first)
  const read = readAt(seq, rev)
  ;(await set.nextRead(1)).resolve({ ...read, job: { ...read.job, state } })
  await set.settled()
  first.heard.length = 0
  return { ...set, first, leave }
}

/** What the log holds from `from` to `to`. */
export function logged (from: number, to: number): LoggedEvent[] {
  const line = (seq: number) => ({ event: 'item' as const, seq, ts: 0, cid: `c${seq}`, rev: seq, name: 'started' as const, item: storedItem(`i${seq}`) })
  return Array.from({ length: to - from + 1 }, (_, n) => line(from + n))
}
