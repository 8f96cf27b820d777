// After an outage: rows of jobs that have ended go first, before hours of history that stand in order before them. Only rows: their
// events and items follow with the outbox, and the rows of then are older, so they change nothing.

import type { Log, Outbox } from '../engine/engine.ts'
import { createBatch } from './batch.ts'
import type { Deliver } from './deliver.ts'
import type { Meters } from './meters.ts'
import { jobRow } from './rows.ts'
import type { PersisterSettings } from './settings.ts'

export interface EndedFirstParams {
  outbox: Pick<Outbox, 'listEnded'>
  deliver: Deliver
  settings: Pick<PersisterSettings, 'jobs_max' | 'bytes_max' | 'late_ms'>
  meters: Meters
  log: Log
  stop: AbortSignal
}

export interface EndedFirst {
  /** Called before each round with what waits: writes ended jobs of a partition that is late, again each time as much time has passed. */
  look (partition: number, lag_ms: number): Promise<void>
}

/** Jobs looked at in one call of Redis. */
const PAGE = 500

export function createEndedFirst ({ outbox, deliver, settings, meters, log, stop }: EndedFirstParams): EndedFirst {
  /** When each partition that is late was looked through, monotonic ms. */
  const looked = new Map<number, number>()

  async function write (partition: number): Promise<number> {
    let count = 0
    for (let after: string | null = null; !stop.aborted;) {
      const { jobs, next } = await outbox.listEnded(partition, Math.min(PAGE, settings.jobs_max), after)
      let batch = createBatch()
      for (const { job, registration, header, record } of jobs) {
        batch.addJob(jobRow(job, registration, { header, record }))
        if (batch.bytes < settings.bytes_max) continue
        await send(batch)
        batch = createBatch()
      }
      await send(batch)
      count += jobs.length
      if (next === null) break
      after = next
    }
    return count
  }

  /** A row that is refused is told by the round that comes to it in order. */
  async function send (batch: ReturnType<typeof createBatch>): Promise<void> {
    const { jobs_written: jobs } = await deliver(batch.build())
    meters.wrote({ jobs, items: 0, events: 0, dead: 0, truncated: 0 })
  }

  return {
    async look (partition, lagMs) {
      if (lagMs < settings.late_ms) {
        looked.delete(partition)
        return
      }
      const last = looked.get(partition)
      if (last !== undefined && performance.now() - last < settings.late_ms) return
      looked.set(partition, performance.now())
      const jobs = await write(partition)
      if (jobs > 0) log.info({ event: 'ended_first', partition, jobs, lag_ms: Math.round(lagMs) }, 'late: rows of jobs that have ended were written first')
    }
  }
}
