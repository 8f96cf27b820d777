// What Redis does with its memory and its disk.

import { findingsOf, type Finding } from './finding.ts'
import { at, onceIfGood, type Node } from './redis-server.ts'

const { ok, warning, problem } = findingsOf('storage')
/** Outbox, jobs, and the copies that a rewrite of the log makes. */
const MEMORY_FACTOR = 3
const LISTPACK_BYTES = 4096
const PUBSUB_BYTES_MIN = 8 * 1024 * 1024

export interface StorageParams {
  nodes: readonly Node[]
  /** 0 = no sink. */
  outbox_bytes_max: number
  sink: boolean
}

export function examineStorage (params: StorageParams): Finding[] {
  const { nodes } = params
  const findings = [
    ...onceIfGood(nodes.map(node => persistenceOf(node, params.sink))),
    ...onceIfGood(nodes.map(policyOf)),
    ...onceIfGood(nodes.map(node => memoryOf(node, params)))
  ]
  if (nodes.some(({ config }) => config === null)) {
    findings.push(warning('config', 'CONFIG GET is refused', {
      means: 'appendfsync, min-replicas-to-write, hash-max-listpack-value and client-output-buffer-limit could not be seen',
      advice: 'look for them where the service is managed; docs/operations.md says what they should be'
    }))
    return findings
  }
  return [...findings, ...onceIfGood(nodes.map(listpackOf)), ...onceIfGood(nodes.map(pubsubOf))]
}

function persistenceOf (node: Node, sink: boolean): Finding {
  const info = (name: string): string => node.info.get(name) ?? ''
  if (info('loading') === '1') return warning('persistence', `Redis is loading its data${at(node)}`, { means: 'it refuses everything until then', advice: 'wait' })
  if (info('aof_enabled') === '1') {
    if (info('aof_last_write_status') !== 'ok') {
      return problem('persistence', `the last write of the append-only file failed${at(node)}`, { means: 'Redis refuses writes: every event waits', advice: 'see its log: most often the disk is full' })
    }
    const fsync = node.config?.get('appendfsync')
    if (fsync === 'no') {
      return warning('persistence', `appendfsync is no${at(node)}`, { means: 'a crash of the machine loses what the kernel had not written, up to half a minute', advice: 'set appendfsync everysec' })
    }
    return ok('persistence', `append-only file${fsync === undefined ? '' : `, fsync ${fsync}`}${at(node)}`)
  }
  const rest = sink ? 'jobs that run come back from the database, as it knew them' : 'nothing brings them back'
  if (info('rdb_last_bgsave_status') === 'err') {
    return problem('persistence', `the last snapshot failed${at(node)}`, { means: 'Redis may refuse writes', advice: 'see its log: memory or disk' })
  }
  if (node.config?.get('save') === '') {
    return problem('persistence', `neither append-only file nor snapshots${at(node)}`, { means: `a restart of Redis loses all jobs; ${rest}`, advice: 'set appendonly yes' })
  }
  return warning('persistence', `no append-only file${at(node)}`, { means: `a crash of Redis loses what came since its last snapshot; ${rest}`, advice: 'set appendonly yes' })
}

function policyOf (node: Node): Finding {
  const policy = node.info.get('maxmemory_policy') ?? 'unknown'
  if (policy === 'noeviction') return ok('eviction', 'noeviction')
  return problem('eviction', `maxmemory-policy is ${policy}${at(node)}`, {
    means: 'short of memory, Redis deletes keys of Headway: jobs vanish and their partition stands still',
    advice: 'set maxmemory-policy noeviction; a cache belongs on another Redis'
  })
}

function memoryOf (node: Node, { outbox_bytes_max: outboxMax, nodes }: StorageParams): Finding {
  const max = Number(node.info.get('maxmemory') ?? 0)
  const used = Number(node.info.get('used_memory') ?? 0)
  const wanted = Math.ceil(outboxMax / nodes.length) * MEMORY_FACTOR
  const [maxText, usedText] = [bytesText(max), bytesText(used)]
  if (max === 0) {
    return warning('maxmemory', `maxmemory is not set${at(node)}; ${usedText} used`, {
      means: 'the kernel kills Redis where it should refuse new events and go on', advice: `set it to what the machine can spare${wanted > 0 ? `, at least ${bytesText(wanted)}` : ''}`
    })
  }
  if (used > max * 0.9) {
    return problem('maxmemory', `${usedText} of ${maxText} are used${at(node)}`, { means: 'at the bound new events are refused', advice: 'give more, shorten HEADWAY_RETENTION_MS, or see why the outbox is not emptied' })
  }
  if (max < wanted) {
    return warning('maxmemory', `maxmemory is ${maxText}${at(node)}; the outbox alone may take ${bytesText(wanted / MEMORY_FACTOR)}`, {
      means: 'while the database is away the outbox may fill Redis before its own bound is reached: then events are refused',
      advice: `set maxmemory to at least ${bytesText(wanted)}, or lower HEADWAY_OUTBOX_BYTES_MAX`
    })
  }
  return ok('maxmemory', `${usedText} of ${maxText} used${at(node)}`)
}

function listpackOf (node: Node): Finding {
  const bytes = Number(node.config?.get('hash-max-listpack-value') ?? 0)
  if (bytes >= LISTPACK_BYTES) return ok('listpack', `hash-max-listpack-value ${bytes}`)
  return warning('listpack', `hash-max-listpack-value is ${bytes}${at(node)}`, {
    means: 'jobs take more memory than they need: 39 KB instead of 33 KB at 100 items (docs/capacity.md)', advice: `set hash-max-listpack-value ${LISTPACK_BYTES}; it holds for jobs that are written from then on`
  })
}

function pubsubOf (node: Node): Finding {
  const text = node.config?.get('client-output-buffer-limit') ?? ''
  const [, hard = '', soft = '', seconds = ''] = /pubsub (\d+) (\d+) (\d+)/.exec(text) ?? []
  if (hard === '') return ok('pubsub_buffer', 'client-output-buffer-limit pubsub is not told')
  if (hard === '0') {
    return warning('pubsub_buffer', `client-output-buffer-limit pubsub is without bound${at(node)}`, {
      means: 'one gateway that hangs fills the memory of Redis', advice: 'set client-output-buffer-limit "pubsub 32mb 8mb 60"'
    })
  }
  if (Number(hard) < PUBSUB_BYTES_MIN || (soft !== '0' && Number(soft) < PUBSUB_BYTES_MIN / 4)) {
    return warning('pubsub_buffer', `client-output-buffer-limit pubsub is ${hard} ${soft} ${seconds}${at(node)}`, {
      means: 'a gateway that is busy for a moment is cut off and has to read its jobs again', advice: 'set client-output-buffer-limit "pubsub 32mb 8mb 60"'
    })
  }
  return ok('pubsub_buffer', `pubsub ${bytesText(Number(hard))}, ${bytesText(Number(soft))} for ${seconds} s`)
}

export function bytesText (bytes: number): string {
  const mib = bytes / 1_048_576
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${mib.toFixed(mib < 10 ? 1 : 0)} MiB`
}
