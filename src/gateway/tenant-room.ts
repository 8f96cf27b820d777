// A tenant's room: the sockets of this gateway that watch all jobs of a tenant. They get state, not a log: the newest jobs at once,
// then each job as it changes, where a newer state may stand for older ones.
//
// Joining: the tenant's channels are heard first, then its jobs are listed. What changes meanwhile goes to members at once and is
// kept for those who join, since it may be newer than the list. A recheck does the same for everybody, as `reset: true`.

import type { JobPage, TenantChange } from '../engine/engine.ts'
import { HeadwayError } from '../protocol/errors.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import type { JobView } from '../protocol/messages.ts'
import type { TenantMessage } from '../protocol/tenant-messages.ts'
import { formatTimestamp } from '../protocol/timestamp.ts'
import { isTerminal } from '../protocol/states.ts'
import { jobView } from '../protocol/view.ts'
import { toHeadwayError } from './problem.ts'
import type { About } from './missed.ts'
import type { Reach } from './reach.ts'
import { createTenantJobs, isNewer } from './tenant-jobs.ts'

/** Jobs of a snapshot; older ones are read by pages. */
const SNAPSHOT_JOBS = 200
/** Jobs that change during one list. Beyond: listed again. */
const CHANGES_MAX = 2_000
/** Between two lists for everybody: what could not be kept is no reason to ask Redis without end. */
const LISTS_MS_MIN = 1_000
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000
const PROGRESS_INTERVAL_MS = 100

/** One encoded message, and what it is about. */
export interface TenantText { text: string, about: About }

export interface TenantMember {
  /** Called once, right before the snapshot. */
  joined: () => void
  /** It had a list before: its next one says `reset: true`. */
  again: boolean
  /** The same string goes to every member. */
  send: (message: TenantText) => void
  /** It could not be joined; nothing more will come. */
  ended: (why: HeadwayError) => void
}

export interface TenantRoomOptions {
  engine: Pick<Reach, 'subscribeTenant' | 'listJobs' | 'readJob'>
  tenant_id: string
  /** Called once, when nobody is left. */
  onEmpty: () => void
  /** A job's progress is sent at most this often. */
  progress_interval_ms?: number
}

export interface TenantRoom {
  /** @returns leave; the member hears nothing of it */
  join: (member: TenantMember) => () => void
  /** Something may have been missed: everybody gets a new snapshot. */
  recheck: () => Promise<void>
  close: () => void
}

interface Read {
  /** Members get it too. */
  reset: boolean
  joiners: Set<TenantMember>
  /** The newest change of each job since it began. */
  changes: Map<string, TenantChange>
  /** Something may have been missed since it began. */
  again: boolean
  done: () => void
  settled: Promise<void>
}

