// The metrics of a job from its counters alone, without a service: the same formulas that gateways use.

import { HeadwayError } from '../protocol/errors.ts'
import type { StoredJob } from '../protocol/job.ts'
import type { JobMetrics } from '../protocol/messages.ts'
import { jobMetrics } from '../protocol/metrics.ts'
import { parseTimestamp } from '../protocol/timestamp.ts'
import type { JobState } from '../protocol/states.ts'
import type { ProgressData, RegisterData, Timestamp } from '../protocol/worker-events.ts'

export interface CalculatorData extends ProgressData, Pick<RegisterData, 'processing_deadline_ms'> {
  id?: string
  state?: JobState
  created_at?: Timestamp | Date
}

export class ProgressCalculator {
  /**
   * `percent_complete` counts completed and skipped items of the total. No durations are known here, so `eta_ms` is null while
   * items remain.
   * @param now_ms wall ms
   * @throws HeadwayError invalid_field when `created_at` cannot be read
   */
  calculateProgress (data: CalculatorData, now_ms = Date.now()): JobMetrics {
    return jobMetrics(storedOf(data, now_ms), now_ms)
  }
}

function storedOf (data: CalculatorData, nowMs: number): StoredJob {
  const { created_at: created = nowMs, state = 'pending' } = data
  const createdAt = created instanceof Date ? created.getTime() : parseTimestamp(created)
  if (createdAt === null || Number.isNaN(createdAt)) {
    throw new HeadwayError('invalid_field', `created_at ${JSON.stringify(created)} is no instant; give ISO 8601 or ms since 1970`)
  }
  return {
    tenant_id: 'default',
    id: data.id ?? 'job',
    epoch: 0,
    registered_epoch: 0,
    seq: 0,
    rev: 0,
    state,
    reason: null,
    rate_limited: data.rate_limited ?? false,
    retry_at: null,
    stalled: false,
    deadline_exceeded: false,
    auto_complete: false,
    fail_on_deadline: false,
    items_total: data.items_total ?? 0,
    counted: { completed: 0, failed: 0, skipped: 0, canceled: 0, retryable: 0, processing: 0, pending: 0 },
    reported: { completed: null, failed: null, skipped: null, canceled: null },
    initial: {
      completed: data.items_completed ?? 0,
      failed: data.items_failed ?? 0,
      skipped: data.items_skipped ?? 0,
      canceled: data.items_canceled ?? 0
    },
    partial: 0,
    created_at: createdAt,
    started_at: null,
    proc_ms: 0,
    proc_since: null,
    updated_at: nowMs,
    state_since: nowMs,
    control: { id: null, action: null, at: null, acked: false },
    deadline_ms: data.processing_deadline_ms ?? null,
    pace: { samples: 0, sum: 0, mean: 0, weight: 0, at: null },
    gap_ms: 0
  }
}
