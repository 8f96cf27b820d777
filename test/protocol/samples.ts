// A stored job, its registration and an item with plain values, and the arbitraries of protocol texts.

import fc from 'fast-check'
import type { Registration, StoredItem, StoredJob } from '../../src/protocol/job.ts'

export const T0 = Date.UTC(2026, 10, 23, 12)

export function sampleJob (changes: Partial<StoredJob> = {}): StoredJob {
  return {
    tenant_id: 'acme',
    id: 'job_123',
    epoch: T0,
    registered_epoch: T0,
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
    counted: { completed: 0, failed: 0, skipped: 0, canceled: 0, retryable: 0, processing: 0, pending: 0 },
    reported: { completed: null, failed: null, skipped: null, canceled: null },
    initial: { completed: 0, failed: 0, skipped: 0, canceled: 0 },
    partial: 0,
    created_at: T0,
    started_at: T0 + 500,
    proc_ms: 0,
    proc_since: T0 + 500,
    updated_at: T0 + 500,
    state_since: T0 + 500,
    control: { id: null, action: null, at: null, acked: false },
    deadline_ms: null,
    pace: { samples: 0, sum: 0, mean: 0, weight: 0, at: null },
    gap_ms: 0,
    ...changes
  }
}

/** Only what a test names differs from an empty counter. */
export function counted (changes: Partial<StoredJob['counted']>): StoredJob['counted'] {
  return { completed: 0, failed: 0, skipped: 0, canceled: 0, retryable: 0, processing: 0, pending: 0, ...changes }
}

export function sampleRegistration (changes: Partial<Registration> = {}): Registration {
  return {
    items_total: 100,
    job_kind: '',
    item_kind: 'video',
    concurrency: null,
    deadline_ms: null,
    auto_complete: false,
    fail_on_deadline: false,
    title: null,
    metadata_json: null,
    ...changes
  }
}

export function sampleItem (changes: Partial<StoredItem> = {}): StoredItem {
  return {
    id: 'item_1',
    state: 'processing',
    attempt: 1,
    retryable: false,
    percent_complete: 0,
    started_at: T0 + 1_000,
    duration_ms: null,
    created_at: T0,
    updated_at: T0 + 1_000,
    truncated: false,
    row_index: null,
    weight: null,
    title: null,
    kind: null,
    worker: null,
    error_json: null,
    result_json: null,
    ...changes
  }
}

/** Any text, with the characters that records are made of far more often than chance would have it. */
export const anyText = fc.array(
  fc.oneof({ weight: 2, arbitrary: fc.constantFrom('%', '\t', '\n', '%25', '%09', '%0A', ',', '/', '"', '\\', 'é', '€', '😀', '\u0000') },
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 5 }) }),
  { maxLength: 40 }
).map((parts) => parts.join(''))

/** Text of the lengths where limits bite. */
export const longText = fc.tuple(fc.constantFrom('a', 'é', '€', '😀', '%', '\n'), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 3 }))
  .map(([char, count, shift]) => 'x'.repeat(shift) + char.repeat(count))

export const anyId = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,20}$/)
