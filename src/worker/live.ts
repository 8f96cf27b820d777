// What a worker knows of its jobs while they run, whichever way it hears of them: a view of each that is answered from at once, the
// handlers that are told of changes, and who obeys users (job.ts, duty.ts).
//
// Known is every job that was registered or named by a call. Watched are all of them once handlers were added or monitoring was
// started; before that only those whose state the application asks for. Bound: as many as the transport can watch. Beyond,
// one that has ended leaves, then the one named longest ago that this worker has not in hand.

import type { Log } from '../engine/connections.ts'
import { HeadwayError } from '../protocol/errors.ts'
import type { JobView } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import type { JobState } from '../protocol/states.ts'
import type { WorkerEvent } from '../protocol/worker-events.ts'
import { createDuty } from './duty.ts'
import type { Duty } from './duty.ts'
import { createHandlers } from './handlers.ts'
import type { Handlers } from './handlers.ts'
import { JobHandle } from './job.ts'
import type { WorkerJob } from './job.ts'
import { createProgressLane } from './progress-lane.ts'
import type { ProgressLane } from './progress-lane.ts'
import type { JobNews, JobWatch, Transport } from './transport.ts'

export interface LiveParams {
  transport: Transport
  tenant: string
  /** Name of this worker in heartbeats. */
  worker: string | null
  /** Between two heartbeats of a job; 0 = none are sent. */
  heartbeat_ms: number
  log: Log
  /** For tests: how long an ended job's view stays. */
  ended_ms?: number
}

export type StateChangeHandler = (jobId: string, prior: JobState, next: JobState, reason: string | null) => unknown
export type ProgressHandler = (jobId: string, progress: JobView) => unknown

interface Entry {
  readonly id: string
  readonly duty: Duty
  readonly lane: ProgressLane
  watch: JobWatch | null
  /** Null = not known, or not there. */
  view: (() => JobView) | null
  state: JobState | null
  rate_limited: boolean
  /** Monotonic ms; null = it has not ended. */
  ended_at: number | null
}

/** An ended job's view stays so long, as the job does in Redis. */
const ENDED_MS = 300_000
/** How long a wait looks for the state of a job that cannot be read; then the work goes on. */
const KNOWN_MS_MAX = 5_000
const SWEEP_MS = 10_000
const WARN_MS = 10_000

export class Live {
  readonly stateChanges: Handlers<Parameters<StateChangeHandler>>
  readonly progress: Handlers<Parameters<ProgressHandler>>
  readonly #params: LiveParams
  /** The one named longest ago first. */
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Set<Entry>()
  /** Holds the process while something waits, or monitoring was started. */
  readonly #hold = setInterval(() => {}, 2 ** 30).unref()
  #ticker: NodeJS.Timeout | undefined
  #watchesAll = false
  #monitoring = false
  #closed = false
  #warnedAt = -WARN_MS

  constructor (params: LiveParams) {
    this.#params = params
    this.stateChanges = createHandlers('state change', params.log)
    this.progress = createHandlers('progress', params.log)
  }

