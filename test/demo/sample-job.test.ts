// The sample worker against a real engine: what fails, what is tried again, and what it leaves when it has to go.

import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createCompressPool } from '../../src/demo/compress-pool.ts'
import { sampleFiles } from '../../src/demo/sample-files.ts'
import { runSampleJob } from '../../src/demo/sample-job.ts'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import type { StoredItem } from '../../src/protocol/job.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const TENANT = 'demo'
const LIMITS = { quality: 5, size_limit_bytes: 1000, time_limit_ms: 60_000 }

interface Run { ended: Promise<string>, stop: () => void }

interface Running {
  engine: Engine
  run: (jobId: string, folder: string, limits?: Partial<typeof LIMITS>) => Promise<Run>
}

async function startEngine (t: Test): Promise<Running> {
  const redis = await startRedis()
  const engine = createEngine({ redis_url: redis.url })
  await engine.start()
  t.teardown(async () => {
    await engine.stop()
    await redis.stop()
  })
  return {
    engine,
    async run (jobId, folder, limits = {}) {
      const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: TENANT })
      const pool = createCompressPool(2)
      const stop = new AbortController()
      const files = await sampleFiles(folder, 1000)
      stop.signal.addEventListener('abort', () => { void pool.stop() })
      const ended = runSampleJob({ ...LIMITS, ...limits, monitor, pool, job_id: jobId, folder, files, signal: stop.signal })
      t.teardown(async () => {
        stop.abort()
        await pool.stop()
        await ended
        await monitor.close()
      })
      return { ended, stop: () => { stop.abort() } }
    }
  }
}

async function itemsOf (engine: Engine, jobId: string): Promise<Record<string, StoredItem>> {
  const read = await engine.readItems(TENANT, jobId, { limit: 500 })
  return Object.fromEntries((read?.items ?? []).map(item => [item.title ?? '', item]))
}

t.test('each file ends as it deserves', async t => {
  const { engine, run } = await startEngine(t)
  const folder = t.testdir({ fine: 'x'.repeat(1000), large: 'x'.repeat(1001) })
  symlinkSync(join(folder, 'nowhere'), join(folder, 'broken'))
  const { ended } = await run('mixed', folder)
  t.equal(await ended, 'completed')
  const items = await itemsOf(engine, 'mixed')
  t.match(items['fine'], { state: 'completed', attempt: 1, result_json: /"bytes_in":1000/ })
  t.match(items['large'], { state: 'failed', attempt: 1, retryable: false, error_json: /over_size_limit/ })
  t.match(items['broken'], { state: 'failed', attempt: 3, retryable: false, error_json: /ENOENT/ }, 'an unreadable file is tried three times')
  t.match((await engine.readJob(TENANT, 'mixed'))?.job.counted, { completed: 1, failed: 2, retryable: 0, processing: 0, pending: 0 })
})

t.test('an attempt that takes too long is tried again', async t => {
  const { engine, run } = await startEngine(t)
  const { ended } = await run('slow', t.testdir({ one: 'x'.repeat(900) }), { time_limit_ms: 0 })
  t.equal(await ended, 'completed')
  t.match((await itemsOf(engine, 'slow'))['one'], { state: 'failed', attempt: 3, error_json: /over_time_limit/ })
})

t.test('a worker that has to go in the middle gives its items back', async t => {
  const { engine, run } = await startEngine(t)
  const large = Array.from({ length: 200_000 }, (_, n) => (n * 7919) % 400_009).join(' ')
  const { ended, stop } = await run('torn', t.testdir({ one: large, two: large, three: large }), { quality: 11, size_limit_bytes: 1e9 })
  await until(async () => (await engine.readJob(TENANT, 'torn'))?.job.counted.processing === 2, { what: 'two items are in progress' })
  stop()
  t.equal(await ended, 'failed')
  const read = await until(async () => {
    const now = await engine.readJob(TENANT, 'torn')
    return now?.job.state === 'failed' ? now : null
  }, { what: 'it is told' })
  t.match(read.job, { reason: 'worker_stopped', counted: { processing: 0, canceled: 2 } })
})

t.test('a worker that has to go while its job is paused says that the job has failed', async t => {
  const { engine, run } = await startEngine(t)
  const files = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`file-${n}`, 'x'.repeat(900)]))
  const { ended, stop } = await run('left', t.testdir(files))
  // A pause of a job that is still pending needs no worker: it would be paused at once, unacknowledged.
  await until(async () => (await engine.readJob(TENANT, 'left'))?.job.state === 'running', { what: 'the worker has begun' })
  const paused = await engine.submit({ type: 'job.control', tenant: TENANT, job: 'left', data: { action: 'pause' } })
  t.match(paused, { outcome: 'ok' })
  await until(async () => (await engine.readJob(TENANT, 'left'))?.job.state === 'paused', { what: 'the worker has obeyed' })
  t.match((await engine.readJob(TENANT, 'left'))?.job.control, { id: null, acked: true }, 'by an acknowledgement, not by time-out')
  stop()
  t.equal(await ended, 'failed')
  await until(async () => (await engine.readJob(TENANT, 'left'))?.job.state === 'failed', { what: 'it is told' })
})
