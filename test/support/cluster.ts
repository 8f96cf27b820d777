// A real Redis Cluster: three primaries with a replica each, on free ports, and slots that can be moved step by step.
//
// Two traps are avoided on purpose: the bus port is chosen too (port + 10000 meets ephemeral ports), and replicas sync without
// the usual delay of 5 s (a primary killed before that would have no successor). A replica counts as available once its offset
// has moved, hence the ping every second: with the usual 10 s the start took that long.

import { Cluster, type Redis } from 'ioredis'
import { freePorts } from './ports.ts'
import { startRedis, type RedisServer } from './redis.ts'
import { until } from './wait.ts'

const PRIMARIES = 3
const SLOTS = 16_384
const NODE_TIMEOUT_MS = 2_000

export interface ClusterNode {
  readonly id: string
  readonly server: RedisServer
  /** A plain connection to this node. */
  readonly redis: Redis
}

export interface RedisCluster {
  /** Comma list of every node. */
  readonly url: string
  readonly primaries: readonly ClusterNode[]
  readonly replicas: readonly ClusterNode[]
  client (): Cluster
  /** Which of `primaries` owns the slot now. */
  ownerOf (slot: number): Promise<number>
  /** Moves a slot and its keys as redis-cli does; see {@link SlotMoveOptions}. */
  moveSlot (slot: number, to: number, options?: SlotMoveOptions): Promise<void>
  stop (): Promise<void>
}

export interface SlotMoveOptions {
  /** Called after the slot is open on both sides, and after each MIGRATE with the number of keys moved so far. */
  onStep?: (moved: number) => Promise<void> | void
  /** Keys in one MIGRATE; redis-cli takes 10. */
  keys_per_step?: number
}

export async function startCluster (): Promise<RedisCluster> {
  const nodes: ClusterNode[] = []
  const clients = new Set<Cluster>()
  const stop = async (): Promise<void> => {
    for (const client of clients) client.disconnect()
    clients.clear()
    await Promise.all(nodes.map((node) => node.server.stop()))
  }
  try {
    await Promise.all(Array.from({ length: PRIMARIES * 2 }, async () => nodes.push(await startNode())))
    await join(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  const primaries = nodes.slice(0, PRIMARIES)
  const ownerOf = async (slot: number): Promise<number> => {
    const ranges = await primaries[0]?.redis.call('CLUSTER', 'SLOTS') as [number, number, [string, number, string]][]
    const range = ranges.find(([from, to]) => from <= slot && slot <= to)
    return primaries.findIndex((node) => node.id === range?.[2][2])
  }
  return {
    url: nodes.map((node) => node.server.url).join(','),
    primaries,
    replicas: nodes.slice(PRIMARIES),
    client () {
      const client = new Cluster(nodes.map((node) => ({ host: '127.0.0.1', port: node.server.port })))
      client.on('error', () => {})
      clients.add(client)
      return client
    },
    ownerOf,
    async moveSlot (slot, to, options = {}) {
      const source = primaries[await ownerOf(slot)]
      const target = primaries[to]
      if (source === undefined || target === undefined) throw new Error(`slot ${slot} has no owner, or there is no primary ${to}`)
      if (source !== target) await migrate(slot, source, target, primaries, options)
    },
    stop
  }
}

async function startNode (): Promise<ClusterNode> {
  const [busPort] = await freePorts(1)
  const server = await startRedis({
    flags: [
      '--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', String(NODE_TIMEOUT_MS),
      '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1', '--cluster-config-file', 'nodes.conf'
    ]
  })
  const redis = server.client()
  return { id: await redis.call('CLUSTER', 'MYID') as string, server, redis }
}

/** Introduces the nodes to each other, deals out the slots and waits until every replica follows. */
async function join (nodes: readonly ClusterNode[]): Promise<void> {
  const primaries = nodes.slice(0, PRIMARIES)
  const replicas = nodes.slice(PRIMARIES)
  const share = Math.ceil(SLOTS / PRIMARIES)
  await Promise.all(primaries.map(async ({ redis }, n) => {
    await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1)
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', n * share, Math.min((n + 1) * share, SLOTS) - 1)
  }))
  const bus = await Promise.all(nodes.map(async ({ redis }) => (await redis.config('GET', 'cluster-port') as string[])[1]))
  await Promise.all(nodes.map(async ({ redis }, from) => {
    for (const [to, { server }] of nodes.entries()) {
      if (to !== from) await redis.call('CLUSTER', 'MEET', '127.0.0.1', server.port, bus[to] as string)
    }
  }))
  await everywhere(nodes, 'CLUSTER INFO', `cluster_known_nodes:${nodes.length}`)
  await Promise.all(replicas.map(({ redis }, n) => until(async () => await redis.call('CLUSTER', 'REPLICATE', (primaries[n] as ClusterNode).id))))
  await everywhere(nodes, 'CLUSTER INFO', 'cluster_state:ok')
  await everywhere(replicas, 'INFO replication', 'master_link_status:up')
  await until(async () => {
    const views = await Promise.all(nodes.map(({ redis }) => redis.call('CLUSTER', 'SLOTS') as Promise<unknown[][]>))
    return views.every((ranges) => ranges.length === PRIMARIES && ranges.every((range) => range.length === 4))
  }, { timeout_ms: 20_000, what: 'every node knows every replica' })
}

async function everywhere (nodes: readonly ClusterNode[], command: string, line: string): Promise<void> {
  const [name, ...args] = command.split(' ') as [string, ...string[]]
  await Promise.all(nodes.map(({ redis }) => until(
    async () => (await redis.call(name, ...args) as string).includes(line),
    { timeout_ms: 20_000, interval_ms: 50, what: `${line} on every node` }
  )))
}

async function migrate (slot: number, source: ClusterNode, target: ClusterNode, primaries: readonly ClusterNode[],
  options: SlotMoveOptions): Promise<void> {
  const { onStep, keys_per_step: keysPerStep = 10 } = options
  await target.redis.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source.id)
  await source.redis.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target.id)
  let moved = 0
  await onStep?.(moved)
  for (;;) {
    const keys = await source.redis.call('CLUSTER', 'GETKEYSINSLOT', slot, keysPerStep) as string[]
    if (keys.length === 0) break
    await source.redis.call('MIGRATE', '127.0.0.1', target.server.port, '', 0, 5_000, 'KEYS', ...keys)
    moved += keys.length
    await onStep?.(moved)
  }
  // The new owner first: were it to die in between, nobody would own the slot.
  await target.redis.call('CLUSTER', 'SETSLOT', slot, 'NODE', target.id)
  await source.redis.call('CLUSTER', 'SETSLOT', slot, 'NODE', target.id)
  for (const other of primaries) {
    if (other !== source && other !== target) await other.redis.call('CLUSTER', 'SETSLOT', slot, 'NODE', target.id)
  }
}
