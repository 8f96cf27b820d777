// The composition root of a role: configuration, engine, gateway, put together here and nowhere else, stopped in
// reverse. Knows nothing of command lines and signals; those are src/cli's.

import { setTimeout as delay } from 'node:timers/promises'
import { pino, type DestinationStream, type Logger } from 'pino'
import { engineOptions, sinkOf } from './config/engine-options.ts'
import { loadConfig, unknownSettings, type Environment } from './config/load.ts'
import { createEngine, type Engine } from './engine/engine.ts'
import { createGateway } from './gateway/gateway.ts'
import { HeadwayError } from './protocol/errors.ts'

const REDIS_RETRY_MS = 1000
const ERROR_DEPTH_MAX = 4
const SINK_UNREAD = 'SUPABASE_URL turns the outbox on, but this version has no persister yet: finished jobs stay in Redis, the outbox fills up to its bound. ' +
  'HEADWAY_SINK=none turns it off.'

export interface RunningGateway {
  port: number
  internal_port: number
  /** Idempotent: sockets are told when to come back, then Redis is let go. */
  stop (): Promise<void>
}

/**
 * @param env usually process.env
 * @param signal aborted = stop waiting for Redis; the promise then rejects
 * @throws ConfigError with every fault of the configuration
 * @throws HeadwayError when Redis holds another deployment than configured; a retry cannot help
 */
export async function runGateway (env: Environment, signal: AbortSignal): Promise<RunningGateway> {
  const config = loadConfig(env)
  const log = createLog(config.log_level)
  if (sinkOf(config) === 'supabase') log.warn({ event: 'sink_unread' }, SINK_UNREAD)
  for (const name of unknownSettings(env)) log.warn({ event: 'unknown_setting', name }, `${name} is no setting of Headway; see --help`)
  const engine = createEngine({ ...engineOptions(config), log })
  const gateway = createGateway({ engine, config, log })
  let stopped: Promise<void> | undefined

  async function shutDown (): Promise<void> {
    await gateway.stop()
    await engine.stop()
    log.info({ event: 'stopped' }, 'stopped')
  }
  function stop (): Promise<void> {
    stopped ??= shutDown()
    return stopped
  }

  try {
    await startEngine(engine, log, signal)
    const { port, internal_port: internalPort } = await gateway.start()
    log.info({ event: 'listening', port, internal_port: internalPort }, `listening on ${config.websocket_host}:${port}`)
    return { port, internal_port: internalPort, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** @param destination default: standard output */
export function createLog (level: string, destination: DestinationStream = pino.destination(1)): Logger {
  return pino({ level, base: { role: 'gateway', pid: process.pid }, serializers: { err: errorForLog } }, destination)
}

function errorForLog (error: unknown): unknown {
  return withoutCommand(error instanceof Error ? pino.stdSerializers.err(error) : error, ERROR_DEPTH_MAX)
}

/** Errors of Redis hold what it was asked, the errors that they wrap too: passwords, and what users sent. */
function withoutCommand (value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) return '[deeper]'
  if (Array.isArray(value)) return value.map(one => withoutCommand(one, depth - 1))
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'command').map(([name, one]) => [name, withoutCommand(one, depth - 1)]))
}

/** Redis may come later than its gateways; a wrong deployment does not get right by waiting. */
async function startEngine (engine: Engine, log: Logger, signal: AbortSignal): Promise<void> {
  while (true) {
    try {
      return await engine.start()
    } catch (error) {
      if (signal.aborted || (error instanceof HeadwayError && !error.temporary)) throw error
      log.warn({ event: 'redis_awaited', err: error }, `Redis is not there yet: ${error instanceof Error ? error.message : String(error)}`)
      await delay(REDIS_RETRY_MS, undefined, { signal })
    }
  }
}
