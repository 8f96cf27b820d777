// Whether Redis answers, which one it is, and who would take over when it dies.

import { Redis } from 'ioredis'
import type { Connections, Sentinels } from '../engine/connections.ts'
import { primariesOf } from '../engine/audit.ts'
import { findingsOf, reasonOf, type Finding } from './finding.ts'

const { ok, warning, problem } = findingsOf('redis')
const VERSION_MIN = 7
const PINGS = 5
const PING_SLOW_MS = 10
const SENTINELS_MIN = 3

/** One primary, and what it says of itself. */
export interface Node {
  /** host:port; empty when there is only one. */
  name: string
  redis: Redis
  /** INFO, name → value. */
  info: ReadonlyMap<string, string>
  /** CONFIG GET, name → value; null = it may not be asked. */
  config: ReadonlyMap<string, string> | null
}

/** What the checks of storage ask by CONFIG. */
const PARAMETERS = ['save', 'appendfsync', 'min-replicas-to-write', 'min-replicas-max-lag', 'hash-max-listpack-value', 'client-output-buffer-limit']

/** @returns nodes: null = Redis cannot be spoken to, and nothing else of it can be examined */
export async function examineServer (
  connections: Connections, last_error: () => string
): Promise<{ findings: Finding[], nodes: Node[] | null }> {
  let nodes: Node[]
  let pingMs: number
  try {
    pingMs = await ping(connections)
    nodes = await Promise.all(primariesOf(connections).map(async (redis, _, all) => await describe(redis, all.length > 1)))
  } catch (error) {
    return { findings: [unreachable(`${reasonOf(error)} ${last_error()}`)], nodes: null }
  }
  const findings = [pingMs > PING_SLOW_MS
    ? warning('reachable', `Redis answers, in ${pingMs.toFixed(1)} ms`, {
      means: 'every event is that much later on the screen, several times over', advice: 'bring gateways and Redis into one zone; look for a busy core or SLOWLOG'
    })
    : ok('reachable', `Redis answers, in ${pingMs.toFixed(1)} ms`)]
  findings.push(...nodes.map(versionOf).filter((one, at) => one.level !== 'ok' || at === 0))
  findings.push(await topologyOf(connections, nodes))
  findings.push(...onceIfGood(nodes.map(replicationOf)))
  return { findings, nodes }
}

/** Of equal, good news from all nodes the first is enough. */
export function onceIfGood (findings: Finding[]): Finding[] {
  const bad = findings.filter(({ level }) => level !== 'ok')
  return bad.length > 0 ? bad : findings.slice(0, 1)
}

/** @returns the median of a few round trips, ms */
async function ping (connections: Connections): Promise<number> {
  const times: number[] = []
  await connections.command.ping()
  for (let n = 0; n < PINGS; n++) {
    const asked = performance.now()
    await connections.command.ping()
    times.push(performance.now() - asked)
  }
  return times.sort((a, b) => a - b)[PINGS >> 1] as number
}

async function describe (redis: Redis, isOneOfMany: boolean): Promise<Node> {
  const info = new Map((await redis.info()).split('\r\n').map(line => line.split(/:(.*)/s) as [string, string]))
  let config: Map<string, string> | null = new Map()
  try {
    for (const name of PARAMETERS) {
      const [, value] = await redis.config('GET', name) as [string?, string?]
      if (value !== undefined) config.set(name, value)
    }
  } catch {
    config = null // managed services keep it to themselves
  }
  return { name: isOneOfMany ? `${redis.options.host ?? ''}:${redis.options.port ?? 0}` : '', redis, info, config }
}

/** For messages: which node, when there are several. */
export function at (node: Node): string {
  return node.name === '' ? '' : ` at ${node.name}`
}

function unreachable (reason: string): Finding {
  const found = `Redis cannot be spoken to: ${reason.trim()}`
  if (/NOAUTH|WRONGPASS|invalid username/i.test(reason)) {
    return problem('reachable', found, { means: 'user or password is wrong', advice: 'put them into REDIS_URL, percent-encoded: redis://user:password@host:6379' })
  }
  if (/NOPERM/.test(reason)) {
    return problem('reachable', found, { means: 'the user lacks rights', advice: 'give it PING and INFO, and what docs/operations.md lists for Redis' })
  }
  return problem('reachable', found, {
    means: 'nothing works without Redis', advice: 'check host, port and network of REDIS_URL, and rediss:// when the server wants TLS'
  })
}

export function versionOf (node: Node): Finding {
  const version = node.info.get('redis_version') ?? 'of an unknown version'
  const name = node.info.has('valkey_version') ? `Valkey ${node.info.get('valkey_version') ?? ''} (as Redis ${version})` : `Redis ${version}`
  if (Number.parseInt(version, 10) >= VERSION_MIN) return ok('version', name)
  return problem('version', `${name}${at(node)}`, { means: `Headway's scripts need Redis ${VERSION_MIN}.0`, advice: `upgrade to ${VERSION_MIN}.0 or newer` })
}

