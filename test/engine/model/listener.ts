// Hears every message of a partition's jobs and tenants, and knows when it has heard them all.

import type { Redis } from 'ioredis'
import type { Engine } from '../../../src/engine/engine.ts'
import type { Topology } from '../../support/topology.ts'
import type { World } from './world.ts'

export interface Heard { channel: string, message: string }

export interface Listener {
  /** What was published since the last call. */
  take (): Promise<Heard[]>
}

/** On a Cluster it listens at the primary that owns the partition's slot, and does not follow a move. */
export async function listen (topology: Topology, engine: Engine, world: World): Promise<Listener> {
  const channels = [...new Set(world.jobs.flatMap(({ tenant, job }) =>
    [engine.keys.job(tenant, job).key, engine.keys.tenantPrefix(world.partition) + tenant]))]
  const { redis, sharded } = await connectionTo(topology, channels[0] as string)
  let heard: Heard[] = []
  redis.on(sharded ? 'smessage' : 'message', (channel: string, message: string) => { heard.push({ channel, message }) })
  await (sharded ? redis.ssubscribe(...channels) : redis.subscribe(...channels))
  return {
    async take () {
      // Redis answers a connection in order: what was published before the PING stands before the PONG.
      await redis.ping()
      const taken = heard
      heard = []
      return taken
    }
  }
}

async function connectionTo ({ cluster, server }: Topology, channel: string): Promise<{ redis: Redis, sharded: boolean }> {
  if (cluster === null) return { redis: server.client(), sharded: false }
  const slot = await cluster.primaries[0]?.redis.cluster('KEYSLOT', channel)
  const owner = cluster.primaries[await cluster.ownerOf(slot ?? 0)]
  if (owner === undefined) throw new Error(`nobody owns the slot of ${channel}`)
  return { redis: owner.server.client(), sharded: true }
}
