// What a watcher sees of all jobs of a tenant, newest first. Pure: (view, message) → view. State, not a log: (epoch, rev) says
// which of two states of a job is newer, and the older one is ignored.

import type { ErrorCode } from '../protocol/errors.ts'
import type { JobView } from '../protocol/messages.ts'
import type { TenantMessage } from '../protocol/tenant-messages.ts'
import type { Connection } from './view.ts'

export interface TenantView {
  /** As of a job's watch, but never `ended`: a tenant has no end. */
  readonly connection: Connection
  /** The newest 200 and all that changed since, newest registration first; at most `JOBS_MAX`. Older ones: `listJobs`. */
  readonly jobs: readonly JobView[]
  /** True once the list has come: until then no jobs means nothing. */
  readonly loaded: boolean
  /** Why the watch was stopped. */
  readonly error: { readonly code: ErrorCode, readonly detail: string } | null
}

export const JOBS_MAX = 1000

export const EMPTY_TENANT: TenantView = { connection: 'connecting', jobs: [], loaded: false, error: null }

export function applyTenantMessage (view: TenantView, message: TenantMessage): TenantView {
  if (message.type === 'tenant.snapshot') return { ...view, loaded: true, jobs: message.data.jobs }
  if (message.type === 'tenant.job_changed') return changed(view, message.data.job)
  if (message.type === 'tenant.job_removed') {
    const { job_id: id, data: { epoch } } = message
    const jobs = view.jobs.filter(job => job.id !== id || job.epoch > epoch)
    return jobs.length === view.jobs.length ? view : { ...view, jobs }
  }
  return view
}

function changed (view: TenantView, job: JobView): TenantView {
  const { jobs } = view
  const place = jobs.findIndex(({ id }) => id === job.id)
  const known = jobs[place]
  if (known === undefined) return { ...view, jobs: placed(jobs, job) }
  if (job.epoch < known.epoch || (job.epoch === known.epoch && job.rev <= known.rev)) return view
  if (job.created_at === known.created_at) return { ...view, jobs: jobs.with(place, job) }
  return { ...view, jobs: placed(jobs.filter(other => other !== known), job) }
}

/** In front of the first that is not newer; the oldest make room. */
function placed (jobs: readonly JobView[], job: JobView): JobView[] {
  const place = jobs.findIndex(other => other.created_at <= job.created_at)
  return jobs.toSpliced(place < 0 ? jobs.length : place, 0, job).slice(0, JOBS_MAX)
}
