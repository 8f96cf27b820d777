// What every HTTP route passes: its scope, and the rules of browsers. A route of /v1 without a scope cannot be registered.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'
import { type Auth, bearerOf, type Identity, requireScope, type Scope } from './auth.ts'
import type { OriginPolicy } from './origin.ts'
import type { Quota } from './quotas.ts'

const CORS_HEADERS = {
  'access-control-allow-methods': 'GET, POST, PUT',
  'access-control-allow-headers': 'authorization, content-type, idempotency-key, last-event-id, x-correlation-id',
  'access-control-max-age': '600'
}

declare module 'fastify' {
  interface FastifyRequest { identity: Identity | null }
  interface FastifyContextConfig { scope?: Scope, stream?: true }
}

export interface GuardOptions {
  auth: Auth
  origins: OriginPolicy
  /** Of every request with a token. */
  requests: Quota
  /** Of each that writes as a worker; one with many events takes the others itself. */
  events: Quota
}

export function registerGuard (app: FastifyInstance, { auth, origins, requests, events }: GuardOptions): void {
  app.decorateRequest('identity', null)

  app.addHook('onRoute', ({ url, method, config }) => {
    const { scope, socket, stream, refusal } = config ?? {}
    if (url.startsWith('/v1/') && method !== 'OPTIONS' && scope === undefined && !(socket ?? stream ?? refusal)) {
      throw new Error(`the route ${String(method)} ${url} has no scope`)
    }
  })

  app.addHook('onRequest', async (request, reply) => {
    if (!request.ws) allowOrigin(request, reply)
    const { scope } = request.routeOptions.config
    if (scope === undefined) return
    const token = bearerOf(request.headers.authorization)
    if (token === null) throw new HeadwayError('unauthorized', 'Send Authorization: Bearer <token>.')
    request.identity = await auth.verify(token)
    requireScope(request.identity, scope)
    reply.header('cache-control', 'no-store')
    requests.take(request.identity.tenant_id)
    if (scope === 'jobs:write') events.take(request.identity.tenant_id)
  })

  app.options('/v1/*', async (request, reply) => {
    if (!origins.permits(request.headers.origin, request.host)) {
      throw new HeadwayError('forbidden', 'Pages of this origin may not connect; see HEADWAY_ALLOWED_ORIGINS.')
    }
    return reply.headers(CORS_HEADERS).code(204).send()
  })

  // Tokens travel in a header that a foreign page cannot set without asking first, so that withholding these headers is enough.
  function allowOrigin (request: FastifyRequest, reply: FastifyReply): void {
    const { origin } = request.headers
    reply.header('vary', 'origin')
    if (origin === undefined || !origins.permits(origin, request.host)) return
    reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', 'idempotency-replayed, location, retry-after')
  }
}

/** @throws HeadwayError unauthorized; only when a route forgot its scope */
export function identityOf (request: FastifyRequest): Identity {
  if (request.identity === null) throw new HeadwayError('unauthorized', 'A token is needed.')
  return request.identity
}
