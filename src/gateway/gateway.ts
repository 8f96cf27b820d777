// One gateway: the parts put together, listening on its two ports. The engine is given, started, and stays its owner's.

import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Engine } from '../engine/engine.ts'
import { createMonitor } from '../monitor/monitor.ts'
import { HeadwayError } from '../protocol/errors.ts'
import type { Archive } from '../archive/archive.ts'
import { createActions } from './actions.ts'
import { createAdmission } from './admission.ts'
import { buildApp, buildInternalApp } from './app.ts'
import { createAuth } from './auth.ts'
import { createHealth } from './health.ts'
import { createHub } from './hub.ts'
import { createJoin } from './join.ts'
import { createMetrics } from './metrics.ts'
import { createOriginPolicy } from './origin.ts'
import { createPage } from './page.ts'
import { createQuota } from './quotas.ts'
import { createReach } from './reach.ts'
import type { GatewaySettings } from './settings.ts'
import { createSockets } from './sockets.ts'
import { createStreams } from './streams.ts'
import { createTally } from './tally.ts'
import { createTickets } from './tickets.ts'

export interface GatewayOptions {
  /** Started; it must outlive the gateway. */
  engine: Engine
  config: GatewaySettings
  /** Where jobs are read that have left Redis; absent = nowhere. */
  archive?: Archive | null
  log: Logger
  /** Requests get spans. Default false. */
  traced?: boolean
}

export interface Gateway {
  /** Resolves when both ports listen. */
  start: () => Promise<{ port: number, internal_port: number }>
  /** Tells every socket when to come back, then closes. Idempotent. */
  stop: () => Promise<void>
}

/** What is answered after the stop has this long; so have connections on which nobody ever asked, as browsers open them ahead. */
const CLOSE_MS_MAX = 5_000

export function createGateway ({ engine, config, archive = null, log, traced = false }: GatewayOptions): Gateway {
  const auth = createAuth({ ...config, keep_user_tokens: archive?.asks_as_user === true })
  const origins = createOriginPolicy(config.allowed_origins)
  const reach = createReach(engine)
  const health = createHealth({ engine: reach })
  const services = { redis: () => reach.ping(), ...(archive === null ? {} : { database: async () => archive.answering() }) }
  const monitor = createMonitor({ log, services, build: { role: 'gateway', revision: config.revision } })
  const tally = createTally()
  const hub = createHub({ engine: reach, tally, progress_interval_ms: config.progress_interval_ms })
  const { tenant_messages_per_s: messagesPerS } = config
  const messages = createQuota({ of: 'messages', setting: 'HEADWAY_TENANT_MESSAGES_PER_S', per_s: messagesPerS, burst: 5 * messagesPerS })
  const actions = createActions({ engine: reach, messages, log })
  const admission = createAdmission({ config, origins, tally })
  const tickets = createTickets({ engine: reach, secret: config.jwt_secret })
  const join = createJoin({ hub, archive })
  const sockets = createSockets({ hub, join, auth, tickets, actions, admission, config, tally, log })
  const streams = createStreams(config)
  const metrics = createMetrics({ engine, tally, connections: admission.count, rooms: hub.rooms, ready: health.ready })
  metrics.add(monitor)
  const apps: FastifyInstance[] = []
  let stopped: Promise<void> | undefined

  async function listen (app: FastifyInstance, setting: string, host: string, port: number): Promise<number> {
    apps.push(app)
    try {
      await app.listen({ host, port })
    } catch (cause) {
      const reason = (cause as { code?: string }).code === 'EADDRINUSE' ? 'is taken by another process' : `cannot be listened on (${String(cause)})`
      throw new HeadwayError('invalid_config', `Port ${port} of ${host} ${reason}: set ${setting} to another one, or to 0 for any.`, { cause })
    }
    return (app.server.address() as AddressInfo).port
  }

  async function start (): Promise<{ port: number, internal_port: number }> {
    const page = config.dashboard ? createPage() : null
    const internal = buildInternalApp({ config, log: log as FastifyBaseLogger, health, metrics, details: monitor.state })
    const parts = { engine: reach, hub, join, archive }
    const ways = { sockets, streams, admission, tickets, page }
    const app = await buildApp({
      ...parts, ...ways, config, log: log as FastifyBaseLogger, auth, origins, health, metrics, tally, traced
    })
    await Promise.all([health.start(), monitor.start()])
    hub.start()
    sockets.start()
    return {
      internal_port: await listen(internal, 'HEADWAY_INTERNAL_PORT', config.internal_host, config.internal_port),
      port: await listen(app, 'WEBSOCKET_PORT', config.websocket_host, config.websocket_port)
    }
  }

  async function shutDown (): Promise<void> {
    health.stop()
    if (apps.length > 0) await delay(config.drain_delay_ms)
    admission.close()
    await Promise.all([sockets.stop(), streams.stop()])
    hub.stop()
    monitor.stop()
    await Promise.all(apps.map(closeSoon))
  }

  return {
    start,
    stop () {
      stopped ??= shutDown()
      return stopped
    }
  }
}

/** Node closes connections that have been used; others would hold it for more than a minute. */
async function closeSoon (app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), CLOSE_MS_MAX)
  await app.close()
  clearTimeout(timer)
}
