// What a watcher of a whole tenant gets: the state of its jobs, not their events. (epoch, rev) orders any two states of a job; who
// holds a newer one ignores what comes. A message that was not sent because a newer one was is no loss.

import type { JobView } from './messages.ts'

export interface TenantSnapshot {
  type: 'tenant.snapshot'
  ts: string
  data: {
    /** The newest by registration, newest first. */
    jobs: JobView[]
    /** True when it replaces all that was sent before: what is not in it may be gone. */
    reset: boolean
  }
}

export interface TenantJobChanged {
  type: 'tenant.job_changed'
  ts: string
  job_id: string
  seq: number
  rev: number
  data: { job: JobView }
}

/** The job left Redis; one that was registered under the same id since then has a later epoch. */
export interface TenantJobRemoved {
  type: 'tenant.job_removed'
  ts: string
  job_id: string
  data: { epoch: number }
}

export type TenantMessage = TenantSnapshot | TenantJobChanged | TenantJobRemoved
