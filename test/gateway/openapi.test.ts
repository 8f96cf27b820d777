// The description of the interface: it names every route, and real answers are as it says.

import t from 'tap'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { isErrorCode } from '../../src/protocol/errors.ts'
import { privateRedis, startGateway, tokenOf, WORKER_SCOPES } from './support.ts'

interface Content { schema: TSchema }
interface Operation {
  operationId: string
  summary?: string
  security?: object[]
  parameters?: { name: string, in: string }[]
  responses: Record<string, { description: string, content?: Record<string, Content> }>
}
interface Description {
  openapi: string
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, TSchema> }
}

const redis = await privateRedis(t)
const { url } = await startGateway(t, redis)
const api = await (await fetch(`${url}/openapi.json`)).json() as Description
const worker = await tokenOf({ scope: WORKER_SCOPES })

/** The schema with what it refers to put in: typebox looks references up elsewhere. */
function whole (schema: unknown): TSchema {
  return JSON.parse(JSON.stringify(schema), (_, value: unknown) => {
    const name = /^#\/components\/schemas\/(\w+)$/.exec(String((value as { $ref?: string } | null)?.$ref))?.[1]
    return name === undefined ? value : whole(api.components.schemas[name])
  }) as TSchema
}

t.test('every route of the contract, each with a summary, its refusals and its scope', async t => {
  const routes = Object.entries(api.paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`))
  t.same(routes.sort(), [
    'GET /healthz', 'GET /livez', 'GET /metrics', 'GET /readyz', 'GET /startupz', 'GET /v1/events', 'GET /v1/jobs',
    'GET /v1/jobs/{id}', 'GET /v1/jobs/{id}/events',
    'GET /v1/jobs/{id}/items', 'GET /v1/jobs/{id}/timeline', 'POST /v1/events', 'POST /v1/jobs', 'POST /v1/jobs/{id}/control',
    'POST /v1/jobs/{id}/heartbeat', 'POST /v1/jobs/{id}/progress', 'POST /v1/jobs/{id}/state', 'POST /v1/tickets', 'PUT /v1/jobs/{id}/items/{item_id}'
  ])
  t.match(api.openapi, /^3\.1\./)
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.values(methods).map(operation => ({ path, operation })))
  t.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length)
  for (const { path, operation: { operationId, summary, security, responses } } of operations) {
    t.ok((summary ?? '').length > 5, operationId)
    t.equal(security !== undefined, path.startsWith('/v1/'), `${operationId} asks for a token`)
    for (const [status, { description, content }] of Object.entries(responses)) {
      if (content?.['application/problem+json'] === undefined) continue
      const codes = [...description.matchAll(/`(\w+)`/g)].map(found => found[1] ?? '')
      t.ok(codes.length > 0 && codes.every(isErrorCode), `${operationId} ${status}`)
    }
  }
  const keyed = operations.filter(({ operation }) => operation.parameters?.some(one => one.name === 'idempotency-key')).map(({ operation }) => operation.operationId)
  t.same(keyed.sort(), ['postEvents', 'postJobs', 'postJobsIdControl', 'postJobsIdHeartbeat', 'postJobsIdProgress', 'postJobsIdState'])
})

t.test('answers are as described, success and refusal', async t => {
  const calls: [string, string, string, unknown, number][] = [
    ['post', '/v1/jobs', '/v1/jobs', { id: 'told', items_total: 3, metadata: { a: 1 } }, 201],
    ['post', '/v1/jobs', '/v1/jobs', { id: 'told', items_total: 3, metadata: { a: 1 } }, 200],
    ['post', '/v1/jobs', '/v1/jobs', { id: 'told', items_total: 4 }, 409],
    ['post', '/v1/jobs/{id}/state', '/v1/jobs/told/state', { state: 'running' }, 200],
    ['put', '/v1/jobs/{id}/items/{item_id}', '/v1/jobs/told/items/a', { state: 'processing', percent_complete: 12.5 }, 200],
    ['put', '/v1/jobs/{id}/items/{item_id}', '/v1/jobs/told/items/b', { state: 'failed', error: { deep: [1] } }, 200],
    ['post', '/v1/jobs/{id}/progress', '/v1/jobs/told/progress', { items_skipped: 1, rate_limited: true }, 200],
    ['post', '/v1/jobs/{id}/heartbeat', '/v1/jobs/told/heartbeat', { worker: 'w' }, 200],
    ['post', '/v1/events', '/v1/events', [{ type: 'job.heartbeat', job: 'told' }, { type: 'job.state', job: 'told', data: { state: 'paused' } }], 200],
    ['post', '/v1/jobs/{id}/control', '/v1/jobs/told/control', { action: 'pause', reason: 'x' }, 200],
    ['post', '/v1/jobs/{id}/control', '/v1/jobs/told/control', { action: 'paws' }, 400],
    ['post', '/v1/jobs/{id}/control', '/v1/jobs/none/control', { action: 'pause' }, 404],
    ['post', '/v1/jobs/{id}/state', '/v1/jobs/told/state', { state: 'pending' }, 409],
    ['get', '/v1/jobs', '/v1/jobs', undefined, 200],
    ['get', '/v1/jobs/{id}', '/v1/jobs/told', undefined, 200],
    ['get', '/v1/jobs/{id}/items', '/v1/jobs/told/items?limit=1', undefined, 200],
    ['get', '/v1/jobs/{id}/timeline', '/v1/jobs/told/timeline', undefined, 200],
    ['post', '/v1/tickets', '/v1/tickets', undefined, 201],
    ['get', '/readyz', '/readyz', undefined, 200]
  ]
  for (const [method, path, address, body, status] of calls) {
    const what = `${method} ${address} ${status}`
    const response = await fetch(url + address, {
      method: method.toUpperCase(),
      headers: { authorization: `Bearer ${worker}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body)
    })
    t.equal(response.status, status, what)
    const type = response.headers.get('content-type')?.split(';')[0] ?? ''
    const schema = api.paths[path]?.[method]?.responses[status]?.content?.[type]?.schema
    t.ok(schema, `${what} is described, as ${type}`)
    const check = Compile(whole(schema))
    const answer: unknown = await response.json()
    t.same(check.Check(answer) ? [] : check.Errors(answer).map(({ instancePath, message }) => `${instancePath} ${message}`), [], what)
    const known = Object.keys((whole(schema) as { properties?: object }).properties ?? {})
    t.same(Object.keys(answer as object).filter(name => !known.includes(name)), [], `${what}: no field is left undescribed`)
  }
})
