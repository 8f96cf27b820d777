// How many partitions a deployment has, their creation, and what follows a loss of data. `hw:config` is written by
// whoever starts first; a later start with another number is refused, since every job would be looked for elsewhere.

import { HeadwayError } from '../protocol/errors.ts'
import type { Connections, RedisClient } from './connections.ts'
import { configKey } from './keys.ts'
import type { Keys } from './keys.ts'
import { loadScript, replyOf } from './script.ts'

export const PARTITIONS_SINGLE = 8
/** With 8, two of six primaries would stay empty. */
export const PARTITIONS_CLUSTER = 64

const createScript = loadScript('create_partition.lua')
const bumpScript = loadScript('bump_epoch.lua')

/**
 * @param wanted undefined = whatever is stored, or the default of the topology
 * @throws HeadwayError invalid_field when it is no power of two, or differs from what is stored
 */
export async function agreeOnPartitions (connections: Connections, prefix: string, wanted?: number): Promise<number> {
  if (/[{}]/.test(prefix)) throw new HeadwayError('invalid_field', `HEADWAY_PREFIX must not contain braces: ${prefix}`)
  if (wanted !== undefined && (wanted < 1 || wanted > 4096 || (wanted & (wanted - 1)) !== 0)) {
    throw new HeadwayError('invalid_field', `HEADWAY_PARTITIONS must be a power of two from 1 to 4096; it is ${wanted}`)
  }
  const key = configKey(prefix)
  await connections.command.hsetnx(key, 'partitions', wanted ?? (connections.topology === 'cluster' ? PARTITIONS_CLUSTER : PARTITIONS_SINGLE))
  const stored = Number(await connections.command.hget(key, 'partitions'))
  if (wanted !== undefined && stored !== wanted) {
    throw new HeadwayError('invalid_field',
      `HEADWAY_PARTITIONS is ${wanted}, but the deployment at prefix ${prefix} was created with ${stored}. ` +
      `Set it to ${stored}, or choose another HEADWAY_PREFIX and let the old one drain.`)
  }
  return stored
}

/**
 * For workers: the deployment is created by gateways.
 *
 * @throws HeadwayError not_ready (temporary) while no gateway has run yet; invalid_field when `wanted` differs from what is stored
 */
export async function storedPartitions (connections: Connections, prefix: string, wanted?: number): Promise<number> {
  const stored = await connections.command.hget(configKey(prefix), 'partitions')
  if (stored === null) throw new HeadwayError('not_ready', `there is no deployment at prefix ${prefix} yet: start a gateway, or check the prefix`)
  if (wanted !== undefined && Number(stored) !== wanted) {
    throw new HeadwayError('invalid_field', `partitions is ${wanted}, but the deployment at prefix ${prefix} has ${stored}`)
  }
  return Number(stored)
}

/**
 * Idempotent.
 *
 * @param options hold_ms: the reducer waits so long for a persister that puts lost jobs back
 * @returns whether it was new (or had been wiped)
 */
export async function createPartition (
  redis: RedisClient, keys: Keys, partition: number, { now_ms = 0, hold_ms = 0 }: { now_ms?: number, hold_ms?: number } = {}
): Promise<boolean> {
  const [word] = replyOf(createScript, await createScript.run(redis, { ...keys.partition(partition) }, { now_ms, hold_ms }))
  return word === 'created'
}

/** Idempotent. @returns the partition's epoch after it */
export async function bumpEpoch (redis: RedisClient, keys: Keys, partition: number, now_ms = 0): Promise<number> {
  const [, epoch] = replyOf(bumpScript, await bumpScript.run(redis, { meta: keys.partition(partition).meta }, { now_ms }))
  return Number(epoch)
}
