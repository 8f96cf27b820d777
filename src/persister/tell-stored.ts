// What is told of a batch once it is stored: a span in each trace that its events come from, and a line in the log for each job that
// changed its state. A batch that is written twice is told twice.

import type { Log } from '../engine/engine.ts'
import { traceStep } from '../tracing/trace.ts'
import type { Batch } from './sink.ts'

/** Lines of one batch; the rest is only counted. */
const LINES_MAX = 100

/** @param startedAt wall ms, when its first try began */
export function tellStored ({ jobs, items, events }: Batch, startedAt: number, log: Pick<Log, 'info'>): void {
  const attributes = { 'headway.jobs': jobs.length, 'headway.items': items.length, 'headway.events': events.length }
  traceStep(events.map(({ correlation_id: cid }) => cid), { name: 'headway.persist', attributes, started_at: startedAt })

  const changes = events.filter(({ type }) => type === 'job.state_changed')
  for (const { tenant_id: tenant, job_id: job, correlation_id: cid, epoch, seq, data } of changes.slice(0, LINES_MAX)) {
    // The reason may be what a user typed: that stands in the row.
    const { prior_state: from, new_state: to, forced } = data as Record<string, unknown>
    log.info({ event: 'job_state', tenant_id: tenant, job_id: job, correlation_id: cid, epoch, seq, from, to, forced }, `job ${job} is ${String(to)}`)
  }
  const left = changes.length - LINES_MAX
  if (left > 0) log.info({ event: 'job_states_left_out', jobs: left }, `${left} more changes of state are not logged`)
}
