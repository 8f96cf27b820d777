// What the persister counts, and its text for Prometheus.

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
  text (): string
}

const LAG_BOUNDS_MS = [100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000, 3_600_000]

export function createMeters (): Meters {
  const calls = new Map<string, { count: number, ms: number }>()
  const backlogs = new Map<number, { bytes: number, dirty_jobs: number, oldest_ms: number }>()
  const lags = { counts: LAG_BOUNDS_MS.map(() => 0), sum: 0, count: 0 }
  const written = { jobs: 0, items: 0, events: 0, dead: 0, truncated: 0 }
  let fault: SinkFault | null = null
  let held: readonly number[] = []
  let rebuilt = 0
  let restarts = 0

  const total = (of: 'bytes' | 'dirty_jobs'): number => [...backlogs.values()].reduce((sum, one) => sum + one[of], 0)
  const oldest = (): number => Math.max(0, ...[...backlogs.values()].map(one => one.oldest_ms))

  return {
    calls (outcome, elapsed) {
      const one = calls.get(outcome) ?? { count: 0, ms: 0 }
      calls.set(outcome, { count: one.count + 1, ms: one.ms + elapsed })
    },
    failing (now) { fault = now },
    wrote (counts) {
      for (const name of Object.keys(written) as (keyof typeof written)[]) written[name] += counts[name]
    },
    lag (ms) {
      lags.sum += ms
      lags.count++
      for (const [at, bound] of LAG_BOUNDS_MS.entries()) if (ms <= bound) lags.counts[at]!++
    },
    backlog (partition, waiting) { backlogs.set(partition, waiting) },
    leased (partitions) {
      held = partitions
      for (const partition of backlogs.keys()) if (!partitions.includes(partition)) backlogs.delete(partition)
    },
    rebuilt (jobs) { rebuilt += jobs },
    restarts () { restarts++ },
    get fault () { return fault },
    get lag_ms () { return oldest() },
    get waiting_bytes () { return total('bytes') },
    text () {
      const lines: string[] = []
      const say = (name: string, type: string, help: string, samples: [string, number][]): void => {
        lines.push(`# HELP headway_${name} ${help}`, `# TYPE headway_${name} ${type}`, ...samples.map(([labels, value]) => `headway_${name}${labels} ${value}`))
      }
      say('persister_calls_total', 'counter', 'Calls of the sink by how they ended.', [...calls].map(([outcome, { count }]) => [`{outcome="${outcome}"}`, count]))
      say('persister_call_seconds_total', 'counter', 'Time in calls of the sink.', [...calls].map(([outcome, { ms }]) => [`{outcome="${outcome}"}`, ms / 1000]))
      say('persister_rows_written_total', 'counter', 'Rows that were new to the sink.', (['jobs', 'items', 'events'] as const).map(table => [`{table="${table}"}`, written[table]]))
      say('persister_dead_letters_total', 'counter', 'Rows that the sink refused for good.', [['', written.dead]])
      say('persister_histories_truncated_total', 'counter', 'Jobs of which events were lost to a full outbox.', [['', written.truncated]])
      say('persister_jobs_rebuilt_total', 'counter', 'Jobs put back after Redis lost them.', [['', rebuilt]])
      say('persister_rereads_total', 'counter', 'Batches written twice because another persister, or a data loss, came between.', [['', restarts]])
      say('persister_partitions', 'gauge', 'Partitions that this persister works on.', [['', held.length]])
      say('persister_lag_seconds', 'gauge', 'Age of the oldest change that is not written yet.', [['', oldest() / 1000]])
      say('persister_outbox_bytes', 'gauge', 'Bytes that wait in the outbox.', [['', total('bytes')]])
      say('persister_dirty_jobs', 'gauge', 'Jobs that changed while the outbox was full.', [['', total('dirty_jobs')]])
      say('persister_sink_up', 'gauge', '1 = the last call of the sink succeeded.', [['', fault === null ? 1 : 0]])
      say('persister_batch_lag_seconds', 'histogram', 'Age of the oldest change of a batch when it was stored.', [])
      lines.push(
        ...LAG_BOUNDS_MS.map((bound, at) => `headway_persister_batch_lag_seconds_bucket{le="${bound / 1000}"} ${lags.counts[at]}`),
        `headway_persister_batch_lag_seconds_bucket{le="+Inf"} ${lags.count}`,
        `headway_persister_batch_lag_seconds_sum ${lags.sum / 1000}`, `headway_persister_batch_lag_seconds_count ${lags.count}`
      )
      return lines.join('\n') + '\n'
    }
  }
}