  /** Every job known, and every one to come. Resolves when those known have been read. */
  async watchAll (): Promise<void> {
    this.#watchesAll = true
    await Promise.all([...this.#entries.values()].map(entry => this.#watch(entry)?.ready))
  }

  start (): Promise<void> {
    this.#monitoring = true
    this.#settleHold()
    const read = this.watchAll()
    read.catch(() => {})
    return read
  }

  /** A call of the application, on its way: told in the same turn, so that what it changes is heard. */
  said (event: WorkerEvent, stored: Promise<void>): void {
    const before = this.#entries.get(event.job)
    if (event.type === 'job.register' && before?.ended_at != null) this.#drop(before) // perhaps another run of the same id
    const entry = this.#name(event.job)
    if (entry === null) return
    if (event.type === 'job.register' && event.data.state !== undefined) entry.duty.saidState(event.data.state)
    else if (event.type === 'job.state') entry.duty.saidState(event.data.state)
    else if (event.type === 'item.update') entry.duty.saidItem(event.data, stored)
  }

  /** @throws HeadwayError overloaded */
  job (jobId: string): WorkerJob {
    const entry = this.#name(jobId)
    if (entry === null) {
      throw new HeadwayError('overloaded', `job ${jobId} cannot be watched: this worker has ${this.#entries.size} jobs in hand already; release() those it is through with`)
    }
    let known: Promise<void> | undefined
    const watch = (): JobWatch | null => this.#watch(entry)
    entry.duty.handle ??= new JobHandle({
      id: jobId,
      state: entry.state,
      known () {
        known ??= within(KNOWN_MS_MAX, watch()?.ready)
        return known
      },
      onChange: () => this.#attend(entry),
      onRelease: () => entry.duty.release()
    })
    return entry.duty.handle
  }

  isRateLimited (jobId: string): boolean {
    const entry = this.#name(jobId)
    if (entry !== null) this.#watch(entry)
    return entry?.rate_limited ?? false
  }

  status (): Record<string, JobView> {
    void this.watchAll().catch(() => {})
    const all: Record<string, JobView> = Object.create(null)
    for (const { id, view } of this.#entries.values()) if (view !== null) all[id] = view()
    return all
  }

  close (): void {
    this.#closed = true
    clearInterval(this.#ticker)
    clearInterval(this.#hold)
    for (const entry of [...this.#entries.values()]) {
      entry.duty.handle?.close(new HeadwayError('closed', `nothing is heard of job ${entry.id} any more: the monitor was closed`))
      this.#drop(entry)
    }
  }

  #name (id: string): Entry | null {
    let entry = this.#entries.get(id)
    if (entry !== undefined) {
      this.#entries.delete(id)
      this.#entries.set(id, entry)
    } else {
      if (this.#closed || !this.#makeRoom(id)) return null
      entry = this.#create(id)
      this.#entries.set(id, entry)
    }
    if (this.#watchesAll) this.#watch(entry)
    return entry
  }

  #create (id: string): Entry {
    const { transport, tenant, worker, heartbeat_ms: heartbeatMs } = this.#params
    const address = { tenant, job: id }
    return {
      id,
      duty: createDuty({
        beats: heartbeatMs > 0,
        heartbeat: ack => transport.send({ type: 'job.heartbeat', ...address, data: { worker, ...(ack === null ? {} : { ack }) } }),
        sayPaused: () => transport.send({ type: 'job.state', ...address, data: { state: 'paused', reason: 'worker_waits' } })
      }),
      lane: createProgressLane(view => this.progress.call(id, view)),
      watch: null,
      view: null,
      state: null,
      rate_limited: false,
      ended_at: null
    }
  }

  /** @returns false when every job is in hand */
  #makeRoom (id: string): boolean {
    const { watches_max: max } = this.#params.transport
    if (this.#entries.size < max) return true
    const all = [...this.#entries.values()]
    const leaves = all.find(one => one.ended_at !== null) ?? all.find(one => !one.duty.holds)
    if (leaves !== undefined) {
      leaves.duty.handle?.close(new HeadwayError('closed', `job ${leaves.id} was released and is not watched any more: ask for it again`))
      this.#drop(leaves)
    }
    if (leaves?.ended_at == null && (this.#watchesAll || leaves?.watch != null)) {
      const what = leaves === undefined ? `job ${id} is not watched` : `job ${leaves.id} is not watched any more`
      this.#warn(`${what}: a worker watches at most ${max} jobs`)
    }
    return leaves !== undefined
  }

  #warn (message: string): void {
    if (performance.now() - this.#warnedAt < WARN_MS) return
    this.#warnedAt = performance.now()
    this.#params.log.warn({ event: 'not_watched' }, message)
  }

  #watch (entry: Entry): JobWatch | null {
    if (this.#closed || this.#entries.get(entry.id) !== entry) return null
    const { transport, tenant, heartbeat_ms: heartbeatMs } = this.#params
    this.#ticker ??= setInterval(() => this.#tick(), heartbeatMs || SWEEP_MS).unref()
    entry.watch ??= transport.watch(tenant, entry.id, news => this.#hear(entry, news))
    entry.watch.ready.catch(() => {})
    return entry.watch
  }

  #hear (entry: Entry, { view, changes, gone }: JobNews): void {
    if (this.#closed) return
    if (gone) return this.#drop(entry)
    entry.view = view
    entry.rate_limited = false
    if (view === null) return // it may come, or come back
    const now = view()
    const { duty, lane } = entry
    // Another run of the same id: who held the old one has seen its end.
    if (entry.ended_at !== null && !isTerminal(now.state)) duty.handle = null
    entry.ended_at = isTerminal(now.state) ? entry.ended_at ?? performance.now() : null
    entry.state = now.state
    entry.rate_limited = now.rate_limited
    duty.handle?.update(now.state, now.reason)
    duty.heed(now)
    if (this.progress.size > 0) {
      lane.show(now)
      if (changes.length > 0) lane.flush()
    }
    for (const { prior, next, reason } of changes) this.stateChanges.call(entry.id, prior, next, reason)
  }

  /** The application begins to obey, waits, or waits no longer. */
  #attend (entry: Entry): void {
    this.#watch(entry)
    if ((entry.duty.handle?.waiting ?? 0) > 0) this.#waiting.add(entry)
    else this.#waiting.delete(entry)
    this.#settleHold()
    entry.duty.heed(entry.view?.() ?? null)
  }

  #settleHold (): void {
    if (this.#monitoring || this.#waiting.size > 0) this.#hold.ref()
    else this.#hold.unref()
  }

  #tick (): void {
    const { ended_ms: endedMs = ENDED_MS } = this.#params
    const now = performance.now()
    for (const entry of [...this.#entries.values()]) {
      const { duty, ended_at: endedAt } = entry
      if (endedAt !== null && now - endedAt >= endedMs) {
        this.#drop(entry)
        continue
      }
      if (entry.watch === null) continue
      const view = entry.view?.() ?? null
      duty.heed(view)
      duty.beat(view)
    }
  }

  #drop (entry: Entry): void {
    this.#entries.delete(entry.id)
    entry.watch?.close()
    entry.lane.close()
    this.#waiting.delete(entry)
    this.#settleHold()
  }
}

async function within (ms: number, ready: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
  await Promise.race([ready, late]).catch(() => {})
  clearTimeout(timer)
}
