// Stored jobs and items for tests that need no Redis.

import type { Registration, StoredItem, StoredJob } from '../../src/protocol/job.ts'

export const REGISTRATION: Registration = {
  items_total: 100,
  job_kind: '',
  item_kind: 'video',
  concurrency: null,
  deadline_ms: null,
  auto_complete: false,
  fail_on_deadline: false,
  title: null,
  metadata_json: null
}

export function storedJob (fields: Partial<StoredJob> = {}): StoredJob {
  return {
    tenant_id: 'acme',
    id: 'j',
    epoch: 1_000,
    registered_epoch: 1_000,
    seq: 0,
    rev: 1,
    state: 'running',
    reason: null,
    rate_limited: false,
    retry_at: null,
    stalled: false,
    deadline_exceeded: false,
    auto_complete: false,
    fail_on_deadline: false,
    items_total: 100,
    counted: { completed: 0, failed: 0, retryable: 0, skipped: 0, canceled: 0, processing: 0, pending: 0 },
    reported: { completed: null, failed: null, skipped: null, canceled: null },
    initial: { completed: 0, failed: 0, skipped: 0, canceled: 0 },
    partial: 0,
    created_at: 1_000,
    started_at: 1_000,
    proc_ms: 0,
    proc_since: 1_000,
    updated_at: 1_000,
    state_since: 1_000,
    control: { id: null, action: null, at: null, acked: false },
    deadline_ms: null,
    pace: { samples: 0, sum: 0, mean: 0, weight: 0, at: null },
    gap_ms: 0,
    ...fields
  }
}

export function storedItem (id: string): StoredItem {
  return {
    id,
    state: 'processing',
    attempt: 1,
    retryable: false,
    percent_complete: 0,
    started_at: 1_000,
    duration_ms: null,
    created_at: 1_000,
    updated_at: 1_000,
    truncated: false,
    row_index: null,
    weight: null,
    title: null,
    kind: null,
    worker: null,
    error_json: null,
    result_json: null
  }
}
