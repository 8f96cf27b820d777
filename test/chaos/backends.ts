// What a run's Redis is: one server, one that keeps what it is told on disk, three under Sentinel, or a Cluster.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { partitionOf } from '../../src/protocol/partition.ts'
import { TENANT } from '../e2e/support.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startCluster } from '../support/cluster.ts'
import { freePorts } from '../support/ports.ts'
import { redisBinary, startRedis, type RedisServer } from '../support/redis.ts'
import { until } from '../support/wait.ts'

export type BackendName = 'plain' | 'durable' | 'sentinel' | 'cluster'

export interface Backend {
  /** For gateways and workers. */
  readonly url: string
  /** The primary that holds the job. */
  primaryOf (job: string): Promise<RedisServer>
  /** SIGKILL, then again on the same port and folder; only `durable`. */
  restart (): Promise<void>
  stop (): Promise<void>
}

const SENTINEL_NAME = 'headway'
/** Quick enough for a run, slow enough for a busy machine. */
const SENTINEL_DOWN_MS = 1_000
/** A failover must find replicas that are in step, and not wait for them to be. */
const REPLICATION = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']

export async function startBackend (name: BackendName): Promise<Backend> {
  if (name === 'sentinel') return await startSentinel()
  if (name === 'cluster') return await startClustered()
  return await startSingle(name === 'durable')
}

async function startSingle (durable: boolean): Promise<Backend> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-chaos-redis-'))
  const flags = durable ? ['--appendonly', 'yes', '--appendfsync', 'everysec'] : []
  let server = await startRedis({ dir, flags })
  return {
    url: server.url,
    primaryOf: async () => server,
    async restart () {
      await server.kill()
      server = await startRedis({ port: server.port, dir, flags })
    },
    async stop () {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}

async function startSentinel (): Promise<Backend> {
  const dir = mkdtempSync(join(tmpdir(), 'headway-chaos-sentinel-'))
  const servers: RedisServer[] = []
  const sentinels: GuardedChild[] = []
  const stop = async (): Promise<void> => {
    await Promise.all([...sentinels.map(child => child.end('SIGKILL')), ...servers.map(server => server.stop())])
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    const primary = await startRedis({ flags: REPLICATION })
    servers.push(primary)
    for (let n = 0; n < 2; n++) servers.push(await startRedis({ flags: ['--replicaof', '127.0.0.1', String(primary.port), ...REPLICATION] }))
    await Promise.all(servers.slice(1).map(server => inStep(server)))
    const ports = await freePorts(3)
    for (const port of ports) sentinels.push(await startOneSentinel(dir, port, primary.port))
    await Promise.all(ports.map(port => knowsAll(port)))
    return {
      url: `redis+sentinel://${ports.map(port => `127.0.0.1:${port}`).join(',')}/${SENTINEL_NAME}`,
      primaryOf: async () => primary,
      restart: () => Promise.reject(new Error('only a durable Redis is restarted')),
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function inStep (server: RedisServer): Promise<void> {
  const redis = server.client()
  await until(async () => (await redis.info('replication')).includes('master_link_status:up'), { what: 'a replica follows', timeout_ms: 20_000 })
}

async function startOneSentinel (dir: string, port: number, primaryPort: number): Promise<GuardedChild> {
  const file = join(dir, `sentinel-${port}.conf`)
  writeFileSync(file, [
    `port ${port}`, 'bind 127.0.0.1', `dir ${dir}`,
    `sentinel monitor ${SENTINEL_NAME} 127.0.0.1 ${primaryPort} 2`,
    `sentinel down-after-milliseconds ${SENTINEL_NAME} ${SENTINEL_DOWN_MS}`,
    `sentinel failover-timeout ${SENTINEL_NAME} 5000`, ''
  ].join('\n'))
  return await spawnGuarded(redisBinary(), [file, '--sentinel'])
}

/** Both replicas and both other sentinels, or it could not elect anybody. */
async function knowsAll (port: number): Promise<void> {
  const { Redis } = await import('ioredis')
  const redis = new Redis({ port, host: '127.0.0.1' })
  redis.on('error', () => {})
  try {
    await until(async () => {
      const [line = ''] = /^master0:.*$/m.exec(await redis.info('sentinel')) ?? []
      return line.includes('status=ok,') && line.includes('slaves=2,') && line.includes('sentinels=3')
    }, { what: 'a sentinel knows all others', timeout_ms: 30_000, interval_ms: 50 })
  } finally {
    redis.disconnect()
  }
}

async function startClustered (): Promise<Backend> {
  const cluster = await startCluster()
  const client = cluster.client()
  return {
    url: cluster.url,
    async primaryOf (job) {
      const partitions = Number(await client.hget('hw:config', 'partitions'))
      const slot = await client.cluster('KEYSLOT', `{p${partitionOf(TENANT, job, partitions)}}`)
      const node = cluster.primaries[await cluster.ownerOf(slot)]
      if (node === undefined) throw new Error(`no primary holds ${job}`)
      return node.server
    },
    restart: () => Promise.reject(new Error('only a durable Redis is restarted')),
    stop: () => cluster.stop()
  }
}
