// One job watched straight from Redis: its channel, and reads wherever a message does not continue what is known.
//
// The channel is heard before the job is read, and what arrives during a read waits for it. A read that fails, and a message
// that was lost, is mended by the next look (redis-watches.ts): nothing here repeats itself.

import type { FeedMessage } from '../engine/packed.ts'
import type { HeaderPosition } from '../engine/packed.ts'
import type { Feed } from '../engine/feed.ts'
import type { Reads } from '../engine/reads.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import type { LoggedEvent } from '../protocol/logged-event.ts'
import { createDeferred } from '../protocol/ponyfills.ts'
import { isTerminal } from '../protocol/states.ts'
import type { JobState } from '../protocol/states.ts'
import { jobView } from '../protocol/view.ts'
import { changesSince } from './state-changes.ts'
import type { JobNews, JobWatch } from './transport.ts'

/** Messages kept during one read. Beyond: dropped, and the job is read again, which covers them. */
const BUFFER_MESSAGES_MAX = 1_000

export interface RedisWatchParams {
  tenant: string
  job_id: string
  /** When it was asked for, monotonic ms. */
  asked_at: number
  feed: Pick<Feed, 'subscribe'>
  reads: Pick<Reads, 'readJob' | 'readLog'>
  tell: (news: JobNews) => void
  onTrouble: (error: unknown) => void
}

export interface RedisWatch extends JobWatch {
  readonly tenant: string
  readonly job_id: string
  /** Something may have been missed. */
  recheck (): void
  /** What stands in Redis; rechecks when it is not what is known. */
  compare (stored: HeaderPosition | null): void
}

type Known = { job: StoredJob, registration: Registration }

export function createRedisWatch ({ tenant, job_id: id, asked_at: askedAt, feed, reads, tell, onTrouble }: RedisWatchParams): RedisWatch {
  const ready = createDeferred()
  /** Null = it is not there. */
  let known: Known | null = null
  /** State last told of. */
  let last: JobState | null = null
  /** A read has succeeded, and nothing is missing since. */
  let sound = false
  let first = true
  let reading = false
  let again = false
  let closed = false
  let buffer: FeedMessage[] = []

  const opened = feed.subscribe(tenant, id, hear)
  opened.then(recheck, onTrouble)

  function hear (message: FeedMessage): void {
    if (closed) return
    if (!reading) {
      if (sound) advance(message)
      return
    }
    buffer.push(message)
    if (buffer.length <= BUFFER_MESSAGES_MAX) return
    buffer = []
    again = true
  }

  function advance (message: FeedMessage): void {
    if (message.type === 'gone') {
      if (known !== null && message.epoch >= known.job.epoch) leave()
      return
    }
    const { job } = message
    if (known !== null && job.epoch === known.job.epoch) {
      if (job.rev <= known.job.rev) return
      if (message.seq_from !== known.job.seq + 1) return recheck()
    } else if (message.registration === null || message.seq_from !== 1) {
      return recheck() // another epoch, or the first that is heard of it: what came before is in the log
    }
    const registration = message.registration ?? known?.registration
    if (registration === undefined) return recheck()
    stand({ job, registration }, message.events)
  }

  function stand (now: Known, events: readonly LoggedEvent[]): void {
    const changes = changesSince(last, events, now.job)
    known = now
    last = now.job.state
    tell({ view: () => jobView(now.job, now.registration, Date.now()), changes, gone: false })
  }

  /** It has left Redis: after its end for good, else with data that Redis has lost. */
  function leave (): void {
    const ended = known !== null && isTerminal(known.job.state)
    known = null
    tell({ view: null, changes: [], gone: ended })
    if (ended) close()
  }

  function recheck (): void {
    if (closed) return
    again = reading
    if (!reading) void read()
  }

  async function read (): Promise<void> {
    reading = true
    sound = false
    try {
      await (first ? readFirst() : readMissed())
      first = false
      sound = true
    } catch (error) {
      if (!closed) onTrouble(error)
    }
    reading = false
    const heard = buffer
    buffer = []
    if (closed) return
    ready.resolve()
    if (sound) for (const message of heard) hear(message) // a gap among them begins another read, which keeps the rest
    if (again) recheck()
  }

  /**
   * What changed since the watch was asked for was perhaps caused by who asked, and wants to hear of it. Redis's clock tells: its
   * time now, less what has passed here, is not later than that moment, and at most as much earlier as the answer took to come.
   */
  async function readFirst (): Promise<void> {
    const found = await reads.readJob(tenant, id)
    if (closed) return
    if (found === null) return tell({ view: null, changes: [], gone: false })
    const since = Math.floor(found.now_ms - (performance.now() - askedAt))
    const changed = found.job.seq > 0 && found.job.updated_at >= since
    const log = changed ? await reads.readLog(tenant, id, 0) : null
    if (closed) return
    const now = log ?? found
    const events = (log?.events ?? []).filter(({ ts }) => ts >= since)
    stand({ job: now.job, registration: now.registration }, events)
  }

  async function readMissed (): Promise<void> {
    const position = known?.job
    let found = await reads.readLog(tenant, id, position?.seq ?? 0)
    // Another epoch is another history: all of it is news.
    if (found !== null && position !== undefined && found.job.epoch !== position.epoch) found = await reads.readLog(tenant, id, 0)
    if (closed) return
    if (found === null) {
      if (known !== null) leave()
      return
    }
    const { job, registration, events } = found
    if (position !== undefined && isOlder(job, position)) throw new Error(`Redis has lost writes of job ${id} and is about to say so`)
    if (position === undefined || job.epoch !== position.epoch || job.rev !== position.rev) stand({ job, registration }, events)
  }

  function close (): void {
    if (closed) return
    closed = true
    buffer = []
    ready.resolve()
    opened.then(unsubscribe => unsubscribe(), () => {})
  }

  return {
    tenant,
    job_id: id,
    ready: ready.promise,
    recheck,
    compare (stored) {
      if (closed || reading) return
      const moved = stored === null || known === null
        ? stored !== null || known !== null
        : stored.registered_epoch !== known.job.registered_epoch || stored.rev > known.job.rev
      if (!sound || moved) recheck()
    },
    close
  }
}

function isOlder (one: StoredJob, than: StoredJob): boolean {
  return one.epoch < than.epoch || (one.epoch === than.epoch && one.rev < than.rev)
}
