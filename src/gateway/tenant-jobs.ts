// The jobs of a tenant as its room knows them: newest header and registration of each, what is to be sent of them and when. Progress
// is conflated, changes of state are not. Bounded: the jobs that changed longest ago are forgotten, and read again when they stir.

import type { JobRead } from '../engine/engine.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { isTerminal } from '../protocol/states.ts'
import type { Reach } from './reach.ts'

/** Beyond: the one that changed longest ago is forgotten; what was held back of it goes out first. Not while states of it wait: */
const JOBS_MAX = 10_000
/** that is up to here, where all are told to look at the list again. */
const JOBS_WAITING_MAX = 20_000
/** Looked at for one that can be forgotten. */
const LOOKED_AT_MAX = 32
/** Registrations read at the same time. */
const READS_AT_ONCE = 8
/** States of a job that wait for its registration. Beyond: the oldest is left out. */
const WAITING_MAX = 32
const RETRY_MS = 500

export interface TenantJobsOptions {
  engine: Pick<Reach, 'readJob'>
  tenant_id: string
  progress_interval_ms: number
  send: (job: StoredJob, registration: Registration) => void
  /** A state could not be kept until it could be sent. */
  onLost: () => void
  /** A job that was looked at has left Redis. */
  onGone: (id: string, epoch: number) => void
}

export interface TenantJobs {
  /** @returns false when it is older than what is known */
  changed: (job: StoredJob) => boolean
  /** @returns false when a later run of the job is known */
  removed: (id: string, epoch: number) => boolean
  /** The registration of this run of the job, if it is at hand. */
  registrationOf: (job: StoredJob) => Registration | null
  /** Whether a newer state of the job is known. */
  isAhead: (job: StoredJob) => boolean
  /** What a list brought. @param told everybody gets this state now, by a snapshot */
  listed: (job: StoredJob, registration: Registration, told: boolean) => void
  /** Changes may have been missed: reads what is not known to have ended and stands in no list that all have, and tells what has moved. */
  review: (listed: ReadonlySet<string>) => void
  /** Sends what is held back. */
  flush: () => void
  close: () => void
}

interface Entry {
  /** Newest state heard of; null = only the registration is known. */
  job: StoredJob | null
  registration: { epoch: number, value: Registration } | null
  /** States that wait for the registration, oldest first. */
  waiting: StoredJob[]
  sent_at: number
  /** `job` is progress that has not been sent. */
  held: boolean
}

