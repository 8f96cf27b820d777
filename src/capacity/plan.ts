// How many of each for a load, and what breaks first when the load grows as it is. Arithmetic on figures.ts: nothing of it was run at such
// a size.

import { figure } from './figures.ts'

export interface Load {
  watchers: number
  /** Of all jobs together, watched or not. */
  events_per_s: number
  /** What one watcher sees of it. */
  events_per_watcher_per_s: number
  watchers_per_job: number
  /** In Redis at once: those that run, and those that ended within HEADWAY_RETENTION_MS. */
  jobs: number
  /** How the workers send: the SDK batches, single HTTP calls do not. */
  sending: 'batched' | 'alone' | 'scattered'
  /** For how long the outbox holds everything while the database is away; 0 = there is no database. */
  outage_minutes: number
}

export type Part = 'gateway CPU' | 'gateway sockets' | 'Redis CPU' | 'Redis network' | 'Redis memory' | 'persister'

/** How much of it is used, 1 = all that is planned for. */
export interface Use { part: Part, used: number, advice: string }

export interface Plan {
  gateways: number
  gateway_bytes: number
  deliveries_per_s: number
  /** Until all watchers of a gateway that dies are back. */
  storm_s: number
  shards: number
  shard_bytes: number
  partitions: number
  /** HEADWAY_SWEEP_INTERVAL_MS: its default, or longer where many gateways look. */
  sweep_interval_ms: number
  persisters: number
  /** Fullest first. */
  uses: Use[]
}

export const DEFAULT_LOAD: Load = {
  watchers: 10_000,
  watchers_per_job: 20,
  events_per_watcher_per_s: 2,
  events_per_s: 10_000,
  jobs: 10_000,
  sending: 'batched',
  outage_minutes: 60
}

const GATEWAYS_MIN = 2
/** HEADWAY_SWEEP_INTERVAL_MS unless told. */
export const SWEEP_INTERVAL_MS = 300

/** @returns what cannot be; null = it can */
export function faultOf (load: Load): string | null {
  const { watchers, watchers_per_job: perJob, events_per_watcher_per_s: rate, events_per_s: events, jobs } = load
  const watched = Math.ceil(watchers / perJob)
  if (watched * rate > events) {
    return `${watchers} watchers, ${perJob} of each job, who see ${rate} events a second are ${Math.round(watched * rate)} events a second, and there are only ${events}`
  }
  return watched > jobs ? `${watchers} watchers, ${perJob} of each job, watch ${watched} jobs, and there are only ${jobs}` : null
}

export function planFor (load: Load): Plan {
  const deliveries = load.watchers * load.events_per_watcher_per_s * figure('deliveries_per_event')
  const watchedJobs = load.watchers / load.watchers_per_job
  /** A job's watchers are spread over the gateways, and each gateway with one hears all of the job. */
  const roomMessages = (gateways: number): number => watchedJobs * Math.min(gateways, load.watchers_per_job) * load.events_per_watcher_per_s
  const gatewayCores = (gateways: number): number => (deliveries * figure('delivery_us') + roomMessages(gateways) * figure('room_message_us')) / 1e6

  const bySockets = Math.ceil(load.watchers / figure('sockets_max'))
  let needed = Math.max(1, bySockets)
  while (gatewayCores(needed) > needed * figure('cpu_share')) needed++
  // One more than needed: any of them may die, or be replaced.
  const gateways = Math.max(GATEWAYS_MIN, needed + 1)
  const socketsEach = load.watchers / gateways

  const sweepIntervalMs = Math.max(SWEEP_INTERVAL_MS, Math.ceil(gateways * 1_000 / figure('sweeps_per_s')))
  // A power of two, four for each primary, so that they spread evenly.
  const partitionsOf = (shards: number): number => Math.max(shards === 1 ? 8 : figure('partitions'), 2 ** Math.ceil(Math.log2(4 * shards)))
  const heard = roomMessages(gateways) - roomMessages(1)
  const redisCores = (shards: number): number => (load.events_per_s * figure(`event_${load.sending}_us`) + heard * figure('hearing_us') +
    gateways * partitionsOf(shards) * 1_000 / sweepIntervalMs * figure('sweep_us')) / 1e6
  const outBytes = roomMessages(gateways) * figure('message_bytes')
  const outboxBytes = load.events_per_s * load.outage_minutes * 60 * figure('outbox_bytes')
  const memory = load.jobs * figure('job_bytes') + outboxBytes * figure('memory_factor')
  let shards = Math.max(1, Math.ceil(Math.max(outBytes / figure('shard_out_bytes_per_s'), memory / figure('shard_bytes'))))
  while (redisCores(shards) > shards * figure('cpu_share')) shards++

  const persisters = load.outage_minutes === 0 ? 0 : Math.max(2, Math.ceil(load.events_per_s / figure('persisted_per_s')))
  const uses: Use[] = [
    { part: 'gateway CPU', used: gatewayCores(gateways) / (gateways * figure('cpu_share')), advice: 'more gateways' },
    { part: 'gateway sockets', used: socketsEach / figure('sockets_max'), advice: 'more gateways, or more memory and HEADWAY_SOCKETS_MAX' },
    { part: 'Redis CPU', used: redisCores(shards) / (shards * figure('cpu_share')), advice: 'let workers batch; fewer, larger gateways; more primaries' },
    { part: 'Redis network', used: outBytes / (shards * figure('shard_out_bytes_per_s')), advice: 'fewer, larger gateways; more primaries' },
    { part: 'Redis memory', used: memory / (shards * figure('shard_bytes')), advice: 'a shorter retention, a smaller outbox, more primaries' }
  ]
  if (persisters > 0) {
    uses.push({ part: 'persister', used: load.events_per_s / (persisters * figure('persisted_per_s')), advice: 'more persisters, as far as one Postgres takes it: measure yours' })
  }
  return {
    gateways,
    gateway_bytes: figure('gateway_bytes') + socketsEach * figure('socket_bytes'),
    deliveries_per_s: deliveries,
    storm_s: socketsEach / (Math.max(1, gateways - 1) * figure('handshakes_per_s')),
    shards,
    shard_bytes: memory / shards,
    partitions: partitionsOf(shards),
    sweep_interval_ms: sweepIntervalMs,
    persisters,
    uses: uses.sort((a, b) => b.used - a.used)
  }
}