async function topologyOf (connections: Connections, nodes: readonly Node[]): Promise<Finding> {
  const isCluster = nodes[0]?.info.get('cluster_enabled') === '1'
  if (connections.topology === 'cluster') {
    const state = String(await nodes[0]?.redis.call('CLUSTER', 'INFO'))
    const covered = /cluster_slots_ok:(\d+)/.exec(state)?.[1] ?? '0'
    if (state.includes('cluster_state:ok') && covered === '16384') return ok('topology', `Cluster of ${nodes.length} primaries, with sharded pub/sub`)
    return problem('topology', `the Cluster serves ${covered} of its 16384 slots`, {
      means: 'jobs in the others stand still', advice: 'see CLUSTER NODES for what failed; bring it back or fail over'
    })
  }
  if (isCluster) {
    return problem('topology', 'REDIS_URL names one server, and that is part of a Cluster', {
      means: 'most keys lie elsewhere and every write of them fails', advice: 'list the nodes: redis+cluster://host1:6379,host2:6379'
    })
  }
  const role = nodes[0]?.info.get('role')
  if (role === 'slave') {
    return problem('topology', 'this Redis is a replica', { means: 'it takes no writes', advice: 'name the primary, or its Sentinels: redis+sentinel://host1:26379,host2:26379/<name>' })
  }
  return connections.sentinels === null ? ok('topology', 'one primary') : await sentinelsOf(connections.sentinels)
}

/** Each is asked by itself: one that is away must be noticed before the others fail too. */
async function sentinelsOf ({ nodes, name }: Sentinels): Promise<Finding> {
  const answers = await Promise.all(nodes.map(async ({ host, port }) => {
    const once = { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null }
    const sentinel = new Redis({ host, port, ...once, connectTimeout: 2000, commandTimeout: 2000 })
    sentinel.on('error', () => {})
    try {
      await sentinel.connect()
      return { node: `${host}:${port}`, says: String(await sentinel.call('SENTINEL', 'CKQUORUM', name)) }
    } catch (error) {
      return { node: `${host}:${port}`, says: reasonOf(error) }
    } finally {
      sentinel.disconnect()
    }
  }))
  const bad = answers.filter(({ says }) => !says.startsWith('OK'))
  if (bad.length === 0 && nodes.length >= SENTINELS_MIN) return ok('topology', `one primary, ${nodes.length} Sentinels that can replace it`)
  const told = bad.map(({ node, says }) => `${node}: ${says}`).join('; ')
  return warning('topology', bad.length > 0 ? `not every Sentinel of ${name} can replace the primary: ${told}` : `REDIS_URL names ${nodes.length} Sentinels`, {
    means: 'when the primary dies now, perhaps nobody takes over, or gateways do not learn of it',
    advice: `run at least ${SENTINELS_MIN} Sentinels on machines of their own, and name them all in REDIS_URL`
  })
}

function replicationOf (node: Node): Finding {
  const replicas = Number(node.info.get('connected_slaves') ?? 0)
  const toWrite = node.config?.get('min-replicas-to-write')
  const lag = Number(node.config?.get('min-replicas-max-lag') ?? 0)
  if (replicas === 0) {
    if (Number(toWrite ?? 0) > 0) {
      return problem('replication', `min-replicas-to-write is ${toWrite ?? ''} and no replica is attached${at(node)}`, {
        means: 'Redis refuses every write', advice: 'attach a replica, or set min-replicas-to-write to 0'
      })
    }
    return warning('replication', `no replica is attached${at(node)}`, {
      means: 'when its disk is lost, so is what stands in Redis only', advice: 'attach one, with Sentinel or Cluster to take over; or accept it'
    })
  }
  if (toWrite === undefined) return ok('replication', `${replicas} attached${at(node)}; whether writes wait for one may not be asked (CONFIG)`)
  if (Number(toWrite) === 0) {
    return warning('replication', `${replicas} attached, and min-replicas-to-write is 0${at(node)}`, {
      means: 'a primary that is cut off goes on taking writes that are lost later; living SDK workers send theirs again, others do not',
      advice: 'set min-replicas-to-write 1 and min-replicas-max-lag 10'
    })
  }
  if (lag > 10 || lag === 0) {
    return warning('replication', `min-replicas-max-lag is ${lag} s${at(node)}`, {
      means: 'for so long a primary that is cut off takes writes that are lost later', advice: 'set min-replicas-max-lag 10'
    })
  }
  return ok('replication', `${replicas} attached, writes stop without ${toWrite} that is at most ${lag} s behind${at(node)}`)
}
