// One job watched over HTTP: its stream of server-sent events, which goes on behind the last one heard, on whichever gateway.
//
// Two things come besides. A request of a user is not told by events: where one may be open, the job is read. And while no stream
// can be had, the job is read at every try, with its timeline, so that whoever can post can hear.

import { applyToJob, isProgress } from '../protocol/apply.ts'
import { formatCursor } from '../protocol/cursor.ts'
import type { Cursor } from '../protocol/cursor.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { LIST_LIMIT_MAX } from '../protocol/limits.ts'
import type { JobMessage, JobView, SnapshotData, StateChangedData } from '../protocol/messages.ts'
import { createDeferred } from '../protocol/ponyfills.ts'
import { isTerminal } from '../protocol/states.ts'
import type { JobState } from '../protocol/states.ts'
import { parseTimestamp } from '../protocol/timestamp.ts'
import { createLine } from './http-line.ts'
import type { OpenStream } from './http-line.ts'
import type { JobControl, JobNews, JobWatch, StateChange } from './transport.ts'

export interface HttpWatchParams {
  job_id: string
  /** When it was asked for, monotonic ms. */
  asked_at: number
  /** @throws HeadwayError what the server says; any other error: no answer */
  get: <T>(path: string) => Promise<T>
  stream: OpenStream
  tell: (news: JobNews) => void
  onTrouble: (error: unknown) => void
}

export interface HttpWatch extends JobWatch {
  /** What a reply to the worker said of the job. */
  hint (control: JobControl): void
}

interface Page { data: JobMessage[], next_cursor: string | null }

const READ_RETRY_MS = 1_000
/** Logged events asked for at once. */
const EVENTS_MAX = LIST_LIMIT_MAX
/** Messages that wait for a timeline. Beyond: dropped, and the stream is opened again. */
const HELD_MAX = 1_000

