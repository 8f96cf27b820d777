// What workers do in a run against the sink: a job from its registration to its end, with all that a row can say of it.

import { setTimeout as pause } from 'node:timers/promises'
import type { Engine } from '../../src/engine/engine.ts'
import type { ItemData, WorkerEvent } from '../../src/protocol/worker-events.ts'
import { between, type Random } from './plan.ts'
import type { Address } from './sink-judge.ts'

export interface Work {
  items: number
  /** About how long it takes; 0 = no pauses. */
  spread_ms: number
  /** Correlation id of some updates; absent = of none. */
  poison?: string
}

export async function workOn (engine: Engine, random: Random, { tenant, id: job }: Address, work: Work): Promise<void> {
  const { items, spread_ms: spreadMs, poison } = work
  const metadata = { n: between(random, 0, 99), texts: ['ü', '\u{1F600}', null] }
  await engine.append([{
    type: 'job.register',
    tenant,
    job,
    data: {
      items_total: items,
      state: 'running',
      auto_complete: true,
      title: `Item of ${job}`,
      job_kind: 'chaos',
      item_kind: 'photo',
      concurrency: 2,
      processing_deadline_ms: 3_600_000,
      metadata
    }
  }])
  for (let n = 0; n < items; n++) {
    const correlation = poison !== undefined && random() < 0.02 ? { cid: poison } : {}
    const update = (data: Partial<ItemData>, more: object = {}): WorkerEvent => ({ type: 'item.update', tenant, job, ...more, data: { id: `i${n}`, ...data } })
    const begin = update({ state: 'processing', title: `Item ${n}`, row_index: n, weight: 1 + n % 3, kind: n % 2 === 0 ? 'raw' : 'jpeg', worker: 'w1' })
    const end = update({ state: random() < 0.9 ? 'completed' : 'skipped', result: { n, of: [job] } }, correlation)
    const fails = random() < 0.15 ? [update({ state: 'failed', retryable: true, error: { code: 'odd', n } }), update({ state: 'processing' })] : []
    const lost = random() < 0.05 ? [update({ state: 'failed', error: `no way with ${n}` }, correlation)] : null
    await engine.append([begin, update({ percent_complete: 50 }), ...lost ?? [...fails, end]])
    if (n === items >> 1) await limited(engine, { tenant, id: job })
    if (n % 8 === 0 && spreadMs > 0) await pause(between(random, 0, 2 * spreadMs * 8 / items))
  }
}

/** What does not leave a trace in the end, but stands in rows that are overwritten. */
async function limited (engine: Engine, { tenant, id: job }: Address): Promise<void> {
  await engine.append([
    { type: 'job.state', tenant, job, data: { state: 'rate_limited', retry_at: Date.now() + 60_000 } },
    { type: 'job.progress', tenant, job, data: { items_completed: 1 } },
    { type: 'job.state', tenant, job, data: { state: 'running' } }
  ])
}
