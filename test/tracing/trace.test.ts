// One trace from a worker's event to its row: worker, gateway and persister as processes of their own, on a real Redis and Postgres,
// and a stand-in for the collector that all three send to.

import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { context, propagation, SpanKind, trace } from '@opentelemetry/api'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { signToken } from '../../src/cli/sign-token.ts'
import { startTracing } from '../../src/tracing/sdk.ts'
import { originOf, traceparentOf } from '../../src/tracing/trace.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'
import { type CollectedSpan, startCollector } from './collector.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const SRC = fileURLToPath(new URL('../../src/', import.meta.url))
const SECRET = 'a secret of these tests, longer than thirty-two characters'
const WORKER_SCOPES = ['jobs:read', 'jobs:write'] as const
process.env['OTEL_BSP_SCHEDULE_DELAY'] = '50'

const redis = await startRedis()
t.teardown(() => redis.stop())
const postgres = await startPostgres()
t.teardown(() => postgres.stop())
await postgres.query(ROLES)
await postgres.query(SCHEMA)
const token = await signToken({
  secret: SECRET, tenant_id: 'acme', tenant_claim: 'app_metadata.tenant_id', scopes: [...WORKER_SCOPES], subject: 'test', lifetime_s: 600
})
const collector = await startCollector()
t.teardown(() => collector.stop())
const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' }

async function role (t: Test, name: 'gateway' | 'persister', settings: Record<string, string>): Promise<GuardedChild> {
  const all: Record<string, string> = {
    HEADWAY_JWT_SECRET: SECRET,
    REDIS_URL: redis.url,
    HEADWAY_SINK: 'postgres',
    HEADWAY_POSTGRES_URL: postgres.url,
    HEADWAY_LOG_LEVEL: 'debug',
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_PORT: '0',
    HEADWAY_DASHBOARD: 'off',
    HEADWAY_PERSIST_INTERVAL_MS: '20',
    ...settings
  }
  const child = await spawnGuarded('/usr/bin/env', [...Object.entries(all).map(pair => pair.join('=')), process.execPath, HEADWAY, name])
  t.teardown(() => child.end('SIGKILL'))
  await until(() => child.output().includes('"event":"listening"'), { what: `the ${name} listens`, timeout_ms: 30_000 })
  return child
}

function urlOf (gateway: GuardedChild): string {
  return `http://127.0.0.1:${/"port":(\d+)/.exec(gateway.output())?.[1]}`
}

/** The spans of a trace as soon as all these are there. */
async function spansOf (traceId: string, names: string[]): Promise<CollectedSpan[]> {
  const of = (): CollectedSpan[] => collector.spans.filter(({ trace_id: id }) => id === traceId)
  await until(() => names.every(name => of().some(span => span.name === name)), {
    what: `${names.join(', ')}; there are ${[...new Set(collector.spans.map(({ name }) => name))].join(', ')}`, timeout_ms: 20_000
  })
  return of()
}

async function rowOf (job: string, type: string): Promise<Record<string, unknown>> {
  return await until(async () => (await postgres.query('select correlation_id from job_events where job_id = $1 and type = $2', [job, type]))[0], { what: `${type} of ${job} is stored` })
}

const tracing = startTracing({ url: `${collector.url}/v1/traces`, service: 'the-worker', log: { warn: (_, message) => t.fail(message) } })
t.teardown(() => tracing.stop())
const gateway = await role(t, 'gateway', traced)
const persister = await role(t, 'persister', traced)

t.test('over Redis: the worker\'s span, what a gateway tells a watcher, and the batch with the row are one trace', async t => {
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('by-redis', { items_total: 2, state: 'running' })
  const socket = new WebSocket(`${urlOf(gateway).replace('http', 'ws')}/?job_id=by-redis&wait_ms=5000&token=${token}`)
  t.teardown(() => socket.terminate())
  const heard: { type: string, correlation_id: string }[] = []
  socket.on('message', data => heard.push(JSON.parse(String(data)) as typeof heard[number]))
  await once(socket, 'open')
  await until(() => heard.length > 0, { what: 'a snapshot' })

  await monitor.updateItemProgress('by-redis', { id: 'i', state: 'completed' })
  const { correlation_id: cid } = await until(() => heard.find(({ type }) => type === 'video.completed'), { what: 'the item is told' })
  t.match(cid, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, 'the correlation id is a traceparent')
  t.equal((await rowOf('by-redis', 'video.completed'))['correlation_id'], cid, 'the row has it too')
  const [, traceId = '', spanId] = cid.split('-')
  const spans = await spansOf(traceId, ['headway.send', 'headway.tell', 'headway.persist'])
  t.same(Object.fromEntries(spans.map(({ name, service }) => [name, service])), {
    'headway.send': 'the-worker', 'headway.tell': 'headway-gateway', 'headway.persist': 'headway-persister'
  })
  for (const { name, span_id: own, parent_id: parent, attributes } of spans) {
    if (name === 'headway.send') t.equal(own, spanId)
    else t.match({ parent, ...attributes }, { parent: spanId, correlation_id: cid }, name)
  }
})

