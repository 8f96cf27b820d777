// What the persister counts, for its probes and for Prometheus.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Doorbell } from './inbox.ts'
import type { Kind, Outcome } from './requests.ts'
import type { SinkFault } from './sink.ts'

/** Into the database, and back from it. */
export type Way = 'outbound' | 'inbound'

export interface Meters {
  /** A call of the sink and how it ended. */
  calls (outcome: 'ok' | SinkFault, elapsed_ms: number): void
  /** Of one of the two ways; null = it works. */
  failing (way: Way, fault: SinkFault | null): void
  wrote (counts: { jobs: number, items: number, events: number, dead: number, truncated: number }): void
  /** Age of the oldest change in a batch when it was stored, ms. */
  lag (ms: number): void
  /** Of one partition, as read last. */
  backlog (partition: number, waiting: { bytes: number, dirty_jobs: number, oldest_ms: number }): void
  /** Partitions whose lease this persister holds. */
  leased (partitions: readonly number[]): void
  rebuilt (jobs: number): void
  restarts (): void
  /** A row of an app that took effect or was refused. */
  inbound (kind: Kind, outcome: Outcome): void
  /** Rows of the last page that were not taken yet. */
  inboundWaiting (rows: number): void
  rang (): void
  doorbell (of: Pick<Doorbell, 'live' | 'renewals'>): void
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
  const faults: Record<Way, SinkFault | null> = { outbound: null, inbound: null }
  let held: readonly number[] = []

  const total = (of: 'bytes' | 'dirty_jobs'): number => [...backlogs.values()].reduce((sum, one) => sum + one[of], 0)
  const fault = (): SinkFault | null => Object.values(faults).find(one => one === 'configuration') ?? faults.outbound ?? faults.inbound
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
  const inbound = counter('inbound', 'Rows of apps by kind (register, control, event) and what came of them.', ['kind', 'outcome'])
  const rings = counter('doorbell_rings', 'Times that the database said there may be rows of apps.')
  let bell: Pick<Doorbell, 'live' | 'renewals'> = { live: false, renewals: 0 }
  let waiting = 0
  gauge('inbound_waiting_rows', 'Rows of apps that were read and not taken yet.', () => waiting)
  gauge('doorbell_up', '1 = the doorbell of the database would be heard; rows are looked for in any case.', () => bell.live ? 1 : 0)
  registry.registerMetric(new Counter({
    name: 'headway_persister_doorbell_renewals_total',
    help: 'Times that the doorbell was found dead, or old, and hung anew.',
    registers: [],
    collect () {
      this.reset()
      this.inc(bell.renewals)
    }
  }))
  gauge('sink_up', '1 = the last call of the sink succeeded.', () => fault() === null ? 1 : 0)

  return {
    calls (outcome, elapsed) {
      calls.inc({ outcome })
      seconds.inc({ outcome }, elapsed / 1_000)
    },
    failing (way, now) { faults[way] = now },
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
    inbound (kind, outcome) { inbound.inc({ kind, outcome }) },
    inboundWaiting (rows) { waiting = rows },
    rang () { rings.inc() },
    doorbell (of) { bell = of },
    get fault () { return fault() },
    get lag_ms () { return oldest() },
    get waiting_bytes () { return total('bytes') },
    content_type: registry.contentType,
    registry,
    text: () => registry.metrics()
  }
}
