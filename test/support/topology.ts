// One suite, every topology: what passes on a single Redis must pass on a Cluster too.

import { randomBytes } from 'node:crypto'
import { Cluster, type Redis } from 'ioredis'
import type { Test } from 'tap'
import { startCluster, type RedisCluster } from './cluster.ts'
import { startRedis, type RedisServer } from './redis.ts'

export type TopologyName = 'single' | 'cluster'

interface Common {
  readonly name: TopologyName
  /** For `createEngine`: one URL, or the list of the Cluster's nodes. */
  readonly url: string
  /** A connection of the test's own; closed with the topology. */
  readonly redis: Redis | Cluster
  /** SCRIPT FLUSH wherever scripts may be loaded. */
  flushScripts (): Promise<void>
  stop (): Promise<void>
}

/** Either the one server or the Cluster. */
export type Topology = Common & (
  | { readonly cluster: null, readonly server: RedisServer }
  | { readonly cluster: RedisCluster, readonly server: null }
)

/** A prefix that no other test has: suites share a server without meeting. */
export function randomPrefix (): string {
  return `t${randomBytes(5).toString('hex')}`
}

/** Runs `suite` as a subtest on each topology; HEADWAY_TEST_TOPOLOGIES (`single,cluster`) narrows it. */
export async function onEachTopology (t: Test, suite: (t: Test, topology: Topology) => Promise<void>): Promise<void> {
  const wanted = (process.env['HEADWAY_TEST_TOPOLOGIES'] ?? 'single,cluster').split(',')
  for (const name of ['single', 'cluster'] as const) {
    await t.test(`on ${name}`, { skip: !wanted.includes(name) }, async (t) => {
      const topology = await startTopology(name)
      t.teardown(() => topology.stop())
      await suite(t, topology)
    })
  }
}

export async function startTopology (name: TopologyName): Promise<Topology> {
  return name === 'single' ? startSingle() : startClustered()
}

async function startSingle (): Promise<Topology> {
  const server = await startRedis()
  const redis = server.client()
  return {
    name: 'single',
    url: server.url,
    redis,
    cluster: null,
    server,
    flushScripts: async () => { await redis.script('FLUSH') },
    stop: () => server.stop()
  }
}

async function startClustered (): Promise<Topology> {
  const cluster = await startCluster()
  const redis = cluster.client()
  return {
    name: 'cluster',
    url: cluster.url,
    redis,
    cluster,
    server: null,
    flushScripts: async () => { await Promise.all(cluster.primaries.map((node) => node.redis.script('FLUSH'))) },
    stop: () => cluster.stop()
  }
}
