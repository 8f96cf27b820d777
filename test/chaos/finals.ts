// What Redis holds when a run is over, read the way a gateway reads it, and written down for the checker.

import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { eventMessage, itemView, jobView } from '../../src/protocol/view.ts'
import { TENANT } from '../e2e/support.ts'
import { until } from '../support/wait.ts'
import type { Final } from './check-final.ts'
import { whatOf, type Recorder } from './record.ts'

const PAGE = 500

export interface FinalsParams {
  redis_url: string
  jobs: readonly string[]
  recorder: Recorder
  /** Lets what is under way arrive. */
  settled: () => Promise<void>
}

export async function recordFinals ({ redis_url, jobs, recorder, settled }: FinalsParams): Promise<void> {
  const engine = createEngine({ redis_url })
  try {
    await until(async () => {
      await engine.start({ drain: false })
      return true
    }, { what: 'Redis can be read', timeout_ms: 15_000, interval_ms: 100 })
    // A drain that nobody has done yet would be missing here and reach the clients later.
    for (let n = 0; n < engine.partitions; n++) await engine.drain(n)
    await settled()
    for (const job of jobs) recorder.write(await finalOf(engine, job))
  } finally {
    await engine.stop()
  }
}

async function finalOf (engine: Engine, job: string): Promise<Final> {
  const found = await engine.readJob(TENANT, job)
  const logged = await engine.readLog(TENANT, job, 0)
  if (found === null || logged === null) return { k: 'final', job, view: null, items: [], log: [], log_whole: false }
  const items: Record<string, unknown>[] = []
  let cursor: string | undefined
  do {
    const page = await engine.readItems(TENANT, job, { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    for (const item of page?.items ?? []) {
      const { id, state, attempt, percent_complete } = itemView(item, found.job.state)
      items.push({ id, state, attempt, percent_complete })
    }
    cursor = page?.next_cursor ?? undefined
  } while (cursor !== undefined)
  const log = logged.events.map(event => {
    const { type, data } = eventMessage(event, logged.job, found.registration.item_kind, found.now_ms)
    return { seq: event.seq, rev: event.rev, what: whatOf(type, data as unknown as Record<string, unknown>) }
  })
  const view = jobView(found.job, found.registration, found.now_ms) as unknown as Record<string, unknown>
  return { k: 'final', job, view, items, log, log_whole: !logged.truncated }
}
