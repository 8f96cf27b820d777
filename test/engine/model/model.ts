// A partition in plain TypeScript: the second implementation of docs/engine.md §7 and §8, which the property tests hold against Redis.
//
// Written for being read: a job is copied before each event and replaced when the event is accepted, counters are counted
// from the items each time, nothing is cached. What a drain takes (how many entries, whether a backlog stays) is told to it,
// because that is the caller's choice and not a rule.

import { isTerminal } from '../../../src/protocol/states.ts'
import type { Answer, Counts, DeadLetter, Entry, Fact, Job, LogFact, Logged, Message, ModelSettings } from './facts.ts'
import { addInterval, autoComplete, newJob, Refusal, settled, signOfLife, type Cause } from './job.ts'
import { applyRule } from './rules.ts'
import { fireTimer, nextTimer } from './timers.ts'

const GAP_AFTER_MS = 5_000
const WAIT_AGAIN_MS = 5_000
/** A drain that finds nothing to do notes the time at most so often. */
export const IDLE_NOTE_MS = 1_000

export interface ModelStart {
  /** Wall ms of the creation of the partition. */
  last_ms: number
  /** Epoch of the partition, and the last one it has issued. */
  epoch: number
  last_epoch: number
  /** Whether a job belongs to this partition. */
  owns: (tenant: string, job: string) => boolean
  settings: ModelSettings
}

export interface DrainOrder {
  now_ms: number
  /** How many entries it takes. */
  entries: number
  /** Whether it stopped before it knew that the stream ends there; default whether it does not. */
  more?: boolean
}

/** What one drain has done to one job, before it ends. */
interface Touch { events: LogFact[], progress: Map<string, LogFact>, registered: boolean, changed: boolean, seq_before: number }

export interface Model {
  readonly jobs: Map<string, Job>
  /** Every event logged, by job and epoch: `tenant/job/epoch`. */
  readonly logs: Map<string, Logged[]>
  readonly deadLetters: DeadLetter[]
  readonly answers: Map<string, Answer[]>
  readonly producers: Map<string, { n: number, seen: number }>
  readonly dirty: Map<string, number>
  /** What waits for the persister, oldest first: one list a drain that changed a job. That a job has left is not told there. */
  readonly outbox: { change: number, messages: Message[] }[]
  /** Entries not consumed yet. */
  readonly backlog: readonly Entry[]
  readonly clock: { gap_ms: number, gap_end: number, last_ms: number }
  append (entry: Entry): void
  /** Puts entries that were consumed before in front of the backlog again. */
  rewind (entries: readonly Entry[]): void
  drain (order: DrainOrder): Counts & { messages: Message[] }
  /** The reader has stored everything up to this change. */
  readOutbox (change: number): void
  /** The reader has written the job's row. */
  clean (key: string): void
  effectiveEpoch (job: Job): number
}

export const jobKey = (tenant: string, job: string): string => `${tenant}/${job}`

