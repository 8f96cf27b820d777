// Registrations of the jobs that the outbox tells of. They never change within a run, and only the first message of a job
// carries its own; the others are read once and remembered, a bounded number of them.

import type { Outbox } from '../engine/engine.ts'
import type { Registration, StoredJob } from '../protocol/job.ts'
import { UNKNOWN_REGISTRATION } from './rows.ts'

export interface KnownRegistration { registration: Registration, record: string }

export interface Registrations {
  /** @param record as the message carries it; empty when it does not */
  of (job: StoredJob, record: string, registration: Registration | null): Promise<KnownRegistration>
}

const KEPT_MAX = 5_000

export function createRegistrations (outbox: Pick<Outbox, 'readRegistrations'>): Registrations {
  const kept = new Map<string, KnownRegistration>()
  return {
    async of (job, record, registration) {
      const key = `${job.tenant_id}/${job.id}/${job.registered_epoch}`
      let known = registration === null ? kept.get(key) : { registration, record }
      if (known === undefined) {
        const [read] = await outbox.readRegistrations([{ tenant: job.tenant_id, id: job.id }])
        // Gone with a loss of data: its row keeps what it had.
        if (!read) return { registration: UNKNOWN_REGISTRATION, record: '' }
        known = read
      }
      kept.delete(key)
      kept.set(key, known)
      if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value as string)
      return known
    }
  }
}
