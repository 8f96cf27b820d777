// Who is told at once that entries came in: a blocking XREADGROUP on the ingest streams, as a wake-up only (NOACK, the
// reducer sets the group's position). The first free gateway wins, so one that is not scheduled delays nobody.
// A wake swallowed by a dying process is covered by every gateway's sweep.

import { Redis } from 'ioredis'
import type { Connections, Log, RedisClient } from './connections.ts'
import { WAKE_CONSUMER, WAKE_GROUP } from './keys.ts'
import type { Keys } from './keys.ts'

export interface Wake { start (): void, stop (): void }

export interface WakeParams {
  connections: Connections
  keys: Keys
  log: Log
  /** Called with a partition that has entries; resolves when a first call has been made for it. */
  woken: (partition: number) => Promise<void>
}

const BLOCK_MS = 5000
const RETRY_MS = 250
/** Blocking connections of one gateway on a Cluster, one a partition; the sweep covers partitions beyond. */
const CLUSTER_CONNECTIONS_MAX = 64

type Streams = [stream: string, entries: unknown][] | null

export function createWake ({ connections, keys, log, woken }: WakeParams): Wake {
  let stopped = true
  const clients = new Set<RedisClient>()

  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())).unref())

  async function block (client: RedisClient, partitions: number[]): Promise<void> {
    const streams = partitions.map((n) => keys.partition(n).ingest)
    const reply = await client.xreadgroup('GROUP', WAKE_GROUP, WAKE_CONSUMER, 'COUNT', 1, 'BLOCK', BLOCK_MS, 'NOACK',
      'STREAMS', ...streams, ...streams.map(() => '>')) as Streams
    if (reply) await Promise.all(reply.map(([stream]) => woken(partitions[streams.indexOf(stream)] as number)))
  }

  async function loop (open: () => Promise<RedisClient>, partitions: number[]): Promise<void> {
    let client: RedisClient | undefined
    while (!stopped) {
      try {
        client ??= await open()
        clients.add(client)
        await block(client, partitions)
      } catch (error) {
        if (stopped) break
        log.debug({ event: 'wake_failed', err: error }, 'blocked read failed; the sweep covers it')
        if (client && connections.topology === 'cluster') {
          clients.delete(client)
          client.disconnect()
          client = undefined
        }
        await pause()
      }
    }
    client?.disconnect()
  }

  /** A connection to the primary that owns the partition's slot: a Cluster client would block its shared one. */
  async function openAtOwner (partition: number): Promise<RedisClient> {
    const slot = Number(await connections.command.call('CLUSTER', 'KEYSLOT', keys.partition(partition).ingest))
    const ranges = await connections.command.call('CLUSTER', 'SLOTS') as [number, number, [string, number]][]
    const range = ranges.find(([from, to]) => from <= slot && slot <= to)
    if (!range) throw new Error(`no primary owns slot ${slot}`)
    const options = 'options' in connections.command ? (connections.command.options as { redisOptions?: object }).redisOptions : {}
    const [host, port] = range[2]
    const client = new Redis({ ...options, commandTimeout: undefined, host, port, maxRetriesPerRequest: 0, retryStrategy: null } as object)
    client.on('error', () => {})
    return client
  }

  return {
    start () {
      if (!stopped) return
      stopped = false
      const all = Array.from({ length: keys.partitions }, (_, n) => n)
      if (connections.topology === 'single') {
        void loop(async () => connections.open({ maxRetriesPerRequest: null }), all)
        return
      }
      const chosen = all.map((n) => ({ n, at: Math.random() })).sort((a, b) => a.at - b.at).slice(0, CLUSTER_CONNECTIONS_MAX)
      for (const { n } of chosen) void loop(async () => await openAtOwner(n), [n])
    },
    stop () {
      stopped = true
      for (const client of clients) client.disconnect()
      clients.clear()
    }
  }
}
