// Jobs of Headway and what happens in them, written by an engine that never drains: that is the measured gateway's work.

import { createEngine, type Engine } from '../../src/engine/engine.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { until } from '../../test/support/wait.ts'
import { TENANT } from './server.ts'

const ITEMS = 100_000
const REGISTER_AT_ONCE = 512
const READS_AT_ONCE = 64

export interface Jobs {
  readonly ids: readonly string[]
  /** The next event of each of these jobs: items begin and end in turn, each logged and never conflated. */
  advance (which: readonly number[]): Promise<void>
  stop (): Promise<void>
}

/** @returns when all are registered and running; somebody else has to drain */
export async function createJobs (redisUrl: string, count: number): Promise<Jobs> {
  const engine = createEngine({ redis_url: redisUrl })
  await engine.start({ drain: false })
  const ids = Array.from({ length: count }, (_, n) => `job_${n}`)
  const next = new Array<number>(count).fill(0)
  try {
    for (let at = 0; at < count; at += REGISTER_AT_ONCE) {
      await engine.append(ids.slice(at, at + REGISTER_AT_ONCE).map((job) => ({
        type: 'job.register', tenant: TENANT, job, data: { items_total: ITEMS, state: 'running' }
      })))
    }
    await registered(engine, ids)
  } catch (error) {
    await engine.stop()
    throw error
  }
  return {
    ids,
    advance: (which) => engine.append(which.map((job) => eventOf(ids[job] as string, (next[job] as number)++))),
    stop: () => engine.stop()
  }
}

async function registered (engine: Engine, ids: readonly string[]): Promise<void> {
  const left = ids.values()
  await Promise.all(Array.from({ length: READS_AT_ONCE }, async () => {
    for (const id of left) await until(() => engine.readJob(TENANT, id), { what: `${id} is registered`, timeout_ms: 20_000 })
  }))
}

function eventOf (job: string, n: number): WorkerEvent {
  const item = n >> 1
  const id = `item_${item}`
  return {
    type: 'item.update',
    tenant: TENANT,
    job,
    data: n % 2 === 0
      ? { id, state: 'processing', row_index: item + 1, title: `Introduction video ${item}` }
      : { id, state: 'completed' }
  }
}
