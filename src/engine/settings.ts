// What the engine's behaviour can be set to. Durations in ms, on the partition's service clock.

export interface EngineSettings {
  /** A pause or cancel goes on by itself after this time without acknowledgement. */
  control_timeout_ms: number
  /** A running job that has sent heartbeats is called stalled after this time without a sign of life. */
  stall_after_ms: number
  /** A job without any sign of life for this time has failed. */
  abandon_after_ms: number
  /** A finished job leaves Redis after this time. */
  retention_ms: number
  /** Bounds of a job's event log; the oldest chunks go first. */
  log_events_max: number
  log_bytes_max: number
  /** Distinct items a job; above it only counters. */
  items_max: number
  /** Dead letters a partition; the oldest go first. */
  rejected_max: number
  /** Bound of the outbox, of all partitions together (each has its share); 0 = there is no sink, nothing is written. */
  outbox_bytes_max: number
  /** What happens at that bound: jobs are marked dirty, or the reducer stops. */
  outbox_full: 'dirty' | 'hold'
  /** Finished jobs, of all partitions together, that wait for the persister with all their items; beyond it with their header only. */
  waiting_jobs_max: number
  /** After Redis lost a partition, with a sink: events wait at most so long for the persister to put its jobs back. */
  restore_hold_ms: number
  /** Every gateway looks at every partition at this interval, whatever wakes it besides. */
  sweep_interval_ms: number
}

export const DEFAULT_SETTINGS: EngineSettings = {
  control_timeout_ms: 60_000,
  stall_after_ms: 30_000,
  abandon_after_ms: 7 * 24 * 3_600_000,
  retention_ms: 300_000,
  log_events_max: 2000,
  log_bytes_max: 1_048_576,
  items_max: 100_000,
  rejected_max: 1000,
  outbox_bytes_max: 0,
  outbox_full: 'dirty',
  waiting_jobs_max: 10_000,
  restore_hold_ms: 15_000,
  sweep_interval_ms: 300
}
