// A sink in memory: the rules of the SQL function once more, in plain TypeScript. Tests write to it, and the property test holds the
// database against it.

import { isTerminal } from '../../src/protocol/states.ts'
import type { ActiveJob, Batch, EventRow, ItemRow, JobRow, PersistAnswer, Sink } from '../../src/persister/sink.ts'

export interface MemorySink extends Sink {
  readonly jobs: Map<string, JobRow>
  readonly items: Map<string, ItemRow>
  readonly events: Map<string, EventRow>
  /** Asked before a batch is stored: may throw, or wait. */
  before: ((batch: Batch) => Promise<void> | void) | null
  /** Asked after it was stored: a throw is a reply that got lost. */
  after: ((batch: Batch) => Promise<void> | void) | null
  readonly calls: number
}

export function createMemorySink (): MemorySink {
  const jobs = new Map<string, JobRow>()
  const items = new Map<string, ItemRow>()
  const events = new Map<string, EventRow>()
  let calls = 0

  function store (batch: Batch): PersistAnswer {
    let [jobsWritten, itemsWritten, eventsWritten] = [0, 0, 0]
    for (const row of batch.jobs) {
      const key = `${row.tenant_id}/${row.id}`
      const known = jobs.get(key)
      const truncated = row.history_truncated || (known?.run === row.run && known.history_truncated)
      if (known === undefined || known.epoch < row.epoch || (known.epoch === row.epoch && known.rev < row.rev)) {
        jobs.set(key, { ...structuredClone(row), history_truncated: truncated })
        jobsWritten++
      } else if (known.run === row.run) {
        known.history_truncated = truncated
      }
    }
    for (const row of batch.items) {
      const key = `${row.tenant_id}/${row.job_id}/${row.run}/${row.id}`
      const known = items.get(key)
      if (known !== undefined && (known.epoch > row.epoch || (known.epoch === row.epoch && known.seq >= row.seq))) continue
      items.set(key, structuredClone(row))
      itemsWritten++
    }
    for (const row of batch.events) {
      const key = `${row.tenant_id}/${row.job_id}/${row.epoch}/${row.seq}`
      if (events.has(key)) continue
      events.set(key, structuredClone(row))
      eventsWritten++
    }
    return {
      jobs: batch.jobs.length,
      jobs_written: jobsWritten,
      items: batch.items.length,
      items_written: itemsWritten,
      events: batch.events.length,
      events_written: eventsWritten
    }
  }

  const sink: MemorySink = {
    name: 'memory',
    jobs,
    items,
    events,
    before: null,
    after: null,
    get calls () { return calls },
    version: async () => 1,
    async persist (batch, signal) {
      calls++
      await sink.before?.(batch)
      signal.throwIfAborted()
      const answer = store(batch)
      await sink.after?.(batch)
      return answer
    },
    async activeJobs (after, limit) {
      const from = after === null ? '' : after.join('/')
      return sorted(jobs).filter(([key, row]) => key > from && !isTerminal(row.state)).slice(0, limit)
        .map(([, { tenant_id, id, run, epoch, rev, seq, engine }]): ActiveJob => ({ tenant_id, id, run, epoch, rev, seq, engine }))
    },
    itemsOf: async ({ tenant_id, job_id, run }, after, limit) => sorted(items)
      .filter(([key, { id }]) => key === `${tenant_id}/${job_id}/${run}/${id}` && (after === null || id > after))
      .slice(0, limit).map(([, row]) => row),
    async maintain () {},
    async stop () {}
  }
  return sink
}

function sorted<T> (rows: ReadonlyMap<string, T>): [string, T][] {
  return [...rows].sort(([a], [b]) => a < b ? -1 : 1)
}
