// How much waits for the sink, and for how long. Lanes tell it as they read; while the sink holds a lane up nobody reads, and that is
// when it matters most, so somebody else looks.

import { setTimeout as delay } from 'node:timers/promises'
import type { Outbox, OutboxRead } from '../engine/engine.ts'
import type { Meters } from './meters.ts'

/** What it reads of a partition: one entry tells the age of all. */
const GLANCE = { entries_max: 1, bytes_max: 1 }

export interface BacklogParams {
  outbox: Pick<Outbox, 'readOutbox'>
  meters: Meters
  /** Those that this persister holds now. */
  partitions: () => readonly number[]
  interval_ms: number
  stop: AbortSignal
}

/** Resolves when stopped. */
export async function watchBacklog ({ outbox, meters, partitions, interval_ms: intervalMs, stop }: BacklogParams): Promise<void> {
  while (!stop.aborted) {
    await delay(intervalMs, undefined, { signal: stop }).catch(() => {})
    for (const partition of partitions()) {
      if (stop.aborted) return
      // Redis away is the lanes' to tell; what was read last stands.
      const read = await outbox.readOutbox(partition, GLANCE).catch(() => null)
      if (read !== null && partitions().includes(partition)) tellBacklog(meters, partition, read)
    }
  }
}

export function tellBacklog (meters: Meters, partition: number, read: OutboxRead): void {
  const oldest = oldestOf(read)
  const oldestMs = oldest === null ? 0 : Math.max(0, read.now_ms - oldest)
  meters.backlog(partition, { bytes: read.waiting_bytes, dirty_jobs: read.dirty_jobs, oldest_ms: oldestMs })
}

/** Wall ms of the first change in it. */
export function oldestOf (read: OutboxRead): number | null {
  const first = read.entries[0]?.messages[0]?.message
  return first?.type === 'update' ? first.job.updated_at : null
}
