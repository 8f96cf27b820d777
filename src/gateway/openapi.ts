// The description of the HTTP interface, made from the routes themselves, at /openapi.json, and a page that shows it at /docs.
// A route gives its schemas and the codes of its own; what all have in common is added here.

import swagger, { type SwaggerTransformObject } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig, FastifyInstance, FastifySchema } from 'fastify'
import { VERSION } from '../monitor/build.ts'
import { type ErrorCode, ERRORS } from '../protocol/errors.ts'
import { groupBy } from '../protocol/ponyfills.ts'
import { problemReply } from '../protocol/schema/replies.ts'

declare module 'fastify' {
  /** `codes`: refusals of this route, beyond those that its scope and method bring. */
  interface FastifyContextConfig { codes?: readonly ErrorCode[] }
}

const OF_ALL: readonly ErrorCode[] = ['internal']
const OF_TOKENS: readonly ErrorCode[] = ['unauthorized', 'token_expired', 'forbidden', 'too_many_requests', 'redis_unavailable']
const OF_BODIES: readonly ErrorCode[] = ['malformed_json', 'invalid_field', 'invalid_utf8', 'too_deep', 'body_too_large', 'unsupported_media_type']
const OF_KEYS: readonly ErrorCode[] = ['idempotency_conflict', 'idempotency_mismatch']

/** Of the one text that the page's bundle inserts as a style; else it styles by script. An upgrade may change it: the test tells. */
const BUNDLE_STYLE = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"

const POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", BUNDLE_STYLE],
  'img-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"]
}

/** Before the routes. */
export async function registerOpenApi (app: FastifyInstance): Promise<void> {
  // The schemas describe answers; they do not shape them, or a field that one forgot would be cut off.
  app.setSerializerCompiler(() => data => JSON.stringify(data))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Headway',
        version: VERSION,
        description: 'Live progress of long jobs: what workers and users send and read over HTTP. Version 1 only adds: ignore fields that you do not know.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string }
      },
      tags: [
        { name: 'jobs', description: 'Reading jobs, their items and what happened.' },
        { name: 'control', description: 'What users want of a job.' },
        { name: 'worker', description: 'What workers report. Every answer carries `control`.' },
        { name: 'live', description: 'Streams, and tickets for them.' },
        { name: 'probes', description: 'For load balancers and orchestrators.' }
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } }
    },
    transform: ({ schema, url, route }) => ({ schema: described(schema as FastifySchema | undefined, [route.method].flat()[0] ?? '', url, route.config), url }),
    transformObject: withNames
  })
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.headers({ 'cache-control': 'no-cache', 'access-control-allow-origin': '*' }).send(app.swagger()))
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: POLICY,
    theme: { title: 'Headway: HTTP' },
    uiConfig: { docExpansion: 'list', deepLinking: true, tryItOutEnabled: false, validatorUrl: null }
  })
}

function described (schema: FastifySchema | undefined, method: string, url: string, config: FastifyContextConfig = {}): FastifySchema {
  if (schema === undefined || schema.hide === true || config.socket === true || config.refusal === true) return { hide: true }
  const { scope, repeatable, stream, codes = [] } = config
  const hasToken = scope !== undefined || stream === true
  const hasKey = method === 'POST' && scope !== undefined && repeatable !== true
  const all = new Set<ErrorCode>([
    ...codes,
    ...(schema.body === undefined ? schema.params === undefined && schema.querystring === undefined ? [] : ['invalid_field' as const] : OF_BODIES),
    ...(hasToken ? OF_TOKENS : []),
    ...(hasKey ? OF_KEYS : []),
    ...OF_ALL
  ])
  const needs = scope ?? (stream === true ? 'jobs:read' : undefined)
  return {
    ...schema,
    operationId: operationId(method, url),
    ...(needs === undefined ? {} : { description: `${schema.description ?? ''}\n\nScope: \`${needs}\`.`.trimStart(), security: [{ token: [] }] }),
    ...(hasKey ? { headers: KEY_HEADER } : {}),
    response: { ...problemsOf(all), ...schema.response as object }
  }
}

/** POST /v1/jobs/:id/state → postJobsIdState, for generators of clients. */
function operationId (method: string, url: string): string {
  const words = url.split(/[/:_]+/).filter(word => word !== '' && word !== 'v1')
  return method.toLowerCase() + words.map(word => word[0]?.toUpperCase() + word.slice(1)).join('')
}

const KEY_HEADER = {
  type: 'object',
  properties: {
    'idempotency-key': {
      type: 'string', minLength: 1, maxLength: 255, description: 'A repeat with the same key within 24 h gets the first answer and has no effect.'
    }
  }
}

/** By status, with the codes that it may have. */
function problemsOf (codes: ReadonlySet<ErrorCode>): Record<string, object> {
  const byStatus = groupBy([...codes], code => ERRORS[code].status)
  return Object.fromEntries([...byStatus].sort(([a], [b]) => a - b).map(([status, of]) => [status, {
    description: of.map(code => `\`${code}\`: ${ERRORS[code].title}.`).join('\n\n'),
    content: { 'application/problem+json': { schema: problemReply } }
  }]))
}

/** Schemas with a title are written once, and referred to. */
const withNames: SwaggerTransformObject = document => {
  if (!('openapiObject' in document)) return document.swaggerObject
  const { openapiObject: api } = document
  const schemas: Record<string, unknown> = {}

  function referred (value: unknown): unknown {
    if (Array.isArray(value)) return value.map(referred)
    if (typeof value !== 'object' || value === null) return value
    const inner = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, referred(one)]))
    const { title, type } = value as { title?: unknown, type?: unknown }
    if (type !== 'object' || typeof title !== 'string') return inner
    schemas[title] = inner
    return { $ref: `#/components/schemas/${title}` }
  }

  return { ...api, paths: referred(api.paths), components: { ...api.components, schemas } } as typeof api
}
