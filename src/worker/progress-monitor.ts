// What a worker calls: one method for each thing it can say about a job, and what it hears of it (live.ts). Data objects have the
// field names of the wire.
//
// Every method returns a promise that resolves when the event is stored; the order of the calls for a job is
// kept whether they are awaited or not. A caller that does not await may lose sight of errors, never of order.
// When the buffer is full (Redis away, or slower than the worker) the calls wait; see batcher.ts for the bounds.
//
// Exit: what was called before the process runs out of work is still sent. SIGTERM and process.exit() are the
// application's: call close() first.

import type { JobView } from '../protocol/messages.ts'
import type { JobState } from '../protocol/states.ts'
import type { HeartbeatData, ItemData, ProgressData, RegisterData, Timestamp, WorkerEvent } from '../protocol/worker-events.ts'
import { traceparentOf } from '../tracing/trace.ts'
import type { WorkerJob } from './job.ts'
import { Live } from './live.ts'
import type { ProgressHandler, StateChangeHandler } from './live.ts'
import { transportOf, WARNINGS } from './options.ts'
import type { ProgressMonitorOptions } from './options.ts'
import type { JobControl, Transport } from './transport.ts'

export interface CallOptions {
  /** Comes back in every message that the call causes. */
  correlation_id?: string
}

export interface StateOptions extends CallOptions {
  /** Lets `running` undo a pause. */
  resume?: boolean
  /** For `rate_limited`: when it ends. */
  retry_at?: Timestamp | null
}

export class ProgressMonitor {
  readonly #transport: Transport
  readonly #tenant: string
  readonly #worker: string | null
  readonly #live: Live
  readonly #closeTimeoutMs: number
  readonly #onExit = (): void => { void this.close() }
  #closed: Promise<void> | undefined

  /** @throws HeadwayError invalid_config: no way out, or an option that was replaced · invalid_field: a URL that cannot be read */
  constructor (options: ProgressMonitorOptions) {
    this.#transport = transportOf(options)
    this.#tenant = options.tenantId ?? 'default'
    this.#worker = options.worker ?? null
    this.#live = new Live({
      transport: this.#transport,
      tenant: this.#tenant,
      worker: this.#worker,
      heartbeat_ms: options.heartbeatMs ?? 10_000,
      log: options.log ?? WARNINGS
    })
    this.#closeTimeoutMs = options.closeTimeoutMs ?? 10_000
    process.once('beforeExit', this.#onExit)
  }

  /** Makes the job known. The same registration again has no effect; counters given here are initial values. */
  registerJob (jobId: string, data: RegisterData = {}, options: CallOptions = {}): Promise<void> {
    return this.#send({ type: 'job.register', ...this.#address(jobId, options), data })
  }

  /**
   * The job as its worker holds it: `signal` and `waitWhilePaused()`. The same object until the job has left.
   * @throws HeadwayError overloaded: too many jobs are in hand
   */
  job (jobId: string): WorkerJob {
    return this.#live.job(jobId)
  }

  /**
   * Called with every change of state of the jobs that were registered or named, whoever made it, in order. What it throws is
   * reported. @returns how to take it away again
   */
  addStateChangeHandler (handler: StateChangeHandler): () => void {
    this.#listen()
    return this.#live.stateChanges.add(handler)
  }

  /** Called with the newest progress of these jobs, at most each 100 ms a job. @returns how to take it away again */
  addProgressHandler (handler: ProgressHandler): () => void {
    this.#listen()
    return this.#live.progress.add(handler)
  }

  /**
   * Watches every job that was registered or named by a call, and every one that will be, and holds the process until close().
   * Resolves when those known so far have been read.
   */
  startMonitoring (): Promise<void> {
    return this.#live.start()
  }

  /** As far as is known at this moment: the first call for a job begins to watch it and says false. */
  isRateLimited (jobId: string): boolean {
    return this.#live.isRateLimited(jobId)
  }

  /** Every watched job that is there, by its id, as it stands at this moment. */
  getAllJobsStatus (): Record<string, JobView> {
    return this.#live.status()
  }

  /**
   * Asks for a state. `running` on a job that a user has paused or canceled has no effect (unless `resume`), so a
   * worker may say it before every item. `rate_limited` sets the condition and leaves the state.
   */
  updateJobState (jobId: string, state: JobState | 'rate_limited', reason: string | null = null, options: StateOptions = {}): Promise<void> {
    const { resume, retry_at: retryAt } = options
    return this.#send({
      type: 'job.state',
      ...this.#address(jobId, options),
      data: { state, reason, ...(resume === undefined ? {} : { resume }), ...(retryAt === undefined ? {} : { retry_at: retryAt }) }
    })
  }

  /** Absolute counters of the job, for workers that count by themselves. `state` in it is ignored. */
  updateJobProgress (jobId: string, data: ProgressData, options: CallOptions = {}): Promise<void> {
    return this.#send({ type: 'job.progress', ...this.#address(jobId, options), data })
  }

  /** State and progress of one item; absent fields keep what is known. */
  updateItemProgress (jobId: string, item: ItemData, options: CallOptions = {}): Promise<void> {
    return this.#send({ type: 'item.update', ...this.#address(jobId, options), data: item })
  }

  /** {@link updateItemProgress}, by the name that jobs of videos know it by. */
  updateVideoProgress (jobId: string, video: ItemData, options: CallOptions = {}): Promise<void> {
    return this.updateItemProgress(jobId, video, options)
  }

  /** A sign of life. A running job that has sent one and then nothing for 30 s is called stalled. */
  heartbeat (jobId: string, data: HeartbeatData = {}, options: CallOptions = {}): Promise<void> {
    return this.#send({ type: 'job.heartbeat', ...this.#address(jobId, options), data: { worker: this.#worker, ...data } })
  }

  /**
   * The job's state, and the pause or cancel that waits for an answer.
   * @throws HeadwayError redis_unavailable: ask again
   */
  control (jobId: string): Promise<JobControl> {
    return this.#transport.control(this.#tenant, jobId)
  }

  /** Tells that the worker has seen the request and obeys: no time-out forces the job any more. */
  acknowledge (jobId: string, requestId: string): Promise<void> {
    return this.heartbeat(jobId, { ack: requestId })
  }

  /** Sends without waiting for more. Resolves when everything called before is stored. */
  flush (): Promise<void> {
    return this.#transport.flush()
  }

  /**
   * Stores what was called before, for at most `closeTimeoutMs`, and closes the connections. Idempotent.
   * Calls that could not be stored are rejected with `closed`.
   */
  close (): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close (): Promise<void> {
    process.off('beforeExit', this.#onExit)
    this.#live.close()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => { timer = setTimeout(resolve, this.#closeTimeoutMs) })
    await Promise.race([this.flush().catch(() => {}), late])
    clearTimeout(timer)
    await this.#transport.close()
  }

  #listen (): void {
    void this.#live.watchAll().catch(() => {}) // tried again by the transport
  }

  #address (job: string, options: CallOptions): { tenant: string, job: string, cid?: string } {
    const { correlation_id: cid } = options
    return { tenant: this.#tenant, job, ...(cid === undefined ? {} : { cid }) }
  }

  #send (event: WorkerEvent): Promise<void> {
    // Of the span that the caller is in, if it traces: so the event goes on in that trace.
    const cid = event.cid ?? traceparentOf()
    const stored = this.#transport.send(cid === undefined ? event : { ...event, cid })
    stored.catch(() => {}) // a caller that does not await must not end the process
    this.#live.said(event, stored)
    return stored
  }
}
