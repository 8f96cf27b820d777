// One call of the reducer, and how many entries the next one may take.

import type { Connections, RedisClient } from './connections.ts'
import { WAKE_CONSUMER, WAKE_GROUP } from './keys.ts'
import type { Keys } from './keys.ts'
import { loadScript, replyOf, type Script } from './script.ts'
import type { EngineSettings } from './settings.ts'

export type DrainWord = 'ok' | 'absent' | 'torn' | 'replica_changed' | 'held' | 'restoring' | 'newer_format'

export interface DrainResult {
  word: DrainWord
  /** Entries read. */
  consumed: number
  /** Id of the last entry read so far. */
  cursor: string
  /** True when there may be more behind the cursor. */
  more: boolean
  /** Time in Redis, by its own clock. */
  elapsed_us: number
  applied: number
  repeated: number
  ignored: number
  rejected: number
  gaps: number
  timers: number
  /** Of the partition's last data loss; 0 = not told. */
  epoch: number
  /** A code for each rejected event. */
  refusals: readonly string[]
}

export interface DrainOptions {
  /** 0 or absent = Redis's own clock. */
  now_ms?: number
  /** The call ends with the entry that reaches it. */
  events_max?: number
  jobs_max?: number
}

export interface DrainParams { connections: Connections, keys: Keys, settings: EngineSettings }

export interface Drain {
  (partition: number, options?: DrainOptions): Promise<DrainResult>
  /**
   * Waits in Redis until the partition has an entry that nobody else was woken for, or the time is up, then drains. Both commands go
   * out together: between an entry and its reduction no message travels, and no process has to be scheduled.
   *
   * @param redis waits too: nobody else can use it
   * @returns null when the reducer failed, or is not known yet: an ordinary call says why
   * @throws what Redis answers to the wait
   */
  whenWoken (redis: RedisClient, partition: number, options: { block_ms: number, events_max: number }): Promise<DrainResult | null>
}

export const EVENTS_MIN = 16
export const EVENTS_MAX = 256
export const JOBS_MAX = 64

const script = loadScript('drain.lua')

export function createDrain ({ connections, keys, settings }: DrainParams): Drain {
  const fixed = {
    publish: connections.topology === 'cluster' ? 'SPUBLISH' : 'PUBLISH',
    partitions: keys.partitions,
    control_timeout_ms: settings.control_timeout_ms,
    stall_after_ms: settings.stall_after_ms,
    abandon_after_ms: settings.abandon_after_ms,
    retention_ms: settings.retention_ms,
    log_events_max: settings.log_events_max,
    log_bytes_max: settings.log_bytes_max,
    items_max: settings.items_max,
    rejected_max: settings.rejected_max,
    outbox_bytes_max: Math.ceil(settings.outbox_bytes_max / keys.partitions),
    outbox_hold: settings.outbox_full === 'hold' ? 1 : 0,
    waiting_jobs_max: Math.ceil(settings.waiting_jobs_max / keys.partitions)
  }
  const argsOf = (
    partition: number, { now_ms = 0, events_max = EVENTS_MAX, jobs_max = JOBS_MAX }: DrainOptions
  ): Parameters<Script['words']> => [
    { ...keys.partition(partition) },
    {
      ...fixed, job_prefix: keys.jobPrefix(partition), tenant_prefix: keys.tenantPrefix(partition), partition, now_ms, events_max, jobs_max
    }
  ]

  async function drain (partition: number, options: DrainOptions = {}): Promise<DrainResult> {
    return resultOf(await script.run(connections.command, ...argsOf(partition, options)))
  }

  async function whenWoken (
    redis: RedisClient, partition: number, { block_ms, events_max }: { block_ms: number, events_max: number }
  ): Promise<DrainResult | null> {
    const answers = await redis.pipeline()
      .xreadgroup('GROUP', WAKE_GROUP, WAKE_CONSUMER, 'COUNT', 1, 'BLOCK', block_ms, 'NOACK', 'STREAMS', keys.partition(partition).ingest, '>')
      .evalsha(...script.words(...argsOf(partition, { events_max })))
      .exec()
    const [[notWoken] = [], [failed, reply] = []] = answers ?? []
    if (notWoken) throw notWoken
    return failed ? null : resultOf(reply)
  }

  return Object.assign(drain, { whenWoken })
}

function resultOf (answered: unknown): DrainResult {
  const reply = replyOf(script, answered)
  const number = (at: number): number => Number(reply[at] ?? 0)
  return {
    word: reply[0] as DrainWord,
    consumed: number(1),
    cursor: String(reply[2] ?? ''),
    more: number(3) === 1,
    elapsed_us: number(4),
    applied: number(5),
    repeated: number(6),
    ignored: number(7),
    rejected: number(8),
    gaps: number(9),
    timers: number(10),
    epoch: number(11),
    refusals: String(reply[12] ?? '').split(' ').filter((code) => code !== '')
  }
}

const CALL_US = 1000

/**
 * Keeps a call at about 1 ms of Redis, so that nobody else waits long: halves above twice that, grows by a quarter
 * while calls are short and full.
 *
 * @param events_max what the last call was allowed
 * @returns what the next one is, EVENTS_MIN to EVENTS_MAX
 */
export function nextEventsMax (events_max: number, { more, elapsed_us }: DrainResult): number {
  if (elapsed_us > 2 * CALL_US) return Math.max(EVENTS_MIN, events_max >> 1)
  if (more && elapsed_us < CALL_US) return Math.min(EVENTS_MAX, events_max + Math.max(4, events_max >> 2))
  return events_max
}