export function createTenantRoom (options: TenantRoomOptions): TenantRoom {
  const { engine, tenant_id: tenant, onEmpty, progress_interval_ms: interval = PROGRESS_INTERVAL_MS } = options
  const live = new Set<TenantMember>()
  const jobs = createTenantJobs({
    engine,
    tenant_id: tenant,
    progress_interval_ms: interval,
    send: (job, registration) => broadcast(changedText(job, registration)),
    onLost: () => { lost ??= setTimeout(() => { lost = undefined; void recheck() }, LISTS_MS_MIN) },
    onGone: (id, epoch) => broadcast(removedText(id, epoch))
  })
  let reading: Read | null = null
  let retry: NodeJS.Timeout | undefined
  let lost: NodeJS.Timeout | undefined
  let failures = 0
  /** The last list for everybody failed: the next one is for them too. */
  let owed = false
  let closed = false

  /** A failure shows in the first read, which tells the joiners. */
  const opened: Promise<() => void> = engine.subscribeTenant(tenant, hear)

  function broadcast (message: TenantText): void {
    for (const member of live) member.send(message)
  }

  function hear (change: TenantChange): void {
    if (closed) return
    const id = change.type === 'job' ? change.job.id : change.job_id
    const fresh = change.type === 'job' ? jobs.changed(change.job) : jobs.removed(id, change.epoch)
    if (!fresh) return
    if (change.type === 'removed') broadcast(removedText(id, change.epoch))
    if (reading === null) return
    reading.changes.set(id, change)
    if (reading.changes.size > CHANGES_MAX) reading.again = true
    if (reading.again) reading.changes.clear()
  }

  function startRead (reset: boolean, joiners: Set<TenantMember>): Read {
    let done = () => {}
    const settled = new Promise<void>(resolve => { done = resolve })
    const read: Read = { reset, joiners, changes: new Map(), again: false, done, settled }
    reading = read
    owed = false
    clearTimeout(retry)
    opened.then(() => engine.listJobs(tenant, { limit: SNAPSHOT_JOBS })).then(page => finish(read, page), error => fail(read, error))
    return read
  }

  function finish (read: Read, page: JobPage): void {
    if (closed) return
    // A promoted node that lacks what was told already, before the next drain issues the new epoch: (epoch, rev) must not go back.
    if (page.jobs.some(({ job }) => !read.changes.has(job.id) && jobs.isAhead(job))) {
      read.again = true
      return fail(read, new HeadwayError('redis_unavailable', 'Redis has lost writes and is about to say so; repeat the request in a moment.'))
    }
    reading = null
    failures = 0
    if (read.again) {
      startRead(live.size > 0, read.joiners).settled.then(read.done)
      return
    }
    if (read.reset) jobs.flush() // what it is about may be gone: not after the snapshot that says so
    // Who joins an empty room is everybody.
    const shown = newest(read, page, read.reset || live.size === 0)
    const now = Date.now()
    const views = shown.map(({ job, registration }) => jobView(job, registration, now))
    const listed = new Set(shown.map(({ job }) => job.id))
    const besides = changedBesides(read, listed)
    if (read.reset && live.size > 0) for (const message of [snapshotText(views, now, true), ...besides]) broadcast(message)
    if (read.joiners.size > 0) admit(read.joiners, again => [snapshotText(views, now, again), ...besides])
    if (read.reset) jobs.review(listed)
    read.done()
    closeIfEmpty()
  }

  /** The list, with what was heard meanwhile where that is newer. */
  function newest (read: Read, page: JobPage, told: boolean): { job: StoredJob, registration: Registration }[] {
    return page.jobs.flatMap(({ job: listed, registration }) => {
      const change = read.changes.get(listed.id)
      if (change?.type === 'removed' && change.epoch >= listed.epoch) return []
      const job = change?.type === 'job' && isNewer(change.job, listed) ? change.job : listed
      // Registered anew since the list was read: it follows when that registration has been read.
      if (job.registered_epoch !== listed.registered_epoch) return []
      jobs.listed(job, registration, told)
      return [{ job, registration }]
    })
  }

  /** What changed during the read and does not stand in the snapshot. Jobs whose registration is still read follow by themselves. */
  function changedBesides (read: Read, shown: Set<string>): TenantText[] {
    return [...read.changes.values()].flatMap(change => {
      if (change.type === 'removed' || shown.has(change.job.id)) return []
      const registration = jobs.registrationOf(change.job)
      return registration === null ? [] : [changedText(change.job, registration)]
    })
  }

  function admit (joiners: Set<TenantMember>, messagesOf: (again: boolean) => TenantText[]): void {
    const joined = [...joiners]
    joiners.clear()
    const first = messagesOf(false)
    const anew = joined.some(({ again }) => again) ? messagesOf(true) : []
    for (const member of joined) {
      live.add(member)
      member.joined()
      for (const message of member.again ? anew : first) member.send(message)
    }
  }

  function fail (read: Read, error: unknown): void {
    if (closed) return
    reading = null
    const joiners = [...read.joiners]
    read.joiners.clear()
    for (const member of joiners) member.ended(toHeadwayError(error))
    read.done()
    if (live.size > 0 && (read.reset || read.again)) {
      owed = true
      const most = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** failures++)
      retry = setTimeout(() => startRead(true, new Set()), most / 2 + Math.random() * most / 2)
    }
    closeIfEmpty()
  }

  function recheck (): Promise<void> {
    if (closed) return Promise.resolve()
    if (reading !== null) {
      reading.again = true
      return reading.settled
    }
    return startRead(true, new Set()).settled
  }

  function close (): void {
    if (closed) return
    closed = true
    clearTimeout(retry)
    clearTimeout(lost)
    jobs.close()
    opened.then(leave => leave(), () => {})
    reading?.done()
    onEmpty()
  }

  function closeIfEmpty (): void {
    if (!closed && live.size === 0 && (reading === null || reading.joiners.size === 0)) close()
  }

  return {
    join (member) {
      if (reading !== null) reading.joiners.add(member)
      else startRead(owed, new Set([member]))
      return () => {
        live.delete(member)
        reading?.joiners.delete(member)
        closeIfEmpty()
      }
    },
    recheck,
    close
  }
}

function encode (message: TenantMessage, about: About): TenantText {
  return { text: JSON.stringify(message), about }
}

function snapshotText (jobs: JobView[], now: number, reset: boolean): TenantText {
  return encode({ type: 'tenant.snapshot', ts: formatTimestamp(now), data: { jobs, reset } }, { kind: 'list' })
}

/** As of its last change: every gateway writes the same text. */
function changedText (job: StoredJob, registration: Registration): TenantText {
  const { id, seq, rev, updated_at: at } = job
  const view = jobView(job, registration, at)
  const message: TenantMessage = { type: 'tenant.job_changed', ts: formatTimestamp(at), job_id: id, seq, rev, data: { job: view } }
  return encode(message, { kind: isTerminal(job.state) ? 'end' : 'state', job_id: id })
}

function removedText (id: string, epoch: number): TenantText {
  const message: TenantMessage = { type: 'tenant.job_removed', ts: formatTimestamp(Date.now()), job_id: id, data: { epoch } }
  return encode(message, { kind: 'removal', job_id: id })
}