export function createHttpWatch (params: HttpWatchParams): HttpWatch {
  const { job_id: id, asked_at: askedAt, get, stream, tell, onTrouble } = params
  const path = `v1/jobs/${encodeURIComponent(id)}`
  const timelineOf = (after: Cursor): string => `${path}/timeline?limit=${EVENTS_MAX}&cursor=${formatCursor(after)}`
  const ready = createDeferred()
  ready.promise.catch(() => {}) // reported by onTrouble
  /** Newest view, by (epoch, rev); null = not there. */
  let job: JobView | null = null
  /** Last logged event heard; what comes is counted from here. */
  let seen: Cursor | null = null
  let last: JobState | null = null
  let closed = false
  let reading = false
  let readAgain = false
  let retry: NodeJS.Timeout | undefined
  /** While the timeline of a snapshot is read: what comes meanwhile. */
  let held: JobMessage[] | null = null

  function say (changes: StateChange[]): void {
    const view = job
    if (changes.length > 0) last = changes.at(-1)!.next
    tell({ view: view === null ? null : () => view, changes, gone: false })
    ready.resolve()
  }

  function hear (message: JobMessage): void {
    if (closed) return
    if (held !== null) {
      if (held.length < HELD_MAX) held.push(message)
      return
    }
    if (message.type === 'job.snapshot') return begin(message.ts, message.data as SnapshotData)
    if (job === null || seen === null) return
    if (isProgress(message.type)) {
      if (message.type !== 'job.progress' || message.seq !== job.seq || message.rev < job.rev) return
      update(message)
      return say([])
    }
    if (message.seq <= seen.seq) return
    if (message.seq > seen.seq + 1) return line.reopen()
    seen = { epoch: seen.epoch, seq: message.seq }
    if (message.seq > job.seq) update(message)
    if (!message.type.startsWith('job.')) return // items; what they did to the job comes as progress
    if (message.type !== 'job.state_changed') return say([])
    const change = changeOf(message.data as StateChangedData)
    say([change])
    if (change.next === 'pausing' || change.next === 'canceling') read()
  }

  function update (message: JobMessage): void {
    job = applyToJob(job!, message)
  }

  /** A snapshot does not tell what led to it: its timeline does, back to what was heard, or to when the watch was asked for. */
  function begin (ts: string, { job: found }: SnapshotData): void {
    const before = seen
    seen = { epoch: found.epoch, seq: found.seq }
    adopt(found)
    if (before !== null && before.epoch === found.epoch) {
      if (found.seq > before.seq) return void tellBetween(before.seq, found, 0)
    } else if (last === null && found.seq > 0) {
      // See redis-watch.ts: the time of the call on Redis's clock.
      const since = Math.floor((parseTimestamp(ts) ?? 0) - (performance.now() - askedAt))
      if ((parseTimestamp(found.updated_at) ?? 0) >= since) return void tellBetween(Math.max(0, found.seq - EVENTS_MAX), found, since)
    }
    stand(found, [])
  }

  /** @param since wall ms; what was logged before is no news */
  async function tellBetween (after: number, found: JobView, since: number): Promise<void> {
    held = []
    let changes: StateChange[] = []
    try {
      const { data } = await get<Page>(timelineOf({ epoch: found.epoch, seq: after }))
      changes = data.filter(({ type, ts, seq }) => type === 'job.state_changed' && seq <= found.seq && (parseTimestamp(ts) ?? 0) >= since)
        .map(({ data }) => changeOf(data as StateChangedData))
    } catch (error) {
      if (!closed) onTrouble(error)
    }
    const waiting = held
    held = null
    if (closed) return
    stand(found, changes)
    for (const message of waiting) hear(message)
  }

  /** What the timeline no longer holds comes as one change. */
  function stand (found: JobView, changes: StateChange[]): void {
    const told = changes.at(-1)?.next ?? last
    if (told !== null && told !== found.state) changes.push({ prior: told, next: found.state, reason: found.reason })
    last = found.state
    say(changes)
  }

  function adopt (found: JobView): void {
    if (job === null || found.epoch !== job.epoch || found.rev >= job.rev) job = found
    else if (found.state === job.state) job = { ...job, control: found.control } // which no event tells
  }

  /** The job as it stands, for what events do not tell. */
  function read (): void {
    clearTimeout(retry)
    readAgain = reading
    if (!reading) void readJob()
  }

  async function readJob (): Promise<void> {
    reading = true
    try {
      const found = await get<JobView>(path)
      if (closed) return
      if (seen === null && last === null && !line.open) { // no stream could be had yet
        seen = { epoch: found.epoch, seq: found.seq }
        adopt(found)
        stand(found, [])
      } else if (held === null && seen !== null && found.epoch === seen.epoch) {
        if (!line.open) await readTimeline(found)
        adopt(found)
        say([])
      }
    } catch (error) {
      if (closed || (error instanceof HeadwayError && error.code === 'unknown_job')) return
      onTrouble(error)
      if (!(error instanceof HeadwayError) || error.temporary) retry = setTimeout(read, READ_RETRY_MS).unref()
    } finally {
      reading = false
      if (readAgain && !closed) read()
    }
  }

  /** No stream: the logged events all the same. */
  async function readTimeline ({ seq }: JobView): Promise<void> {
    while (!line.open && !closed && seen !== null && seen.seq < seq) {
      const before = seen.seq
      const { data } = await get<Page>(timelineOf(seen))
      if (line.open) return
      for (const message of data) hear(message)
      if (seen.seq === before) return
    }
  }

  function leave (): void {
    if (job === null && last === null) return say([]) // not registered yet
    if (job !== null && isTerminal(job.state)) return close()
    job = seen = null
    say([])
  }

  function isOver (): boolean {
    return job !== null && isTerminal(job.state) && held === null && seen !== null && seen.seq >= job.seq
  }

  function close (): void {
    closed = true
    line.close()
    clearTimeout(retry)
    ready.resolve()
  }

  const line = createLine({
    path: `${path}/events`,
    stream,
    since: () => seen === null ? null : formatCursor(seen),
    onEvent: ({ data }) => hear(JSON.parse(data) as JobMessage),
    onUnknown: leave,
    onFailure (error) {
      onTrouble(error)
      read()
    },
    onRefused (error) {
      onTrouble(error)
      ready.reject(error)
    },
    isOver
  })
  return {
    ready: ready.promise,
    hint ({ state, request_id: request }) {
      if (job === null || held !== null || isTerminal(job.state)) return
      if ((request !== null && request !== job.control.request_id) || (state !== null && state !== job.state)) read()
    },
    close
  }
}

function changeOf ({ prior_state: prior, new_state: next, reason }: StateChangedData): StateChange {
  return { prior, next, reason }
}
