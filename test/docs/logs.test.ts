// docs/operations.md lists every log line: held against every call in the source, and against what two real processes write.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { signToken } from '../../src/cli/sign-token.ts'
import { ProgressMonitor } from '../../src/worker/index.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { ROLES, SCHEMA } from '../support/schema.ts'
import { until } from '../support/wait.ts'
import { logCalls } from './log-calls.ts'

const PAGE = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const SECRET = 'a secret of these tests, longer than thirty-two characters'
const NUMBERS: Record<string, number> = { debug: 20, info: 30, warn: 40, error: 50 }
const COMMON = ['level', 'time', 'role', 'pid', 'event', 'msg']

interface Row { levels: string[], fields: string[] }

const section = PAGE.slice(PAGE.indexOf('## Logs'), PAGE.indexOf('## Traces'))
const rows = new Map([...section.matchAll(/^\| `(\w+)` \| ([a-z, ]+) \|([^|]*)\|/gm)].map(([, event = '', levels = '', fields = '']): [string, Row] => {
  return [event, { levels: levels.split(', '), fields: [...fields.matchAll(/`(\w+)`/g)].map(found => found[1] ?? '').sort() }]
}))

t.test('each line of the source is listed with its levels and fields, and no other', async t => {
  const told = new Map<string, { levels: Set<string>, fields: Set<string> }>()
  const calls = logCalls()
  t.ok(calls.length > 40, 'the calls were found')
  for (const { at, events, levels, fields } of calls) {
    for (const event of events) {
      // drain_* stands for words of the reducer, drain_failed for itself.
      const stem = event.slice(0, event.indexOf('*'))
      const names = event.includes('*') ? [...rows.keys()].filter(name => name.startsWith(stem) && name !== 'drain_failed') : [event]
      t.ok(names.length > 0, `${at}: ${event} is listed`)
      for (const name of names) {
        const one = told.get(name) ?? { levels: new Set(), fields: new Set() }
        told.set(name, { levels: new Set([...one.levels, ...levels]), fields: new Set([...one.fields, ...fields]) })
      }
    }
  }
  t.same([...rows.keys()].filter(name => !told.has(name)), [], 'nothing is listed that nobody says')
  for (const [name, { levels, fields }] of told) {
    t.same(rows.get(name), { levels: [...levels], fields: [...fields].sort() }, name)
  }
})

t.test('what a gateway and a persister write while a job runs is of that form', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  const settings = {
    HEADWAY_JWT_SECRET: SECRET,
    REDIS_URL: redis.url,
    HEADWAY_SINK: 'postgres',
    HEADWAY_POSTGRES_URL: postgres.url,
    HEADWAY_LOG_LEVEL: 'debug',
    HEADWAY_NONSENSE: '1',
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_PORT: '0',
    HEADWAY_PERSIST_INTERVAL_MS: '20'
  }
  async function start (role: string): Promise<GuardedChild> {
    const child = await spawnGuarded('/usr/bin/env', [...Object.entries(settings).map(pair => pair.join('=')), process.execPath, HEADWAY, role])
    t.teardown(() => child.end('SIGKILL'))
    await until(() => child.output().includes('"event":"listening"'), { what: `the ${role} listens`, timeout_ms: 60_000 })
    return child
  }
  const gateway = await start('gateway')
  const monitor = new ProgressMonitor({ redisUrl: redis.url, tenantId: 'acme' })
  t.teardown(() => monitor.close())
  await monitor.registerJob('logged', { items_total: 1, state: 'running', auto_complete: true }, { correlation_id: 'from-the-worker' })
  await monitor.updateItemProgress('logged', { id: 'i', state: 'completed' }, { correlation_id: 'from-the-worker' })
  const token = await signToken({
    secret: SECRET, tenant_id: 'acme', tenant_claim: 'app_metadata.tenant_id', scopes: ['jobs:read'], subject: 'test', lifetime_s: 600
  })
  const url = `http://127.0.0.1:${/"port":(\d+)/.exec(gateway.output())?.[1]}`
  await fetch(`${url}/v1/jobs/logged`, { headers: { authorization: `Bearer ${token}`, 'x-correlation-id': 'from-the-user' } })
  await postgres.query(ROLES)
  await postgres.query(SCHEMA)
  await postgres.query('alter function headway_persist(jsonb) rename to gone')
  const persister = await start('persister')
  await until(() => /"event":"sink_(retry|misconfigured)"/.test(persister.output()), { what: 'a database without its function is told of' })
  await persister.end('SIGTERM')
  await postgres.query('alter function gone(jsonb) rename to headway_persist')
  const second = await start('persister')
  await until(() => second.output().includes('"to":"completed"'), { what: 'the job\'s end is logged' })
  await second.end('SIGTERM')
  await gateway.end('SIGTERM')

  const lines = [gateway, persister, second].flatMap(child => child.output().split('\n').filter(line => line.startsWith('{')))
    .map(line => JSON.parse(line) as Record<string, unknown>)
  for (const line of lines) {
    const row = rows.get(String(line['event']))
    t.ok(row, `${String(line['event'])} is listed`)
    t.ok(row?.levels.some(level => NUMBERS[level] === line['level']), `its level is: ${JSON.stringify(line)}`)
    t.same(COMMON.filter(name => !(name in line)), [])
    t.same(Object.keys(line).filter(name => ![...COMMON, ...row?.fields ?? []].includes(name)), [], `its fields are: ${JSON.stringify(line)}`)
  }
  const of = (event: string): Record<string, unknown>[] => lines.filter(line => line['event'] === event)
  t.same(of('job_state').map(({ from, to }) => [from, to]), [['running', 'completing'], ['completing', 'completed']])
  t.match(of('job_state').at(-1), { tenant_id: 'acme', job_id: 'logged', correlation_id: 'from-the-worker' })
  t.match(of('http_request').find(({ route }) => route === '/v1/jobs/:id'), { correlation_id: 'from-the-user', status: 200 })
  for (const event of ['listening', 'stopped', 'unknown_setting', 'persister_started', 'partitions_held', 'sink']) t.ok(of(event).length > 0, event)
})
