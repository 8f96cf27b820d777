// What a ProgressMonitor is made with, and the way out that follows from it.

import { HeadwayError } from '../protocol/errors.ts'
import { createHttpTransport } from './http-transport.ts'
import type { WorkerToken } from './http-transport.ts'
import { createRedisTransport } from './redis-transport.ts'
import type { RedisTransportParams } from './redis-transport.ts'
import type { Transport } from './transport.ts'

export type Log = RedisTransportParams['log']

export interface ProgressMonitorOptions {
  /** redis://, rediss://, a list for Cluster, redis+sentinel:// */
  redisUrl?: string
  /** Address of the gateways, instead of `redisUrl`: the worker then speaks HTTP. */
  gatewayUrl?: string
  /** For `gatewayUrl`: a token of the tenant with `jobs:write jobs:read`, or what gives a fresh one before every request. */
  token?: WorkerToken
  /** Another way out, instead of both. The monitor closes it. */
  transport?: Transport
  /** Default `default`. With `gatewayUrl` the token decides. */
  tenantId?: string
  /** HEADWAY_PREFIX of the deployment. Default `hw`. */
  prefix?: string
  /** Name of this worker in heartbeats. */
  worker?: string
  /** Between two heartbeats of a job in hand, ms; default 10,000. Less than the gateways' HEADWAY_STALL_AFTER_MS; 0 = none. */
  heartbeatMs?: number
  /** How long an event waits for others, ms. Default 5. */
  batchWindowMs?: number
  /** Events not stored yet. Default 8 MiB; as much again may wait outside. */
  bufferBytesMax?: number
  /** How long close() waits for what is not stored, ms. Default 10,000. */
  closeTimeoutMs?: number
  /** Default: warnings of the process. */
  log?: Log
}

/** Options of the source document, in both spellings: what does their work now. */
const REPLACED: Record<string, string> = {
  supabaseurl: 'SUPABASE_URL of the persister; a worker needs redisUrl or gatewayUrl',
  supabasekey: 'SUPABASE_SERVICE_ROLE_KEY of the persister; a worker needs redisUrl, or gatewayUrl with a token',
  wshost: 'WEBSOCKET_HOST of the gateway; a worker needs redisUrl or gatewayUrl',
  wsport: 'WEBSOCKET_PORT of the gateway; a worker needs redisUrl or gatewayUrl'
}

const say = (_: object, message: string): void => process.emitWarning(message, { type: 'HeadwayWarning' })
export const WARNINGS: Log = { debug () {}, info () {}, warn: say, error: say }

/** @throws HeadwayError invalid_config: none or two ways out, or an option that was replaced · invalid_field: a URL that cannot be read */
export function transportOf (options: ProgressMonitorOptions): Transport {
  for (const name of Object.keys(options)) {
    const replaced = REPLACED[name.replaceAll('_', '').toLowerCase()]
    if (replaced !== undefined) throw new HeadwayError('invalid_config', `ProgressMonitor has no option ${name} any more: set ${replaced}`)
  }
  const { redisUrl, gatewayUrl, token, transport, prefix, batchWindowMs, bufferBytesMax, log = WARNINGS } = options
  if (transport !== undefined) return transport
  if (redisUrl !== undefined && gatewayUrl !== undefined) {
    throw new HeadwayError('invalid_config', 'ProgressMonitor got redisUrl and gatewayUrl; give the one that events shall go to')
  }
  const common = { window_ms: batchWindowMs, buffer_bytes_max: bufferBytesMax, log }
  if (gatewayUrl !== undefined) return createHttpTransport({ ...common, gateway_url: gatewayUrl, token })
  if (redisUrl === undefined) {
    throw new HeadwayError('invalid_config', 'ProgressMonitor needs redisUrl, the Redis that the gateways use, or gatewayUrl, the address of the gateways')
  }
  return createRedisTransport({ ...common, redis_url: redisUrl, prefix })
}
