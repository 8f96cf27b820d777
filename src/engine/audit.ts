// Whether partitions are whole: the nine permanent keys, and that hashes of jobs, agenda and list tell of the same jobs. Looks without
// stopping anybody: candidates come from scans, and each is judged, and mended when asked, by an atomic script.

import { Cluster, type Redis } from 'ioredis'
import { partitionOf } from '../protocol/partition.ts'
import type { Connections } from './connections.ts'
import { PARTITION_KEY_NAMES, type Keys, type PartitionKeys } from './keys.ts'
import { loadScript, replyOf } from './script.ts'

/** missing, unscheduled and headless stop their partition; unlisted and ghost spoil lists; misplaced: of another number of partitions. */
export type JobFault = 'unscheduled' | 'unlisted' | 'missing' | 'headless' | 'ghost' | 'misplaced' | 'newer_format'

export interface PartitionAudit {
  partition: number
  /** absent: never created, or wiped. torn: keys are missing. moving: its slot is on the way to another node, nothing was looked at. */
  word: 'whole' | 'absent' | 'torn' | 'moving' | 'newer_format'
  /** Permanent keys that are not there. */
  missing: string[]
  /** Permanent keys that hold another type than theirs. */
  foreign: string[]
  jobs: number
  /** At most FAULTS_MAX; calling again finds more. */
  faults: { fault: JobFault, member: string }[]
  /** Since it was drained last. */
  idle_ms: number
  /** Entries behind the cursor, counted up to 1,000. */
  waiting: number
  /** Another Redis answers than the one that wrote last. */
  replaced: boolean
}

export const FAULTS_MAX = 10_000
const SCAN_COUNT = 500
const WAITING_MAX = 1000
const TYPES: Record<keyof PartitionKeys, string> = {
  ingest: 'stream', meta: 'hash', agenda: 'zset', jobs: 'zset', outbox: 'stream', dirty: 'zset', answers: 'stream', rejected: 'stream', producers: 'hash'
}

const clockScript = loadScript('read_clock.lua')
const partitionScript = loadScript('mend_partition.lua')
const jobScript = loadScript('mend_job.lua')
const listingScript = loadScript('mend_listing.lua')

export interface AuditParams { connections: Connections, keys: Keys, mend: boolean }

/**
 * @param params mend: put right what can be; what is told is what was found before
 * @throws the error of Redis when it does not answer, or refuses a command
 */
export async function auditPartitions ({ connections, keys, mend }: AuditParams): Promise<PartitionAudit[]> {
  const redis = connections.command
  const moving = await movingSlots(connections)
  const audits: PartitionAudit[] = []
  /** Partition → what its lost outbox may have kept from the database (mend_job.lua). */
  const unsaved = new Map<number, string>()
  for (let n = 0; n < keys.partitions; n++) {
    const audit = await auditKeys(redis, keys, n, moving.has(keys.slot(n)))
    audits.push(audit)
    if (!mend || audit.word !== 'torn' || audit.foreign.length > 0) continue
    const [, position] = replyOf(partitionScript, await partitionScript.run(redis, { ...keys.partition(n) })) as [string, string]
    unsaved.set(n, position)
  }
  const looked = new Map(audits.filter(({ word, foreign }) => (word === 'whole' || word === 'torn') && foreign.length === 0).map((audit) => [audit.partition, audit]))

  async function judge (audit: PartitionAudit, member: string): Promise<void> {
    const [tenant, id] = splitMember(member)
    if (audit.faults.length >= FAULTS_MAX) return
    if (partitionOf(tenant, id, keys.partitions) !== audit.partition) {
      audit.faults.push({ fault: 'misplaced', member })
      return
    }
    const { meta, agenda, jobs, dirty } = keys.partition(audit.partition)
    const names = { job: keys.jobPrefix(audit.partition) + member, meta, agenda, jobs, dirty }
    const reply = await jobScript.run(redis, names, { member, tenant, id, mend: Number(mend), unsaved: unsaved.get(audit.partition) ?? '' })
    const [word] = replyOf(jobScript, reply) as [JobFault | 'whole' | 'gone']
    if (word !== 'whole' && word !== 'gone') audit.faults.push({ fault: word, member })
  }

  for (const node of primariesOf(connections)) {
    for await (const found of node.scanStream({ match: keys.jobPattern, count: SCAN_COUNT }) as AsyncIterable<string[]>) {
      await Promise.all(found.map(async (key) => {
        const job = keys.jobOf(key)
        const audit = job && looked.get(job.partition)
        if (!audit) return
        audit.jobs++
        const { agenda, jobs } = keys.partition(audit.partition)
        const header = await redis.hget(key, '_')
        const [scheduled, listed] = await Promise.all([redis.zscore(agenda, job.member), redis.zscore(jobs, listingOf(job.member, header))])
        const fits = partitionOf(...splitMember(job.member), keys.partitions) === audit.partition
        if (scheduled === null || listed === null || !fits || unsaved.get(audit.partition)) await judge(audit, job.member)
      }))
    }
  }

  for (const audit of looked.values()) {
    const { agenda, jobs } = keys.partition(audit.partition)
    const jobPrefix = keys.jobPrefix(audit.partition)
    for await (const members of scanSet(redis, agenda)) {
      await Promise.all(members.map(async (member) => {
        // A hash of any kind was seen by the scan of keys.
        if (await redis.exists(jobPrefix + member) === 0) await judge(audit, member)
      }))
    }
    for await (const listings of scanSet(redis, jobs)) {
      await Promise.all(listings.map(async (listing) => {
        const { member, registered } = ofListing(listing)
        if (epochIn(await redis.hget(jobPrefix + member, '_')) === registered || audit.faults.length >= FAULTS_MAX) return
        const reply = await listingScript.run(redis, { job: jobPrefix + member, jobs }, { listing, registered, mend: Number(mend) })
        if (replyOf(listingScript, reply)[0] === 'ghost') audit.faults.push({ fault: 'ghost', member: listing })
      }))
    }
  }
  return audits
}