export function createTenantJobs (options: TenantJobsOptions): TenantJobs {
  const { engine, tenant_id: tenant, progress_interval_ms: interval, send, onLost, onGone } = options
  /** The one that changed longest ago comes first. */
  const entries = new Map<string, Entry>()
  const held = new Set<string>()
  /** Jobs whose registration is to be read. */
  const lacking = new Set<string>()
  /** Of these, those that have ended: read first. */
  const urgent = new Set<string>()
  const reading = new Set<string>()
  let flushing: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let closed = false

  function touch (id: string): Entry {
    const entry: Entry = entries.get(id) ?? { job: null, registration: null, waiting: [], sent_at: -Infinity, held: false }
    entries.delete(id)
    entries.set(id, entry)
    if (entries.size > JOBS_MAX) forgetOne()
    return entry
  }

  function forgetOne (): void {
    let looked = 0
    for (const [id, entry] of entries) {
      if (entry.held && registrationOf(entry.job!) !== null) sendHeld(id, entry)
      if (entry.waiting.length === 0 && !entry.held) return forget(id)
      if (++looked === LOOKED_AT_MAX) break
    }
    if (entries.size <= JOBS_WAITING_MAX) return
    forget(entries.keys().next().value as string)
    onLost()
  }

  function forget (id: string): void {
    entries.delete(id)
    held.delete(id)
    lacking.delete(id)
    urgent.delete(id)
  }

  function registrationOf (job: StoredJob): Registration | null {
    const known = entries.get(job.id)?.registration ?? null
    return known?.epoch === job.registered_epoch ? known.value : null
  }

  // --- sending

  function deliver (entry: Entry, job: StoredJob): void {
    const registration = registrationOf(job)
    if (registration !== null && entry.waiting.length === 0) {
      entry.sent_at = performance.now()
      send(job, registration)
      return
    }
    const last = entry.waiting.at(-1)
    if (last?.epoch === job.epoch && last.state === job.state) entry.waiting.pop()
    entry.waiting.push(job)
    if (entry.waiting.length > WAITING_MAX) entry.waiting.shift()
    if (isTerminal(job.state)) urgent.add(job.id)
    lacking.add(job.id)
    readLacking()
  }

  function sendHeld (id: string, entry: Entry): void {
    entry.held = false
    held.delete(id)
    if (entry.job !== null) deliver(entry, entry.job)
  }

  function flush (): void {
    flushing = undefined
    const now = performance.now()
    for (const id of held) {
      const entry = entries.get(id) as Entry
      if (now >= entry.sent_at + interval) sendHeld(id, entry)
    }
    armFlush()
  }

  function armFlush (): void {
    if (flushing !== undefined || held.size === 0 || closed) return
    // The first that was held is due first, or nearly so.
    const [first] = held
    const due = (entries.get(first as string) as Entry).sent_at + interval
    flushing = setTimeout(flush, Math.max(1, due - performance.now()))
  }

  // --- registrations

  function readLacking (): void {
    while (!closed && reading.size < READS_AT_ONCE && retry === undefined) {
      const id = nextLacking()
      if (id === undefined) return
      const entry = entries.get(id)
      const asked = (entry?.waiting.at(-1) ?? entry?.job)?.registered_epoch ?? entry?.registration?.epoch ?? 0
      lacking.delete(id)
      urgent.delete(id)
      reading.add(id)
      engine.readJob(tenant, id).then(read => {
        reading.delete(id)
        take(id, read, asked)
      }, () => {
        reading.delete(id)
        if (entries.has(id)) lacking.add(id)
        retry ??= setTimeout(() => {
          retry = undefined
          readLacking()
        }, RETRY_MS)
      }).finally(readLacking)
    }
  }

  function nextLacking (): string | undefined {
    for (const ids of [urgent, lacking]) for (const id of ids) if (!reading.has(id)) return id
    return undefined
  }

  /** @param asked the newest run that was known or waited when the read began: what it did not find of it has left Redis */
  function take (id: string, read: JobRead | null, asked: number): void {
    const entry = entries.get(id)
    if (closed || entry === undefined) return
    const reviewed = entry.waiting.length === 0
    const run = read?.job.registered_epoch
    if (read !== null) entry.registration = { epoch: read.job.registered_epoch, value: read.registration }
    lacking.delete(id)
    urgent.delete(id)
    for (const job of entry.waiting.splice(0)) {
      if (job.registered_epoch === run || job.registered_epoch > asked) deliver(entry, job)
    }
    if (!reviewed) return
    if (read !== null) changed(read.job)
    else if ((entry.job?.registered_epoch ?? 0) <= asked) {
      forget(id)
      onGone(id, entry.job?.epoch ?? entry.registration?.epoch ?? asked)
    }
  }

  function changed (job: StoredJob): boolean {
    const before = entries.get(job.id)?.job ?? null
    if (before !== null && !isNewer(job, before)) return false
    const entry = touch(job.id)
    entry.job = job
    const urgent = before === null || before.epoch !== job.epoch || before.state !== job.state || isTerminal(job.state)
    if (urgent || performance.now() >= entry.sent_at + interval) {
      entry.held = false
      held.delete(job.id)
      deliver(entry, job)
    } else {
      entry.held = true
      held.add(job.id)
      armFlush()
    }
    return true
  }

  return {
    changed,
    removed (id, epoch) {
      const known = entries.get(id)?.job ?? null
      if (known !== null && known.epoch > epoch) return false
      forget(id)
      return true
    },
    registrationOf,
    isAhead (job) {
      const known = entries.get(job.id)?.job ?? null
      return known !== null && isNewer(known, job)
    },
    listed (job, value, told) {
      const entry = touch(job.id)
      entry.registration = { epoch: job.registered_epoch, value }
      lacking.delete(job.id)
      urgent.delete(job.id)
      const waiting = entry.waiting.splice(0)
      if (told) {
        entry.job = job
        entry.held = false
        held.delete(job.id)
      } else {
        for (const one of waiting) deliver(entry, one)
      }
    },
    review (listed) {
      for (const [id, { job }] of entries) if (!listed.has(id) && (job === null || !isTerminal(job.state))) lacking.add(id)
      readLacking()
    },
    flush () {
      for (const id of held) sendHeld(id, entries.get(id) as Entry)
    },
    close () {
      closed = true
      clearTimeout(flushing)
      clearTimeout(retry)
    }
  }
}

/** (epoch, rev) orders any two states of a job. */
export function isNewer (job: StoredJob, than: StoredJob): boolean {
  return job.epoch === than.epoch ? job.rev > than.rev : job.epoch > than.epoch
}
