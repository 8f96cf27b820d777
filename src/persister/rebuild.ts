// After Redis lost its jobs: those that had not ended come back from the database, and their workers carry on. Asked whenever a
// partition is another one than it was; most often there is nothing to do.

import type { Log, Restore } from '../engine/engine.ts'
import type { Meters } from './meters.ts'
import { SinkError } from './sink.ts'
import type { ActiveJob, Sink } from './sink.ts'

export interface Rebuild {
  /**
   * Resolves when nothing is left to put back, or when somebody has to mend the database first: then it is looked again by itself.
   *
   * @throws when it should be tried again
   */
  ensure (partitions: readonly number[]): Promise<void>
}

export interface RebuildParams {
  sink: Sink
  restore: Restore
  partitionOf: (tenant: string, id: string) => number
  meters: Meters
  log: Log
  timeout_ms: number
  /** After an error that somebody has to mend. */
  configuration_retry_ms: number
  stop: AbortSignal
}

const JOBS_PAGE = 200
const ITEMS_PAGE = 500

export function createRebuild (params: RebuildParams): Rebuild {
  const { sink, restore, partitionOf, meters, log, timeout_ms: timeoutMs, configuration_retry_ms: againMs, stop } = params
  /** Partitions that could not be looked for. */
  const left = new Set<number>()
  let again: NodeJS.Timeout | undefined
  stop.addEventListener('abort', () => clearTimeout(again), { once: true })

  const signal = (): AbortSignal => AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)])

  async function * itemsOf ({ tenant_id, id, run }: ActiveJob) {
    for (let after: string | null = null; ;) {
      const page = await sink.itemsOf({ tenant_id, job_id: id, run }, after, ITEMS_PAGE, signal())
      yield page
      if (page.length < ITEMS_PAGE) return
      after = page.at(-1)?.id ?? null
    }
  }

  async function restoreOne (job: ActiveJob, born: string): Promise<boolean> {
    const { tenant_id: tenant, id, engine } = job
    const word = await restore.restoreJob({ tenant, id, engine: engine ?? '1\t0\n\n' }, born, itemsOf(job))
    if (word === 'unreadable') log.warn({ event: 'job_not_rebuilt', tenant_id: tenant, job_id: id }, 'a job that Redis lost cannot be put back: its row does not say how')
    return word === 'restored'
  }

  async function all (born: Map<number, string>): Promise<number> {
    let restored = 0
    for (let after: [string, string] | null = null; ;) {
      const page = await sink.activeJobs(after, JOBS_PAGE, signal())
      for (const job of page) {
        const partition = partitionOf(job.tenant_id, job.id)
        const of = born.get(partition)
        if (of === undefined) continue
        await restore.beginRestore(partition, job.epoch)
        if (await restoreOne(job, of)) restored++
      }
      const last = page.at(-1)
      if (last === undefined || page.length < JOBS_PAGE) return restored
      after = [last.tenant_id, last.id]
    }
  }

  /** The reducer goes on meanwhile, when it has waited its time: a job whose worker came back in between stays as it is. */
  function lookAgain (partitions: Iterable<number>): void {
    for (const partition of partitions) left.add(partition)
    if (stop.aborted) return
    again ??= setTimeout(() => {
      again = undefined
      const those = [...left]
      left.clear()
      ensure(those).catch(() => lookAgain(those))
    }, againMs).unref()
  }

  async function ensure (partitions: readonly number[]): Promise<void> {
    const born = new Map<number, string>()
    for (const partition of partitions) {
      const plan = await restore.beginRestore(partition)
      if (plan.word === 'needed') born.set(partition, plan.born)
    }
    if (born.size === 0) return
    try {
      const restored = await all(born)
      meters.rebuilt(restored)
      if (restored > 0) log.warn({ event: 'jobs_rebuilt', jobs: restored, partitions: [...born.keys()] }, `${restored} jobs that Redis had lost are back`)
    } catch (error) {
      // What is to be mended there must not keep the outbox from being written.
      if (!(error instanceof SinkError) || error.fault === 'retry' || stop.aborted) throw error
      log.error({ event: 'rebuild_failed', code: error.code, status: error.status }, `jobs that Redis may have lost could not be looked for; that is tried again: ${error.message}`)
      return lookAgain(born.keys())
    }
    for (const [partition, of] of born) await restore.endRestore(partition, of)
  }

  return { ensure }
}
