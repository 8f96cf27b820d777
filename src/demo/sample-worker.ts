// The process of the sample worker. Talks to Redis as any worker does; tells its parent when a job begins and ends.
// Runs one job, then ends. SIGTERM: reports the job as failed, and ends.

import { availableParallelism } from 'node:os'
import { ProgressMonitor } from '../worker/index.ts'
import { createCompressPool } from './compress-pool.ts'
import { runSampleJob } from './sample-job.ts'
import { sampleFiles } from './sample-files.ts'

/** As JSON in the first argument. */
export interface SampleWorkerOptions {
  job_id: string
  tenant_id: string
  folder: string
  files_max: number
  quality: number
  size_limit_bytes: number
  time_limit_ms: number
}

export type SampleWorkerMessage =
  | { event: 'began', job_id: string, files: number, threads: number }
  | { event: 'ended', job_id: string, state: string }

/** One core is left to the gateways and Redis; more threads than this would only fight for memory. */
const THREADS_MAX = 8

async function work (options: SampleWorkerOptions, redisUrl: string): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(signal, () => { stop.abort() })
  const files = await sampleFiles(options.folder, options.files_max)
  const pool = createCompressPool(Math.min(THREADS_MAX, Math.max(2, availableParallelism() - 1)))
  const monitor = new ProgressMonitor({ redisUrl, tenantId: options.tenant_id, worker: `sample-${process.pid}`, closeTimeoutMs: 2000 })
  stop.signal.addEventListener('abort', () => { void pool.stop() })
  tell({ event: 'began', job_id: options.job_id, files: files.length, threads: pool.threads })
  try {
    const state = await runSampleJob({ ...options, monitor, pool, files, signal: stop.signal })
    tell({ event: 'ended', job_id: options.job_id, state })
  } finally {
    await pool.stop()
    await monitor.close()
    if (process.connected) process.disconnect()
  }
}

function tell (message: SampleWorkerMessage): void {
  if (process.connected) process.send?.(message)
}

await work(JSON.parse(process.argv[2] ?? '{}') as SampleWorkerOptions, process.env.REDIS_URL ?? 'redis://127.0.0.1:6379')
