// What a gateway and a persister tell Prometheus, as started by their composition root, after a job that somebody watched was stored.

import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { signToken } from '../../src/cli/sign-token.ts'
import { runGateway, runPersister } from '../../src/main.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'

const SECRET = 'a secret of these tests, longer than thirty-two characters'
const SETTINGS = {
  HEADWAY_JWT_SECRET: SECRET,
  HEADWAY_LOG_LEVEL: 'silent',
  WEBSOCKET_HOST: '127.0.0.1',
  WEBSOCKET_PORT: '0',
  HEADWAY_INTERNAL_HOST: '127.0.0.1',
  HEADWAY_INTERNAL_PORT: '0',
  HEADWAY_DASHBOARD: 'off',
  HEADWAY_DRAIN_DELAY_MS: '0',
  HEADWAY_DRAIN_WINDOW_MS: '0',
  HEADWAY_SINK: 'postgres'
}

/** By name of the series, as it stands in the text: the labels of each of its samples. */
export type Scrape = ReadonlyMap<string, readonly Record<string, string>[]>

/** A metric as a process describes it. */
export interface Family { name: string, type: string, help: string, labels: string[], roles: string[] }

export interface Told { scrape: Scrape, families: Family[] }

export async function scrapeBoth (t: Test): Promise<Told> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  const env = {
    ...SETTINGS,
    REDIS_URL: redis.url,
    HEADWAY_POSTGRES_URL: postgres.url
  }
  const { signal } = new AbortController()
  const gateway = await runGateway(env, signal)
  t.teardown(() => gateway.stop())
  const persister = await runPersister(env, signal)
  t.teardown(() => persister.stop())
  await watchedJob(`http://127.0.0.1:${gateway.port}`)
  await until(async () => (await postgres.query("select 1 from bulk_jobs where state = 'completed'")).length === 1, { what: 'the job is stored' })
  collectGarbage()
  return await until(async () => {
    const texts = await Promise.all([gateway, persister].map(async ({ internal_port: port }) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()))
    const scrape = samplesOf(texts.join('\n'))
    return scrape.has('nodejs_gc_duration_seconds_sum') ? { scrape, families: familiesOf(texts, scrape) } : null
  }, { what: 'the collection is counted' })
}

/** Its figures have no samples before the first one. */
function collectGarbage (): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}

/** Touches what has a label: a socket that joins, is refused a message and closes; an event that is rejected; a job from start to end. */
async function watchedJob (url: string): Promise<void> {
  const token = await signToken({
    secret: SECRET, tenant_id: 'acme', tenant_claim: 'app_metadata.tenant_id', scopes: ['jobs:read', 'jobs:write'], subject: 'test', lifetime_s: 600
  })
  const call = async (method: string, path: string, body: object): Promise<Response> => await fetch(url + path, {
    method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body)
  })
  await call('POST', '/v1/jobs', { id: 'job', items_total: 1, state: 'running', auto_complete: true })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/?job_id=job&token=${token}`)
  const heard = new Set<string>()
  socket.on('message', data => heard.add((JSON.parse(String(data)) as { type: string }).type))
  await once(socket, 'open')
  await until(() => heard.has('job.snapshot'), { what: 'the socket has joined' })
  socket.send('{"action":"nonsense","id":"n"}')
  await until(() => heard.has('error'), { what: 'the message is refused' })
  await call('PUT', '/v1/jobs/nowhere/items/i', { state: 'completed' })
  await call('PUT', '/v1/jobs/job/items/i', { state: 'completed' })
  await until(() => heard.has('job.completed'), { what: 'the socket hears the end' })
  if (socket.readyState === WebSocket.OPEN) socket.close()
  if (socket.readyState !== WebSocket.CLOSED) await once(socket, 'close')
}

function samplesOf (text: string): Scrape {
  const samples = new Map<string, Record<string, string>[]>()
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-z_]\w*)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const told = Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', value = '']) => [label, value]))
    samples.set(name, [...samples.get(name) ?? [], told])
  }
  return samples
}

/** @param texts of a gateway and of a persister */
function familiesOf (texts: readonly string[], scrape: Scrape): Family[] {
  const families = new Map<string, Family>()
  for (const [at, role] of ['gateway', 'persister'].entries()) {
    for (const [, name = '', help = '', type = ''] of (texts[at] ?? '').matchAll(/^# HELP (headway_\w+) (.+)\n# TYPE \w+ (\w+)$/gm)) {
      const samples = scrape.get(type === 'histogram' ? `${name}_count` : name) ?? []
      const family = families.get(name) ?? { name, type, help, labels: [...new Set(samples.flatMap(Object.keys))], roles: [] }
      family.roles.push(role)
      families.set(name, family)
    }
  }
  return [...families.values()]
}
