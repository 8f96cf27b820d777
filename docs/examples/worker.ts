// A whole worker in TypeScript: takes items, obeys users, and says what it does. REDIS_URL=… npx node docs/examples/worker.ts job_123
// In a project of your own, 'headway/worker' is what stands here as a path.

import { setTimeout as delay } from 'node:timers/promises'
import { ProgressMonitor } from '../../src/worker/index.ts'

const { REDIS_URL: redisUrl = 'redis://127.0.0.1:6379', HEADWAY_PREFIX: prefix = 'hw', TENANT: tenantId = 'default', ITEM_MS: itemMs = '200' } = process.env
const jobId = process.argv[2] ?? 'job_123'
const items = Array.from({ length: 5 }, (_, n) => `item-${n + 1}`)

const monitor = new ProgressMonitor({ redisUrl, prefix, tenantId, worker: `example-${process.pid}` })
monitor.addStateChangeHandler((id, prior, next, reason) => { console.log(`${id}: ${prior} -> ${next}${reason === null ? '' : ` (${reason})`}`) })
monitor.addProgressHandler((id, progress) => { console.log(`${id}: ${progress.percent_complete} %`) })

await monitor.registerJob(jobId, { title: 'An example', items_total: items.length })
await monitor.updateJobState(jobId, 'running', 'worker_assigned')
const job = monitor.job(jobId)
try {
  for (const id of items) {
    await job.waitWhilePaused() // throws when the job is canceled
    await monitor.updateItemProgress(jobId, { id, state: 'processing' })
    try {
      await delay(Number(itemMs), undefined, { signal: job.signal }) // the work; whatever takes a signal stops with the job
      await monitor.updateItemProgress(jobId, { id, state: 'completed' })
    } catch (error) {
      // An item that was begun is ended, whatever happens: until then the job is not canceled.
      const state = job.signal.aborted ? 'canceled' : 'failed'
      await monitor.updateItemProgress(jobId, { id, state, error: String(error) })
    }
  }
  await monitor.updateJobState(jobId, 'completed', 'all_items_processed')
} catch (error) {
  if (!job.signal.aborted) await monitor.updateJobState(jobId, 'failed', String(error))
} finally {
  await monitor.close()
}
