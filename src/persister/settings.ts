// What the persister's behaviour can be set to. Durations in ms.

export interface PersisterSettings {
  /** An idle persister looks at its partitions this often; what came meanwhile becomes one batch. */
  interval_ms: number
  /** Bounds of one call of the sink. */
  jobs_max: number
  events_max: number
  bytes_max: number
  /** A call that has not answered by then is given up and told again. */
  timeout_ms: number
  /** Bounds of the full jitter between tries. */
  retry_first_ms: number
  retry_max_ms: number
  /** After an error that somebody has to mend. */
  configuration_retry_ms: number
  /** Partitions that are read and written together; so many calls are under way at most. */
  lanes: number
  lease_ms: number
  /** A change that has waited so long: rows of jobs that have ended go first. */
  late_ms: number
  /** What waits is looked at so often while lanes are held up. */
  backlog_interval_ms: number
  maintain_interval_ms: number
  /** How often rows of apps are looked for when no bell rings. */
  inbound_poll_ms: number
  /** Requests, and as many events, that are read at once. */
  inbound_rows_max: number
  /** The bell may be so late. */
  inbound_grace_ms: number
}

export const DEFAULT_PERSISTER_SETTINGS: PersisterSettings = {
  interval_ms: 500,
  jobs_max: 500,
  events_max: 2_000,
  bytes_max: 1_000_000,
  timeout_ms: 20_000,
  retry_first_ms: 200,
  retry_max_ms: 15_000,
  configuration_retry_ms: 30_000,
  lanes: 2,
  lease_ms: 10_000,
  late_ms: 30_000,
  backlog_interval_ms: 2_000,
  maintain_interval_ms: 3_600_000,
  inbound_poll_ms: 5_000,
  inbound_rows_max: 200,
  inbound_grace_ms: 3_000
}
