// What the persister counts, for its probes and for Prometheus.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { SinkFault } from './sink.ts'

export interface Meters {
  /** A call of the sink and how it ended. */
  calls (outcome: 'ok' | SinkFault, elapsed_ms: number): void
  /** Null = it works. */
  failing (fault: SinkFault | null): void
  wrote (counts: { jobs: number, items: number, events: number, dead: number, truncated: number }): void
  /** Age of the oldest change in a batch when it was stored, ms. */
  lag (ms: number): void
  /** Of one partition, as read last. */
  backlog (partition: number, waiting: { bytes: number, dirty_jobs: number, oldest_ms: number }): void
  /** Partitions whose lease this persister holds. */
  leased (partitions: readonly number[]): void
  rebuilt (jobs: number): void
  restarts (): void
  /** What stands in the way now; null = nothing. */
  readonly fault: SinkFault | null
  /** Greatest age of an unwritten change among the partitions held, ms. */
  readonly lag_ms: number
  readonly waiting_bytes: number
  readonly content_type: string
  readonly registry: Registry
  text (): Promise<string>
}

const LAG_BOUNDS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600]
const TABLES = ['jobs', 'items', 'events'] as const

export function createMeters (): Meters {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const backlogs = new Map<number, { bytes: number, dirty_jobs: number, oldest_ms: number }>()
  let fault: SinkFault | null = null
  let held: readonly number[] = []

  const total = (of: 'bytes' | 'dirty_jobs'): number => [...backlogs.values()].reduce((sum, one) => sum + one[of], 0)
  const oldest = (): number => Math.max(0, ...[...backlogs.values()].map(one => one.oldest_ms))

  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []): Counter<Label> =>
    new Counter({ name: `headway_persister_${name}_total`, help, labelNames, registers })
  function gauge (name: string, help: string, value: () => number): void {
    registry.registerMetric(new Gauge({ name: `headway_persister_${name}`, help, registers: [], collect () { this.set(value()) } }))
  }

  const calls = counter('calls', 'Calls of the sink by how they ended.', ['outcome'])
  const seconds = counter('call_seconds', 'Time in calls of the sink.', ['outcome'])
  const rows = counter('rows_written', 'Rows that were new to the sink.', ['table'])
  const dead = counter('dead_letters', 'Rows that the sink refused for good.')
  const truncated = counter('histories_truncated', 'Jobs of which events were lost to a full outbox.')
  const rebuilt = counter('jobs_rebuilt', 'Jobs put back after Redis lost them.')
  const rereads = counter('rereads', 'Batches written twice because another persister, or a data loss, came between.')
  const lags = new Histogram({
    name: 'headway_persister_batch_lag_seconds', help: 'Age of the oldest change of a batch when it was stored.', buckets: LAG_BOUNDS_S, registers
  })
  gauge('partitions', 'Partitions that this persister works on.', () => held.length)
  gauge('lag_seconds', 'Age of the oldest change that is not written yet.', () => oldest() / 1_000)
  gauge('outbox_bytes', 'Bytes that wait in the outbox.', () => total('bytes'))
  gauge('dirty_jobs', 'Jobs that changed while the outbox was full.', () => total('dirty_jobs'))
  gauge('sink_up', '1 = the last call of the sink succeeded.', () => fault === null ? 1 : 0)

  return {
    calls (outcome, elapsed) {
      calls.inc({ outcome })
      seconds.inc({ outcome }, elapsed / 1_000)
    },
    failing (now) { fault = now },
    wrote (counts) {
      for (const table of TABLES) rows.inc({ table }, counts[table])
      dead.inc(counts.dead)
      truncated.inc(counts.truncated)
    },
    lag (ms) { lags.observe(ms / 1_000) },
    backlog (partition, waiting) { backlogs.set(partition, waiting) },
    leased (partitions) {
      held = partitions
      for (const partition of backlogs.keys()) if (!partitions.includes(partition)) backlogs.delete(partition)
    },
    rebuilt (jobs) { rebuilt.inc(jobs) },
    restarts () { rereads.inc() },
    get fault () { return fault },
    get lag_ms () { return oldest() },
    get waiting_bytes () { return total('bytes') },
    content_type: registry.contentType,
    registry,
    text: () => registry.metrics()
  }
}
