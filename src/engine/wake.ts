// Who reduces an entry that came in: for each partition one connection waits in a blocking XREADGROUP on its ingest stream, as a wake-up
// only (NOACK, the reducer sets the group's position), and the call of the reducer stands behind it in the same connection (drain.ts).
// So Redis wakes itself: the first gateway in its line wins, and one that is not scheduled delays nobody.
// A wake swallowed by a dying connection is covered by every gateway's sweep.

import { Redis } from 'ioredis'
import type { Connections, Log, RedisClient } from './connections.ts'
import type { Keys } from './keys.ts'

export interface Wake { start (): void, stop (): void }

export interface WakeParams {
  connections: Connections
  keys: Keys
  log: Log
  /**
   * Waits on this connection until the partition has entries, and reduces them. @returns false when the partition stands still
   * @throws when the connection is of no use
   */
  reduceNext: (partition: number, redis: RedisClient, block_ms: number) => Promise<boolean>
}

const BLOCK_MS = 5000
const RETRY_MS = 250
/** A line that has not answered for so long is dead. One look at all now and then costs less than a timer for every wait. */
const SILENT_MS_MAX = 2 * BLOCK_MS
/** Connections of one gateway, one a partition; the sweep covers partitions beyond. */
const CONNECTIONS_MAX = 256

export function createWake ({ connections, keys, log, reduceNext }: WakeParams): Wake {
  let stopped = true
  /** Each with when its wait began, monotonic ms. */
  const clients = new Map<RedisClient, number>()
  let looking: NodeJS.Timeout | undefined

  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())).unref())

  async function loop (partition: number): Promise<void> {
    let client: RedisClient | undefined
    while (!stopped) {
      try {
        client ??= await open(partition)
        clients.set(client, performance.now())
        if (!await reduceNext(partition, client, BLOCK_MS)) await pause()
        // What was published comes first: sockets are written in this turn (gateway/post.ts), the next wait costs as much as such a write.
        await new Promise(setImmediate)
      } catch (error) {
        if (stopped) break
        log.debug({ event: 'wake_failed', partition, err: error }, 'blocked read failed; the sweep covers it')
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

  /** A machine that is gone says no goodbye: what waited there waits again on another line. */
  function look (): void {
    const longAgo = performance.now() - SILENT_MS_MAX
    for (const [client, since] of clients) {
      if (since > longAgo || client.status !== 'ready') continue
      clients.set(client, performance.now())
      client.disconnect(true)
    }
  }

  async function open (partition: number): Promise<RedisClient> {
    return connections.topology === 'single' ? connections.open({ maxRetriesPerRequest: null }) : await openAtOwner(partition)
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
      looking = setInterval(look, BLOCK_MS).unref()
      const all = Array.from({ length: keys.partitions }, (_, n) => ({ n, at: Math.random() }))
      for (const { n } of all.sort((a, b) => a.at - b.at).slice(0, CONNECTIONS_MAX)) void loop(n)
    },
    stop () {
      stopped = true
      clearInterval(looking)
      for (const client of clients.keys()) client.disconnect()
      clients.clear()
    }
  }
}
