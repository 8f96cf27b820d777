// Builds the HTTP server of a gateway and does not listen: parsing, errors, guard, routes.

import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import type { Archive } from '../archive/archive.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { EVENTS_PER_POST_MAX } from '../protocol/limits.ts'
import { validatorCompiler } from '../protocol/schema/validate.ts'
import { refuseOtherMethods } from './allowed-methods.ts'
import type { Admission } from './admission.ts'
import type { Auth } from './auth.ts'
import { registerGuard } from './guard.ts'
import type { Health } from './health.ts'
import type { Hub } from './hub.ts'
import type { Join } from './join.ts'
import type { Metrics } from './metrics.ts'
import { parseJson } from './json.ts'
import { registerOnce } from './once.ts'
import { registerOpenApi } from './openapi.ts'
import type { OriginPolicy } from './origin.ts'
import type { Page } from './page.ts'
import { answerError, sendProblem, toHeadwayError } from './problem.ts'
import { createQuota, type Quota } from './quotas.ts'
import type { Reach } from './reach.ts'
import { registerBatchRoute } from './routes/batch.ts'
import { registerControlRoute } from './routes/control.ts'
import { registerEventsRoute } from './routes/events.ts'
import { registerHealthRoutes } from './routes/health.ts'
import { registerMetricsRoute } from './routes/metrics.ts'
import { registerJobRoutes } from './routes/jobs.ts'
import { registerTenantEventsRoute } from './routes/tenant-events.ts'
import { registerTicketRoute } from './routes/tickets.ts'
import { correlationOf } from './routes/replies.ts'
import { registerWorkerRoutes } from './routes/worker-calls.ts'
import type { GatewaySettings } from './settings.ts'
import type { Sockets } from './sockets.ts'
import type { Streams } from './streams.ts'
import { countOne, type Tally } from './tally.ts'
import type { Tickets } from './tickets.ts'
import { traceRequests } from './trace-requests.ts'

/** Node's own 60 and 300 s let slow senders hold connections. */
const HEADERS_MS_MAX = 10_000
const REQUEST_MS_MAX = 30_000
/** Longer than the idle time-outs of the usual balancers, which else reuse a connection that is being closed. */
const KEEP_ALIVE_MS = 75_000
/** An id of 128 characters with each of them percent-encoded. */
const PARAM_LENGTH_MAX = 384

export interface AppOptions {
  engine: Reach
  config: GatewaySettings
  log: FastifyBaseLogger
  auth: Auth
  origins: OriginPolicy
  hub: Hub
  join: Join
  /** Null = jobs that have left Redis are unknown. */
  archive: Archive | null
  sockets: Sockets
  streams: Streams
  admission: Admission
  health: Health
  metrics: Metrics
  tally: Tally
  tickets: Tickets
  /** Null = no dashboard. */
  page: Page | null
  /** Requests get spans. */
  traced: boolean
}

export async function buildApp (options: AppOptions): Promise<FastifyInstance> {
  const { engine, config, auth, origins, hub, join, archive, sockets, streams, admission, tickets, page } = options
  const app = bareApp(config, options.log)
  if (options.traced) traceRequests(app)
  app.addHook('onResponse', async ({ routeOptions: { url = 'none' } }, { statusCode }) => countOne(options.tally.answered, `${url} ${statusCode}`))
  await registerOpenApi(app)
  const refuseOthers = refuseOtherMethods(app)
  await sockets.register(app, (request, reply) => {
    if (page === null) throw new HeadwayError('upgrade_required', 'This address speaks WebSocket; the dashboard is off.')
    return page.index(request, reply)
  })
  const { requests, events } = quotasOf(config)
  registerGuard(app, { auth, origins, requests, events })
  registerOnce(app, { engine })
  registerJobRoutes(app, { engine, hub, archive })
  registerControlRoute(app, { engine })
  registerWorkerRoutes(app, { engine })
  await registerBatchRoute(app, { engine, events })
  registerTicketRoute(app, { tickets })
  const { ping_interval_ms: heartbeatMs, socket_queue_bytes_max: queueMax, behind_ms_max: behindMax } = config
  const streaming = { auth, streams, admission, tickets, heartbeat_ms: heartbeatMs, queue_bytes_max: queueMax, behind_ms_max: behindMax }
  registerEventsRoute(app, { join, ...streaming })
  registerTenantEventsRoute(app, { hub, ...streaming })
  page?.register(app)
  if (config.public_probes) registerProbes(app, options)
  refuseOthers()
  return app
}

/** The port that only the inside sees. */
/** @param options details: told by /readyz beside the status */
export function buildInternalApp (options: Pick<AppOptions, 'config' | 'log' | 'health' | 'metrics'> & { details?: () => object }): FastifyInstance {
  const app = bareApp(options.config, options.log)
  registerProbes(app, options)
  return app
}

function registerProbes (app: FastifyInstance, { health, metrics, details }: Pick<AppOptions, 'health' | 'metrics'> & { details?: () => object }): void {
  registerHealthRoutes(app, health, details)
  registerMetricsRoute(app, metrics)
}

function bareApp (config: GatewaySettings, log: FastifyBaseLogger): FastifyInstance {
  const app = Fastify({
    // What Fastify says by itself below a warning has no event, and is said by others: where it listens.
    loggerInstance: log.child({}, { level: ['error', 'fatal', 'silent'].includes(log.level) ? log.level : 'warn' }),
    // Fastify's own request log and serializer hold the query string, and with it tokens.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'req_id' }),
    bodyLimit: config.body_bytes_max,
    trustProxy: proxiesOf(config.trust_proxy),
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    http: {
      headersTimeout: HEADERS_MS_MAX,
      // Other upgrades (h2c) are answered as if they had not been asked for.
      shouldUpgradeCallback: request => request.headers.upgrade?.toLowerCase() === 'websocket'
    },
    frameworkErrors: (error, _request, reply) => { sendProblem(reply, toHeadwayError(error)) }
  })
  app.setValidatorCompiler(({ schema, httpPart }) => validatorCompiler({ schema, httpPart }))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => parseJson(body))
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new HeadwayError('not_found', 'There is nothing at this address.')))
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions: { url }, id } = request
    const duration = Math.round(reply.elapsedTime)
    const of = { req_id: id, correlation_id: correlationOf(request), method, route: url }
    log.debug({ event: 'http_request', ...of, status: reply.statusCode, duration_ms: duration }, 'a request was answered')
  })
  return app
}

function quotasOf ({ tenant_requests_per_s: requestsPerS, tenant_events_per_s: eventsPerS }: GatewaySettings): Record<'requests' | 'events', Quota> {
  return {
    requests: createQuota({ of: 'requests', setting: 'HEADWAY_TENANT_REQUESTS_PER_S', per_s: requestsPerS, burst: 2 * requestsPerS }),
    events: createQuota({ of: 'events', setting: 'HEADWAY_TENANT_EVENTS_PER_S', per_s: eventsPerS, burst: Math.max(eventsPerS, EVENTS_PER_POST_MAX) })
  }
}

/** off, on, or the addresses of the proxies */
function proxiesOf (setting: string): boolean | string {
  if (setting === 'off') return false
  return setting === 'on' ? true : setting
}
