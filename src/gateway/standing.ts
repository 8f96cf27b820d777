// Where a room stands, in one object that lives as long as the room and is brought up to date in place. A room that kept the decoded
// job of each message would hand the one before to the old generation of the garbage collector: with 5,000 rooms that was a quarter
// of what a gateway did.

import type { Registration, StoredJob } from '../protocol/job.ts'

export interface Standing {
  /** Changes with every message: whoever needs it as it was copies what it needs. */
  readonly job: StoredJob
  registration: Registration
}

export function standingAt (job: StoredJob, registration: Registration): Standing {
  return { job: copyOf(job), registration }
}

export function moveTo (standing: Standing, job: StoredJob, registration: Registration): void {
  assign(standing.job as unknown as Fields, job as unknown as Fields)
  standing.registration = registration
}

/** Of the columns that clients' messages are made from, and of nothing else that a decoder may have left in it. */
function copyOf (job: StoredJob): StoredJob {
  return {
    tenant_id: job.tenant_id,
    id: job.id,
    epoch: job.epoch,
    registered_epoch: job.registered_epoch,
    seq: job.seq,
    rev: job.rev,
    state: job.state,
    reason: job.reason,
    rate_limited: job.rate_limited,
    retry_at: job.retry_at,
    stalled: job.stalled,
    deadline_exceeded: job.deadline_exceeded,
    auto_complete: job.auto_complete,
    fail_on_deadline: job.fail_on_deadline,
    items_total: job.items_total,
    counted: { ...job.counted },
    reported: { ...job.reported },
    initial: { ...job.initial },
    partial: job.partial,
    created_at: job.created_at,
    started_at: job.started_at,
    proc_ms: job.proc_ms,
    proc_since: job.proc_since,
    updated_at: job.updated_at,
    state_since: job.state_since,
    control: { ...job.control },
    deadline_ms: job.deadline_ms,
    pace: { ...job.pace },
    gap_ms: job.gap_ms
  }
}

type Fields = { [name: string]: Fields | string | number | boolean | null }

/** What has not changed is not written: most of it does not, and a write of a text or a number is a reference to something young. */
function assign (into: Fields, from: Fields): void {
  for (const name in into) {
    const [was, is] = [into[name], from[name]]
    if (typeof was === 'object' && was !== null) assign(was, is as Fields)
    else if (was !== is) into[name] = is as string | number | boolean | null
  }
}
