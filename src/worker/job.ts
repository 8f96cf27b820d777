// A job in the hands of its worker: told to stop by `signal`, held by `waitWhilePaused()`. Who asks for one of them obeys from
// then on, and users' requests are acknowledged in its name (duty.ts).

import type { HeadwayError } from '../protocol/errors.ts'
import { createDeferred } from '../protocol/ponyfills.ts'
import type { Deferred } from '../protocol/ponyfills.ts'
import type { JobState } from '../protocol/states.ts'

/** Why a job's signal is aborted. Named AbortError, as everything that takes a signal expects. */
export class JobStopped extends Error {
  override readonly name = 'AbortError'
  readonly job_id: string
  /** canceling, canceled or failed. */
  readonly state: JobState
  /** What the user, or who ended the job, gave as the reason. */
  readonly reason: string | null

  constructor (jobId: string, state: JobState, reason: string | null) {
    super(`job ${jobId} is ${state}${reason === null ? '' : ` (${reason})`}`)
    this.job_id = jobId
    this.state = state
    this.reason = reason
  }
}

export interface WorkerJob {
  readonly id: string
  /** Null = not known: not registered yet, or not read yet. */
  readonly state: JobState | null
  /** Aborted with a {@link JobStopped} when the job is canceled or has failed. Always the same. */
  readonly signal: AbortSignal
  /**
   * Resolves at once unless users hold the job (pausing, paused); then when they let it go on. Keeps the process alive meanwhile.
   * @throws JobStopped when it is canceled or has failed · HeadwayError closed: the monitor was closed, or the job was released and
   *   forgotten
   */
  waitWhilePaused (): Promise<void>
  /** This worker is through with the job: no heartbeats and acknowledgements in its name any more. */
  release (): void
}

export interface JobHandleParams {
  id: string
  state: JobState | null
  /** Resolves when the state is known, or is not waited for any longer. */
  known: () => Promise<void>
  /** The application has begun to obey, or waits, or waits no longer. */
  onChange: () => void
  onRelease: () => void
}

export class JobHandle implements WorkerJob {
  readonly id: string
  readonly #params: JobHandleParams
  readonly #abort = new AbortController()
  #state: JobState | null
  #waiters = new Set<Deferred<void>>()
  #closed: HeadwayError | null = null
  /** A cancel is obeyed once the application has a signal, or waits: a wait ends by it. */
  obeysCancel = false
  /** A pause is obeyed by waiting only. */
  obeysPause = false

  constructor (params: JobHandleParams) {
    this.id = params.id
    this.#params = params
    this.#state = params.state
  }

  get state (): JobState | null {
    return this.#state
  }

  get signal (): AbortSignal {
    if (!this.obeysCancel) {
      this.obeysCancel = true
      this.#params.onChange()
    }
    return this.#abort.signal
  }

  /** Calls that wait now. */
  get waiting (): number {
    return this.#waiters.size
  }

  async waitWhilePaused (): Promise<void> {
    if (!this.obeysPause) {
      this.obeysCancel = this.obeysPause = true
      this.#params.onChange()
    }
    if (this.#state === null) await this.#params.known()
    if (this.#closed !== null) throw this.#closed
    this.#abort.signal.throwIfAborted()
    if (!isHeld(this.#state)) return
    const waiter = createDeferred()
    this.#waiters.add(waiter)
    this.#params.onChange()
    await waiter.promise
  }

  release (): void {
    this.obeysCancel = this.obeysPause = false
    this.#params.onRelease()
  }

  /** News of the job. */
  update (state: JobState, reason: string | null): void {
    this.#state = state
    if (state === 'canceling' || state === 'canceled' || state === 'failed') this.#abort.abort(new JobStopped(this.id, state, reason))
    if (this.#abort.signal.aborted) this.#settle(waiter => waiter.reject(this.#abort.signal.reason))
    else if (!isHeld(state)) this.#settle(waiter => waiter.resolve())
  }

  /** Nothing is known of the job any more. */
  close (why: HeadwayError): void {
    this.#closed = why
    this.#settle(waiter => waiter.reject(why))
  }

  #settle (how: (waiter: Deferred<void>) => void): void {
    if (this.#waiters.size === 0) return
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const waiter of waiters) how(waiter)
    this.#params.onChange()
  }
}

function isHeld (state: JobState | null): boolean {
  return state === 'pausing' || state === 'paused'
}
