// Every name in Redis, and the only file that builds one. Formats: docs/engine.md §2.

import { crc16, partitionOf } from '../protocol/partition.ts'

/** The nine permanent keys of a partition: created together, never deleted. */
export interface PartitionKeys {
  /** STREAM entries of workers and users. */
  ingest: string
  /** HASH cursor, clocks, epochs, outbox position. */
  meta: string
  /** ZSET `<tenant>/<job>` → next due time. */
  agenda: string
  /** ZSET `<tenant>/<epoch>/<job>` → 0. */
  jobs: string
  /** STREAM new states and logged events for the persister. */
  outbox: string
  /** ZSET jobs changed while the outbox was full. */
  dirty: string
  /** STREAM effects of entries that asked for one, 10 s. */
  answers: string
  /** STREAM dead letters. */
  rejected: string
  /** HASH producer → last number, last seen. */
  producers: string
}

export interface JobAddress {
  partition: number
  /** HASH the whole job; also the name of its channel. */
  key: string
  /** Member of agenda and dirty. */
  member: string
}

/** The consumer group of ingest: a wake-up only, all gateways are one consumer of it. */
export const WAKE_GROUP = 'headway'
export const WAKE_CONSUMER = 'gateway'

export const PARTITION_KEY_NAMES = [
  'ingest', 'meta', 'agenda', 'jobs', 'outbox', 'dirty', 'answers', 'rejected', 'producers'
] as const satisfies readonly (keyof PartitionKeys)[]

export interface Keys {
  readonly prefix: string
  readonly partitions: number
  partition (n: number): PartitionKeys
  job (tenant: string, id: string): JobAddress
  /** What keys and channels of jobs of a partition begin with. */
  jobPrefix (n: number): string
  /** Glob of every job's key. */
  readonly jobPattern: string
  /** @returns null when the key is none of a job */
  jobOf (key: string): { partition: number, member: string } | null
  /** What channels of tenants of a partition begin with. */
  tenantPrefix (n: number): string
  /** Channel on which a process hears itself. */
  probe (n: number, id: string): string
  /** STRING who holds a single-use ticket, 30 s. */
  ticket (id: string): string
  /** STRING what came of a request, 24 h. @param key any visible ASCII; kept out of the hash tag */
  idempotent (tenant: string, key: string): string
  /** HASH items of a job that is being put back. */
  prepared (tenant: string, id: string): string
  /** STRING which persister works on a partition. */
  lease (n: number): string
  /** ZSET persisters → last heard of, ms. */
  readonly persisters: string
  /** The Cluster's slot of a partition: all its names have the same tag. */
  slot (n: number): number
}

const SLOTS = 16_384

/** HASH, field `partitions`; lies in a slot of its own. */
export function configKey (prefix: string): string {
  return `${prefix}:config`
}

/**
 * @param prefix without braces, or it would become the hash tag of every key
 * @param partitions a power of two
 */
export function createKeys (prefix: string, partitions: number): Keys {
  const all = Array.from({ length: partitions }, (_, n) => {
    const tag = `${prefix}:{p${n}}:`
    const keys = Object.fromEntries(PARTITION_KEY_NAMES.map((name) => [name, tag + name])) as { [name in keyof PartitionKeys]: string }
    return { tag, keys }
  })
  const of = (n: number): { tag: string, keys: PartitionKeys } => {
    const found = all[n]
    if (found === undefined) throw new RangeError(`partition ${n} does not exist: there are ${partitions}`)
    return found
  }
  return {
    prefix,
    partitions,
    partition: (n) => of(n).keys,
    job (tenant, id) {
      const partition = partitionOf(tenant, id, partitions)
      const member = `${tenant}/${id}`
      return { partition, key: `${of(partition).tag}job:${member}`, member }
    },
    jobPrefix: (n) => `${of(n).tag}job:`,
    jobPattern: `${prefix}:{p*}:job:*`,
    jobOf (key) {
      const [, partition, member] = /^\{p(\d+)\}:job:(.+)$/s.exec(key.startsWith(`${prefix}:`) ? key.slice(prefix.length + 1) : '') ?? []
      return partition === undefined || member === undefined ? null : { partition: Number(partition), member }
    },
    tenantPrefix: (n) => `${of(n).tag}tenant:`,
    probe: (n, id) => `${of(n).tag}probe:${id}`,
    ticket: (id) => `${prefix}:ticket:${id}`,
    idempotent: (tenant, key) => `${prefix}:idem:${tenant}/${encodeURIComponent(key)}`,
    prepared: (tenant, id) => `${of(partitionOf(tenant, id, partitions)).tag}prepared:${tenant}/${id}`,
    lease: (n) => `${of(n).tag}lease`,
    persisters: `${prefix}:persisters`,
    slot: (n) => crc16(`p${n}`) % SLOTS
  }
}