async function auditKeys (redis: Connections['command'], keys: Keys, partition: number, isMoving: boolean): Promise<PartitionAudit> {
  const names = keys.partition(partition)
  const audit: PartitionAudit = { partition, word: 'whole', missing: [], foreign: [], jobs: 0, faults: [], idle_ms: 0, waiting: 0, replaced: false }
  if (isMoving) return { ...audit, word: 'moving' }
  const types = await Promise.all(PARTITION_KEY_NAMES.map((name) => redis.type(names[name])))
  audit.missing = PARTITION_KEY_NAMES.filter((_, at) => types[at] === 'none')
  audit.foreign = PARTITION_KEY_NAMES.filter((name, at) => types[at] !== 'none' && types[at] !== TYPES[name])
  if (audit.missing.length > 0 || audit.foreign.length > 0) audit.word = 'torn'
  if (audit.missing.includes('meta')) audit.word = 'absent'
  if (audit.word === 'absent' || audit.foreign.length > 0) return audit
  const reply = replyOf(clockScript, await clockScript.run(redis, { meta: names.meta, ingest: names.ingest }, { waiting_max: WAITING_MAX }))
  const [word, idle, waiting, replaced] = reply as [string, number, number, number]
  if (word === 'newer_format') audit.word = word
  return { ...audit, idle_ms: idle, waiting, replaced: replaced === 1 }
}

/** Every primary, or the one server. */
export function primariesOf (connections: Connections): Redis[] {
  const redis = connections.command
  return redis instanceof Cluster ? redis.nodes('master') : [redis]
}

async function movingSlots (connections: Connections): Promise<Set<number>> {
  if (connections.topology !== 'cluster') return new Set()
  const views = await Promise.all(primariesOf(connections).map(async (node) => String(await node.call('CLUSTER', 'NODES'))))
  return new Set(views.flatMap((view) => [...view.matchAll(/\[(\d+)-[<>]-/g)].map(([, slot]) => Number(slot))))
}

/** Members of a sorted set, page by page, without its sentinel. */
async function * scanSet (redis: Connections['command'], key: string): AsyncGenerator<string[]> {
  let cursor = '0'
  do {
    const [next, found] = await redis.zscan(key, cursor, 'COUNT', SCAN_COUNT)
    yield found.filter((member, at) => at % 2 === 0 && member !== '-')
    cursor = next
  } while (cursor !== '0')
}

function splitMember (member: string): [tenant: string, id: string] {
  const at = member.indexOf('/')
  return [member.slice(0, at), member.slice(at + 1)]
}

function epochIn (header: string | null): string {
  return header?.split('\t', 3)[2] ?? ''
}

function listingOf (member: string, header: string | null): string {
  const [tenant, id] = splitMember(member)
  return `${tenant}/${epochIn(header)}/${id}`
}

function ofListing (listing: string): { member: string, registered: string } {
  const [tenant = '', registered = ''] = listing.split('/', 2)
  return { member: `${tenant}/${listing.slice(tenant.length + registered.length + 2)}`, registered }
}