export function createModel ({ last_ms: lastMs, epoch, last_epoch: lastEpochAtStart, owns, settings }: ModelStart): Model {
  const jobs = new Map<string, Job>()
  const logs = new Map<string, Logged[]>()
  const deadLetters: DeadLetter[] = []
  const answers = new Map<string, Answer[]>()
  const producers = new Map<string, { n: number, seen: number }>()
  const dirty = new Map<string, number>()
  const outbox: { change: number, messages: Message[] }[] = []
  const clock = { gap_ms: 0, gap_end: 0, last_ms: lastMs }
  let backlog: Entry[] = []
  let lastEpoch = lastEpochAtStart
  let change = 0
  let read = 0

  const effectiveEpoch = (job: Job): number => Math.max(job.epoch, epoch)
  const baseOf = (entry: Entry): number => Math.max(millisecondsOf(entry.id), clock.gap_end) - clock.gap_ms

  function drain ({ now_ms: nowMs, entries, more }: DrainOrder): Counts & { messages: Message[] } {
    const now = Math.max(nowMs, clock.last_ms)
    if (now - clock.last_ms > GAP_AFTER_MS) {
      clock.gap_ms += now - clock.last_ms
      clock.gap_end = now
    }
    const lastNoted = clock.last_ms
    clock.last_ms = now
    const counts: Counts = { applied: 0, repeated: 0, ignored: 0, rejected: 0, gaps: 0, timers: 0 }
    const touched = new Map<string, Touch>()
    const taken = backlog.slice(0, entries)
    backlog = backlog.slice(entries)
    for (const entry of taken) takeEntry(entry, now, counts, touched)
    const last = taken.at(-1)
    const gone = (more ?? backlog.length > 0) && last !== undefined
      ? fireTimers(baseOf(last), millisecondsOf(last.id), counts, touched)
      : fireTimers(now - clock.gap_ms, now, counts, touched)
    if (taken.length === 0 && counts.timers === 0 && now - lastNoted < IDLE_NOTE_MS) clock.last_ms = lastNoted
    return { ...counts, messages: finish(touched, gone) }
  }

  // ---- one entry

  function takeEntry (entry: Entry, now: number, counts: Counts, touched: Map<string, Touch>): void {
    const known = entry.producer === null ? undefined : producers.get(entry.producer.name)
    const stored = known?.n ?? 0
    const say = (answer: Answer): void => {
      if (entry.request_id !== null) answers.set(entry.id, [...answers.get(entry.id) ?? [], answer])
    }
    answers.delete(entry.id)
    if (entry.producer !== null) {
      const { name, n } = entry.producer
      const repeats = known !== undefined && n <= stored
      if (repeats || n !== stored + 1) {
        if (known !== undefined) known.seen = baseOf(entry)
        if (repeats) counts.repeated += Math.max(1, entry.events.length)
        else counts.gaps++
        say(repeats
          ? { ok: true, effect: 'repeat', state: null, rev: null, request_id: null }
          : { ok: false, codes: ['producer_gap'], state: null, allowed: [] })
        return
      }
      producers.set(name, { n, seen: baseOf(entry) })
    }
    if (entry.fault !== null) {
      counts.rejected++
      deadLetters.push({ entry: entry.id, index: null, codes: entry.fault, tenant: null, job: null })
      say({ ok: false, codes: entry.fault, state: null, allowed: [] })
      return
    }
    const begun = new Map<string, string>()
    for (const [index, fact] of entry.events.entries()) {
      const answer = takeEvent(entry, fact, now, begun, touched)
      if (answer.ok) {
        counts[answer.effect === 'repeat' ? 'repeated' : answer.effect]++
      } else {
        counts.rejected++
        deadLetters.push({ entry: entry.id, index, codes: answer.codes, tenant: fact.tenant, job: fact.job })
      }
      say(answer)
    }
  }

  // ---- one event

  /** @param begun each job's last entry as it was when this entry began: its own events must not look like a repeat */
  function takeEvent (entry: Entry, fact: Fact, now: number, begun: Map<string, string>, touched: Map<string, Touch>): Answer {
    const key = jobKey(fact.tenant, fact.job)
    const known = jobs.get(key)
    if (fact.type === 'fault') {
      return { ok: false, codes: [...fact.codes, ...faultsOfAddress(known)], state: null, allowed: [] }
    }
    if (known === undefined && fact.type !== 'register') return { ok: false, codes: ['unknown_job'], state: null, allowed: [] }
    if (known === undefined && !owns(fact.tenant, fact.job)) return { ok: false, codes: ['wrong_partition'], state: null, allowed: [] }
    const lid = begun.get(key) ?? known?.lid ?? ''
    begun.set(key, lid)
    if (known !== undefined && lid !== '' && compareIds(entry.id, lid) <= 0) return answerOf(known, 'repeat')

    const base = baseOf(entry)
    const emitted: LogFact[] = []
    let visible = false
    const cause: Cause = {
      base,
      wall: millisecondsOf(entry.id),
      cid: fact.cid,
      gap_ms: clock.gap_ms,
      log: (event) => { emitted.push(event) },
      changed: () => { visible = true }
    }
    const isNew = known === undefined && fact.type === 'register'
    const draft = isNew ? newJob(fact, nextEpoch(now), cause) : structuredClone(known as Job)
    try {
      const settledBefore = settled(draft)
      if (fact.type !== 'control') signOfLife(draft, cause)
      const context = { request_id: entry.request_id ?? entry.id, items_max: settings.items_max }
      const effect = isNew ? 'applied' : applyRule(draft, fact, cause, context)
      addInterval(draft, settled(draft) - settledBefore, base)
      autoComplete(draft, cause)
      draft.lid = entry.id
      draft.wait_until = null
      jobs.set(key, draft)
      if (visible || isNew) commit(draft, emitted, cause.wall, isNew, touched)
      return answerOf(draft, visible ? 'applied' : effect)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      // Whether an item's refusal tells the job's state or the item's is left open.
      return { ok: false, codes: [error.code], state: fact.type === 'item' ? null : draft.state, allowed: error.allowed }
    }
  }

  function answerOf (job: Job, effect: 'applied' | 'repeat' | 'ignored'): Answer {
    return { ok: true, effect, state: job.state, rev: job.rev, request_id: job.control.id }
  }

  function nextEpoch (now: number): number {
    lastEpoch = Math.max(now, lastEpoch + 1)
    return lastEpoch
  }

  /** A visible change: rev grows, what was announced gets its seq and waits for the end of the drain. */
  function commit (job: Job, emitted: readonly LogFact[], wall: number, registered: boolean, touched: Map<string, Touch>): void {
    const key = jobKey(job.tenant, job.id)
    const touch = touched.get(key) ??
      { events: [], progress: new Map<string, LogFact>(), registered: false, changed: true, seq_before: job.seq }
    touched.set(key, touch)
    if (registered) touch.registered = true
    job.rev++
    job.updated_wall = wall
    for (const event of emitted) {
      if (event.letter === 'p') {
        touch.progress.set(event.id, event)
        continue
      }
      if ('id' in event) touch.progress.delete(event.id)
      if (event.letter === 'F') touch.progress.clear()
      job.seq++
      touch.events.push(event)
    }
  }

  // ---- timers

  function fireTimers (at: number, wall: number, counts: Counts, touched: Map<string, Touch>): Message[] {
    const gone: Message[] = []
    for (const [key, job] of [...jobs]) {
      for (let next = nextTimer(job, settings); next !== null && next.at <= at; next = nextTimer(job, settings)) {
        counts.timers++
        if (next.timer === 'retention') {
          if (touched.has(key)) { // what has just happened to it is to be told first: it leaves with a later drain
            job.wait_until = at + 1
            continue
          }
          if (mayLeave(job)) {
            jobs.delete(key)
            gone.push({ type: 'gone', tenant: job.tenant, id: job.id, epoch: effectiveEpoch(job), rev: job.rev })
            break
          }
          job.wait_until = at + WAIT_AGAIN_MS
          continue
        }
        const emitted: LogFact[] = []
        const cause: Cause = { base: at, wall, cid: null, gap_ms: clock.gap_ms, log: (event) => { emitted.push(event) }, changed: () => {} }
        fireTimer(next.timer, job, cause)
        commit(job, emitted, wall, false, touched)
      }
    }
    return gone
  }

  function mayLeave (job: Job): boolean {
    return settings.outbox === 'none' || (job.outbox <= read && !dirty.has(jobKey(job.tenant, job.id)))
  }

  // ---- the end of a drain

  function finish (touched: Map<string, Touch>, gone: readonly Message[]): Message[] {
    const full = settings.outbox === 'tight' && outbox.length > 0
    const messages: Message[] = []
    if (touched.size + gone.length > 0) change++
    for (const [key, touch] of touched) {
      const job = jobs.get(key)
      if (job === undefined) continue
      const logKey = `${key}/${job.epoch}`
      const log = logs.get(logKey) ?? []
      logs.set(logKey, log)
      touch.events.forEach((event, n) => log.push({ ...event, seq: touch.seq_before + n + 1, rev: job.rev }))
      if (settings.outbox !== 'none') {
        if (full) dirty.set(key, Math.min(dirty.get(key) ?? Infinity, touch.seq_before + 1))
        else job.outbox = change
      }
      messages.push({
        type: 'update',
        job: structuredClone(job),
        epoch: effectiveEpoch(job),
        seq_from: touch.seq_before + 1,
        seq_to: job.seq,
        registered: touch.registered,
        events: touch.events,
        progress: [...touch.progress.values()]
      })
    }
    if (messages.length > 0 && settings.outbox !== 'none' && !full) outbox.push({ change, messages: [...messages] })
    return [...messages, ...gone]
  }

  return {
    jobs,
    logs,
    deadLetters,
    answers,
    producers,
    dirty,
    outbox,
    get backlog () { return backlog },
    clock,
    append: (entry) => { backlog.push(entry) },
    rewind: (entries) => { backlog.unshift(...entries) },
    drain,
    readOutbox (upTo) {
      read = Math.max(read, upTo)
      while (outbox[0] !== undefined && outbox[0].change <= upTo) outbox.shift()
    },
    clean: (key) => { dirty.delete(key) },
    effectiveEpoch
  }
}

export function millisecondsOf (id: string): number {
  return Number(id.slice(0, id.indexOf('-')))
}

/** Of two faults either may be named. */
function faultsOfAddress (job: Job | undefined): string[] {
  return job === undefined ? ['unknown_job'] : isTerminal(job.state) ? ['job_ended', 'job_finished'] : []
}

export function compareIds (a: string, b: string): number {
  const [aMs = 0, aN = 0] = a.split('-').map(Number)
  const [bMs = 0, bN = 0] = b.split('-').map(Number)
  return aMs - bMs || aN - bN
}
