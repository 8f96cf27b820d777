// The composition root of a role: configuration, engine, gateway or persister, put together here and nowhere else, stopped in
// reverse. Knows nothing of command lines and signals; those are src/cli's.

import { setTimeout as delay } from 'node:timers/promises'
import { pino, type DestinationStream, type Logger } from 'pino'
import { createArchive } from './archive/archive.ts'
import { archiveOptions, engineOptions, persisterSettings, sinkFaults, sinkOf, tracesUrlOf } from './config/engine-options.ts'
import { aliasesUsed, ConfigError, loadConfig, unknownSettings, type Environment } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { createEngine, type Engine } from './engine/engine.ts'
import { createGateway } from './gateway/gateway.ts'
import { createMonitor } from './monitor/monitor.ts'
import { createPersister, type Persister } from './persister/persister.ts'
import { createPostgresSink } from './persister/postgres-sink.ts'
import { createProbes, type Probes } from './persister/probes.ts'
import { requireSchema } from './persister/schema-check.ts'
import type { Sink } from './persister/sink.ts'
import { createSupabaseSink } from './persister/supabase-sink.ts'
import { HeadwayError } from './protocol/errors.ts'
import type { Tracing } from './tracing/sdk.ts'
import { spanFields } from './tracing/trace.ts'

const REDIS_RETRY_MS = 1000
const ERROR_DEPTH_MAX = 4
const SINK_TOLD = 'ended jobs wait in Redis for a persister (headway persister); HEADWAY_SINK=none does without'

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
  const log = createLog(config.log_level, 'gateway')
  const tracing = await traces(config, 'headway-gateway', log)
  if (sinkOf(config) !== 'none') log.info({ event: 'sink', sink: sinkOf(config) }, SINK_TOLD)
  tellOddSettings(env, log)
  const engine = createEngine({ ...engineOptions(config), log })
  const reads = archiveOptions(config)
  const gateway = createGateway({ engine, config, archive: reads === null ? null : createArchive(reads), log, traced: tracing !== null })
  const stop = once(async () => {
    await gateway.stop()
    await engine.stop()
    await tracing?.stop()
    log.info({ event: 'stopped' }, 'stopped')
  })

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

export interface RunningPersister {
  internal_port: number
  /** Idempotent: what is under way is left to the next persister. */
  stop (): Promise<void>
}

/**
 * @param env usually process.env
 * @param signal aborted = stop waiting for Redis; the promise then rejects
 * @throws ConfigError with every fault of the configuration
 * @throws HeadwayError when Redis holds another deployment than configured, or the database an older schema; a retry cannot help
 */
export async function runPersister (env: Environment, signal: AbortSignal): Promise<RunningPersister> {
  const config = loadConfig(env, ['HEADWAY_JWT_SECRET'])
  const sink = openSink(config)
  const log = createLog(config.log_level, 'persister')
  const tracing = await traces(config, 'headway-persister', log)
  tellOddSettings(env, log)
  const engine = createEngine({ ...engineOptions(config), log })
  let persister: Persister | undefined
  let probes: Probes | undefined
  const monitor = createMonitor({
    log,
    build: { role: 'persister', revision: config.revision },
    services: { redis: () => engine.ping(), database: async () => persister === undefined ? null : persister.meters.fault === null }
  })
  const stopping = new AbortController()
  const stop = once(async () => {
    stopping.abort()
    monitor.stop()
    await persister?.stop()
    await probes?.stop()
    await engine.stop()
    await tracing?.stop()
    log.info({ event: 'stopped' }, 'stopped')
  })

  try {
    probes = createProbes({ persister: () => persister, ping: () => engine.ping(), details: monitor.state })
    const internalPort = await probes.start(config.internal_host, config.internal_port)
    await requireSchema(sink, log, AbortSignal.any([signal, stopping.signal]))
    await startEngine(engine, log, signal, { drain: false })
    persister = createPersister({ engine, sink, log, settings: persisterSettings(config), inbound: config.inbound })
    monitor.register(persister.meters.registry)
    await persister.start()
    await monitor.start()
    log.info({ event: 'listening', internal_port: internalPort }, `probes and metrics on ${config.internal_host}:${internalPort}`)
    return { internal_port: internalPort, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function tellOddSettings (env: Environment, log: Logger): void {
  for (const name of unknownSettings(env)) log.warn({ event: 'unknown_setting', name }, `${name} is no setting of Headway; see --help`)
  for (const sentence of aliasesUsed(env)) log.warn({ event: 'old_setting' }, sentence)
}

/** The SDK is loaded only when spans are wanted. */
async function traces (config: Config, role: string, log: Logger): Promise<Tracing | null> {
  const url = tracesUrlOf(config)
  if (url === null) return null
  const { startTracing } = await import('./tracing/sdk.ts')
  const { host } = new URL(url)
  log.info({ event: 'tracing', collector: host }, `spans go to ${host}`)
  return startTracing({ url, service: config.otel_service_name || role, log })
}

/** Whoever asks, and however often: it is done one time. */
function once (run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= run())
}

/** @throws ConfigError when what the sink needs is not given */
function openSink (config: Config): Sink {
  const missing = sinkFaults(config)
  if (missing.length > 0) throw new ConfigError(missing)
  if (sinkOf(config) === 'postgres') return createPostgresSink({ url: config.postgres_url })
  return createSupabaseSink({ url: config.supabase_url, key: config.supabase_service_role_key })
}

/** @param destination default: standard output */
export function createLog (level: string, role: string, destination: DestinationStream = pino.destination(1)): Logger {
  return pino({ level, base: { role, pid: process.pid }, serializers: { err: errorForLog }, mixin: spanFields }, destination)
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
async function startEngine (engine: Engine, log: Logger, signal: AbortSignal, options?: { drain: boolean }): Promise<void> {
  while (true) {
    try {
      return await engine.start(options)
    } catch (error) {
      if (signal.aborted || (error instanceof HeadwayError && !error.temporary)) throw error
      log.warn({ event: 'redis_awaited', err: error }, `Redis is not there yet: ${error instanceof Error ? error.message : String(error)}`)
      await delay(REDIS_RETRY_MS, undefined, { signal })
    }
  }
}