t.test('a worker that traces: its own span is the parent, and a correlation id of its own stays', async t => {
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('in-span', { items_total: 2, state: 'running' })
  const span = trace.getTracer('application').startSpan('encode', { kind: SpanKind.INTERNAL })
  await context.with(trace.setSpan(context.active(), span), async () => {
    await monitor.updateItemProgress('in-span', { id: 'a', state: 'completed' })
    await monitor.updateItemProgress('in-span', { id: 'b', state: 'failed' }, { correlation_id: 'my-own' })
  })
  span.end()
  t.equal((await rowOf('in-span', 'video.completed'))['correlation_id'], traceparentOf(span))
  t.equal((await rowOf('in-span', 'video.failed'))['correlation_id'], 'my-own')
  const spans = await spansOf(span.spanContext().traceId, ['encode', 'headway.send', 'headway.persist'])
  t.ok(spans.filter(({ name }) => name !== 'encode').every(({ parent_id: parent }) => parent === span.spanContext().spanId))
})

t.test('over HTTP: request and drain are in it, and log lines of the request name it', async t => {
  const monitor = new ProgressMonitor({ gatewayUrl: urlOf(gateway), token, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('by-http', { items_total: 1, state: 'running' })
  await monitor.updateItemProgress('by-http', { id: 'i', state: 'completed' })
  const cid = String((await rowOf('by-http', 'video.completed'))['correlation_id'])
  const traceId = cid.split('-')[1] ?? ''
  const spans = await spansOf(traceId, ['headway.send', 'POST /v1/events', 'headway.drain', 'headway.persist'])
  const of = (name: string): CollectedSpan => spans.find(span => span.name === name) as CollectedSpan
  t.equal(of('POST /v1/events').parent_id, of('headway.send').span_id)
  t.equal(of('headway.drain').parent_id, of('POST /v1/events').span_id)
  t.equal(of('headway.persist').parent_id, of('POST /v1/events').span_id)
  t.match(of('POST /v1/events').attributes, { 'http.route': '/v1/events', 'http.response.status_code': 200, correlation_id: cid })
  t.equal(of('headway.drain').attributes['headway.word'], 'ok', 'though another gateway may have been quicker: then with 0 entries')
  const line = await until(() => gateway.output().split('\n').find(line => line.includes('http_request') && line.includes(cid)), { what: 'the request is logged' })
  t.match(JSON.parse(line), { event: 'http_request', route: '/v1/events', correlation_id: cid })
})

t.test('who does not sample is not traced, and no frame, socket or probe has a span', async t => {
  await fetch(`${urlOf(gateway)}/v1/jobs/by-http`, { headers: { authorization: `Bearer ${token}`, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` } })
  await fetch(`${urlOf(gateway)}/v1/jobs/by-http`, { headers: { authorization: `Bearer ${token}`, traceparent: `00-${'c'.repeat(32)}-${'b'.repeat(16)}-01` } })
  await spansOf('c'.repeat(32), ['GET /v1/jobs/:id'])
  t.same(collector.spans.filter(({ trace_id: id }) => id === 'a'.repeat(32)), [])
  const known = ['headway.send', 'headway.tell', 'headway.persist', 'headway.drain', 'encode', 'POST /v1/events', 'GET /v1/jobs/:id']
  t.same([...new Set(collector.spans.map(({ name }) => name))].filter(name => !known.includes(name)), [])
  t.same(collector.odd, [])
})

t.test('a collector that is away holds nothing up, and is told of', async t => {
  await persister.end('SIGTERM')
  const alone = await role(t, 'persister', { ...traced, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_EXPORTER_OTLP_TIMEOUT: '200' })
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('alone', { items_total: 1, state: 'running' })
  await monitor.updateItemProgress('alone', { id: 'i', state: 'completed' })
  await rowOf('alone', 'video.completed')
  const line = await until(() => alone.output().split('\n').find(line => line.includes('tracing_failed')), { what: 'it says so', timeout_ms: 20_000 })
  t.match(JSON.parse(line), { level: 40, reason: /ECONNREFUSED/ })
  await alone.end('SIGTERM')
})

t.test('off: nothing is sent, correlation ids are what they were, and the SDK is loaded by no static import', async t => {
  await tracing.stop()
  t.equal(traceparentOf(), undefined)
  t.equal(originOf('not one'), undefined)
  const headers = {}
  propagation.inject(context.active(), headers)
  t.same(headers, {})
  const plain = await role(t, 'persister', { OTEL_SDK_DISABLED: 'true', ...traced })
  t.notMatch(plain.output(), 'tracing')
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('plain', { items_total: 1, state: 'running' })
  await monitor.updateItemProgress('plain', { id: 'i', state: 'completed' })
  t.match((await rowOf('plain', 'video.completed'))['correlation_id'], /^\d+\.\d+$/)

  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts') && name !== 'tracing/sdk.ts')
  const loads = (pattern: RegExp): string[] => sources.filter(name => pattern.test(readFileSync(join(SRC, name), 'utf8')))
  t.same(loads(/from '@opentelemetry\/(?!api')/), [])
  t.same(loads(/^import (?!type)[^\n]*tracing\/sdk/m), [])
  t.same(loads(/import\('[^']*tracing\/sdk\.ts'\)/), ['main.ts'])
})
