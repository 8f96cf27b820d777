// The sample job: files of a folder through brotli, an item a file, as a worker does it that obeys its users. What
// fails fails for a reason: a file that cannot be read, one over the size limit, an attempt over the time limit. The
// first and the last are tried again, with more time and less effort.

import { once } from 'node:events'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isTerminal } from '../protocol/states.ts'
import type { JobState } from '../protocol/states.ts'
import type { ItemData, ProgressMonitor } from '../worker/index.ts'
import type { CompressPool } from './compress-pool.ts'
import type { CompressOutcome } from './compress.ts'

/** Less of brotli's quality by attempt; its length is the number of attempts. */
const EFFORT_DROPS = [0, 2, 6]
const RETRY_AFTER_MS = 500
/** Between two reports of progress of one item. */
const PROGRESS_EVERY_MS = 200
/** How often a lane without work looks for some. */
const IDLE_MS = 50

export interface SampleJobOptions {
  monitor: ProgressMonitor
  pool: CompressPool
  job_id: string
  folder: string
  /** Relative to the folder. */
  files: readonly string[]
  /** Of the first attempt, 0–11. */
  quality: number
  size_limit_bytes: number
  /** Of the first attempt; the second has twice, the third three times as long. */
  time_limit_ms: number
  /** Aborted when the worker has to go: the job is then reported as failed. */
  signal: AbortSignal
}

interface Work { row: number, path: string, attempt: number, not_before: number }

/** @returns the state the job was left in */
export async function runSampleJob (options: SampleJobOptions): Promise<string> {
  const { monitor, pool, job_id: jobId, files, signal } = options
  const ended = endOf(monitor, jobId)
  await register(options)
  const job = monitor.job(jobId)
  const over = AbortSignal.any([job.signal, signal])
  job.signal.addEventListener('abort', () => { void pool.stop() })
  const queue = createQueue(files)

  async function lane (): Promise<void> {
    while (await mayGoOn()) {
      const work = queue.take()
      if (work === undefined) return
      if (work === null) await delay(IDLE_MS)
      else queue.putBack(await attempt(work))
    }
  }

  /** Waits while users hold the job; false = it was canceled or has failed, or the worker has to go. */
  async function mayGoOn (): Promise<boolean> {
    if (over.aborted) return false
    const waited = new AbortController()
    try {
      await Promise.race([job.waitWhilePaused(), once(signal, 'abort', { signal: waited.signal })])
    } catch (error) {
      if (!over.aborted) throw error
    } finally {
      waited.abort()
    }
    return !over.aborted
  }

  /** @returns what is to be tried again; null = settled */
  async function attempt (work: Work): Promise<Work | null> {
    const item = { id: `file-${work.row}`, attempt: work.attempt }
    await monitor.updateItemProgress(jobId, { ...item, title: work.path, row_index: work.row, state: 'processing', percent_complete: 0 })
    let nextReport = performance.now() + PROGRESS_EVERY_MS
    const outcome = await pool.run(taskOf(work, options), percent => {
      if (performance.now() < nextReport) return
      nextReport = performance.now() + PROGRESS_EVERY_MS
      void monitor.updateItemProgress(jobId, { ...item, state: 'processing', percent_complete: Math.min(99, percent) })
    })
    if (job.state !== null && isTerminal(job.state)) return null // nothing more can be said about its items
    const report = describe(outcome, work.attempt)
    void monitor.updateItemProgress(jobId, { ...item, ...report })
    if (report.retryable !== true) return null
    return { ...work, attempt: work.attempt + 1, not_before: performance.now() + RETRY_AFTER_MS * work.attempt }
  }

  await Promise.all(Array.from({ length: pool.threads }, lane))
  const leaving = signal.aborted ? Promise.resolve() : once(signal, 'abort')
  const state = await Promise.race([ended, leaving.then(() => null)])
  if (state !== null) return state
  await monitor.updateJobState(jobId, 'failed', 'worker_stopped')
  return 'failed'
}

/** Resolves when the system has called the job completed, canceled or failed. */
function endOf (monitor: ProgressMonitor, jobId: string): Promise<JobState> {
  return new Promise(resolve => {
    monitor.addStateChangeHandler((id, _prior, next) => { if (id === jobId && isTerminal(next)) resolve(next) })
  })
}

async function register (options: SampleJobOptions): Promise<void> {
  const { monitor, pool, job_id: jobId, folder, files, quality } = options
  await monitor.registerJob(jobId, {
    items_total: files.length,
    title: `Compress ${files.length.toLocaleString('en')} files of ${basename(folder)}`,
    job_kind: 'brotli',
    item_kind: 'file',
    concurrency: pool.threads,
    auto_complete: true,
    metadata: { folder, quality, size_limit_bytes: options.size_limit_bytes }
  })
  await monitor.updateJobState(jobId, 'running', 'worker_started')
}

interface Queue {
  /** Null = nothing now, perhaps later; undefined = nothing any more. */
  take (): Work | null | undefined
  /** Ends what `take` began. */
  putBack (again: Work | null): void
}

function createQueue (files: readonly string[]): Queue {
  const retries: Work[] = []
  let row = 0
  let taken = 0
  return {
    take () {
      const due = retries.findIndex(work => work.not_before <= performance.now())
      const path = files[row]
      if (due < 0 && path === undefined) return retries.length > 0 || taken > 0 ? null : undefined
      taken++
      return due < 0 ? { row: ++row, path: path ?? '', attempt: 1, not_before: 0 } : retries.splice(due, 1)[0]
    },
    putBack (again) {
      taken--
      if (again !== null) retries.push(again)
    }
  }
}

function taskOf ({ path, attempt }: Work, { folder, quality, size_limit_bytes: sizeLimit, time_limit_ms: timeLimitMs }: SampleJobOptions) {
  return {
    path: join(folder, path),
    quality: Math.max(1, quality - (EFFORT_DROPS[attempt - 1] ?? 0)),
    size_limit_bytes: sizeLimit,
    time_limit_ms: timeLimitMs * attempt
  }
}

/** @param outcome null = given up: the job was canceled, or the worker has to go */
function describe (outcome: CompressOutcome | null, attempt: number): Omit<ItemData, 'id'> {
  if (outcome === null) return { state: 'canceled' }
  if (outcome.done) {
    const { bytes_in: bytesIn, bytes_out: bytesOut } = outcome
    return { state: 'completed', weight: bytesIn, result: { bytes_in: bytesIn, bytes_out: bytesOut } }
  }
  const retryable = outcome.code !== 'over_size_limit' && attempt < EFFORT_DROPS.length
  return { state: 'failed', retryable, error: { code: outcome.code, message: outcome.message } }
}
