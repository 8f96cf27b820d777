// The sample job: files of a folder through brotli, an item a file, as a worker does it that obeys its users. What
// fails fails for a reason: a file that cannot be read, one over the size limit, an attempt over the time limit. The
// first and the last are tried again, the last with less effort each time.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ItemData, ProgressMonitor } from '../worker/index.ts'
import type { CompressPool } from './compress-pool.ts'
import type { CompressOutcome } from './compress.ts'

/** Brotli's quality by attempt; its length is the number of attempts. */
const EFFORT_DROP = [0, 2, 6]
const RETRY_AFTER_MS = 500
const CONTROL_POLL_MS = 250
const HEARTBEAT_MS = 5000
/** Between two reports of progress of one item. */
const PROGRESS_EVERY_MS = 200

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
  time_limit_ms: number
  /** Aborted when the worker has to go: the job is then reported as failed. */
  signal: AbortSignal
}

interface Work { id: string, path: string, attempt: number, not_before: number }

/** What the users want now; `over` ends the worker's part. */
type Wish = 'go' | 'hold' | 'cancel' | 'over'

/** @returns the state the job was left in */
export async function runSampleJob (options: SampleJobOptions): Promise<string> {
  const { monitor, pool, job_id: jobId, files, signal } = options
  const fresh = files.values().map((path, n) => ({ id: `file-${n + 1}`, path, row: n + 1 }))
  const retries: Work[] = []
  const rows = new Map<string, number>()
  let wish: Wish = 'go'
  let state = 'running'
  let inFlight = 0

  await monitor.registerJob(jobId, {
    items_total: files.length,
    title: `Compress ${files.length.toLocaleString('en')} files of ${options.folder.split('/').at(-1) ?? options.folder}`,
    job_kind: 'brotli',
    item_kind: 'file',
    concurrency: pool.threads,
    auto_complete: true,
    metadata: { folder: options.folder, quality: options.quality, size_limit_bytes: options.size_limit_bytes }
  })
  await monitor.updateJobState(jobId, 'running', 'worker_started')

  /** Reads what users ask for, confirms it, and keeps the job alive. */
  async function listen (): Promise<void> {
    let confirmed: string | null = null
    let beat = 0
    while (wish !== 'over') {
      const control = await monitor.control(jobId).catch(() => null) // Redis is away: what was asked last still holds
      if (control !== null) {
        state = control.state ?? 'gone'
        wish = wishOf(state)
        if (control.request_id !== null && control.request_id !== confirmed) {
          confirmed = control.request_id
          void monitor.acknowledge(jobId, confirmed)
        }
      }
      if (performance.now() - beat > HEARTBEAT_MS) {
        beat = performance.now()
        void monitor.heartbeat(jobId)
      }
      if (wish === 'cancel') void pool.stop()
      if (wish !== 'over') await delay(CONTROL_POLL_MS, undefined, { signal }).catch(() => { wish = 'over' })
    }
  }

  function next (): Work | 'wait' | 'none' {
    const due = retries.findIndex(work => work.not_before <= performance.now())
    if (due >= 0) return retries.splice(due, 1)[0] ?? 'wait'
    const file = fresh.next()
    if (file.done !== true) {
      rows.set(file.value.id, file.value.row)
      return { id: file.value.id, path: file.value.path, attempt: 1, not_before: 0 }
    }
    return retries.length > 0 || inFlight > 0 ? 'wait' : 'none'
  }

  /** One file at a time; as many lanes as threads. Waits for a report to be stored before it makes the next but one. */
  async function lane (): Promise<void> {
    let stored: Promise<void> = Promise.resolve()
    while (wish === 'go' || wish === 'hold') {
      const work = wish === 'hold' ? 'wait' : next()
      if (work === 'none') return
      if (work === 'wait') {
        await delay(CONTROL_POLL_MS / 5)
        continue
      }
      inFlight++
      await stored
      stored = compress(work)
      await stored
      inFlight--
    }
  }

  async function compress (work: Work): Promise<void> {
    const title = { id: work.id, title: work.path, row_index: rows.get(work.id) ?? null, attempt: work.attempt }
    void monitor.updateItemProgress(jobId, { ...title, state: 'processing', percent_complete: 0 })
    let told = performance.now()
    const outcome = await pool.run({
      path: join(options.folder, work.path),
      quality: Math.max(1, options.quality - (EFFORT_DROP[work.attempt - 1] ?? 0)),
      size_limit_bytes: options.size_limit_bytes,
      time_limit_ms: options.time_limit_ms * work.attempt
    }, percent => {
      if (performance.now() - told < PROGRESS_EVERY_MS) return
      told = performance.now()
      void monitor.updateItemProgress(jobId, { id: work.id, attempt: work.attempt, state: 'processing', percent_complete: Math.min(99, percent) })
    })
    if (wish === 'over') return // the job has ended: nothing more can be said about its items
    const report = describe(outcome, work.attempt)
    if (report.retryable === true) retries.push({ ...work, attempt: work.attempt + 1, not_before: performance.now() + RETRY_AFTER_MS * 2 ** work.attempt })
    await monitor.updateItemProgress(jobId, { id: work.id, attempt: work.attempt, ...report }).catch(() => {})
  }

  const listening = listen()
  await Promise.all(Array.from({ length: pool.threads }, lane))
  await listening // until the system has called the job completed, canceled or failed
  if (signal.aborted && wishOf(state) !== 'over') {
    await monitor.updateJobState(jobId, 'failed', 'worker_stopped')
    state = 'failed'
  }
  return state
}

function wishOf (state: string): Wish {
  if (state === 'pausing' || state === 'paused') return 'hold'
  if (state === 'canceling') return 'cancel'
  return state === 'running' || state === 'pending' || state === 'completing' ? 'go' : 'over'
}

/** @param outcome null = given up because of a cancel */
function describe (outcome: CompressOutcome | null, attempt: number): Omit<ItemData, 'id'> {
  if (outcome === null) return { state: 'canceled' }
  if (outcome.done) {
    const { bytes_in: bytesIn, bytes_out: bytesOut } = outcome
    const share = bytesIn === 0 ? 100 : Math.round(bytesOut / bytesIn * 100)
    return { state: 'completed', result: { bytes_in: bytesIn, bytes_out: bytesOut, percent_of_size: share }, weight: bytesIn }
  }
  const again = outcome.code !== 'over_size_limit' && attempt < EFFORT_DROP.length
  return { state: 'failed', retryable: again, error: { code: outcome.code, message: outcome.message } }
}
