// A gateway as its composition root makes it: what it says at start, and what no line of its log may hold.

import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { signToken } from '../src/cli/sign-token.ts'
import { createLog } from '../src/main.ts'
import { spawnGuarded, type GuardedChild } from './support/child.ts'
import { startRedis } from './support/redis.ts'
import { until } from './support/wait.ts'

const HEADWAY = fileURLToPath(new URL('../src/cli/headway.ts', import.meta.url))
const SECRET = 'a secret of these tests, longer than thirty-two characters'
const PASSWORD = 'planted-password'

async function gateway (t: Test, settings: Record<string, string>): Promise<GuardedChild> {
  const all = {
    HEADWAY_JWT_SECRET: SECRET, HEADWAY_LOG_LEVEL: 'trace', WEBSOCKET_HOST: '127.0.0.1', WEBSOCKET_PORT: '0', HEADWAY_INTERNAL_PORT: '0', ...settings
  }
  const child = await spawnGuarded('/usr/bin/env', [...Object.entries(all).map(pair => pair.join('=')), process.execPath, HEADWAY, 'gateway'])
  t.teardown(() => child.end('SIGKILL'))
  return child
}

async function portOf (child: GuardedChild): Promise<string> {
  return await until(() => /"port":(\d+)/.exec(child.output())?.[1], { what: 'the gateway listens', timeout_ms: 20_000 })
}

t.test('an error of Redis is logged without what Redis was asked', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const error = await redis.client().auth('user', PASSWORD).catch((thrown: unknown) => thrown) as Error & { command?: unknown }
  t.match(JSON.stringify(error.command), PASSWORD, 'the error holds it')
  const lines: string[] = []
  const log = createLog('info', 'gateway', { write: line => { lines.push(line) } })
  const wrapped = Object.assign(new Error('wrapped', { cause: error }), { lastNodeError: error, errors: [error], previous: { deep: [error] } })
  log.error({ err: error }, 'plain')
  log.error({ err: wrapped }, 'wrapped')
  log.error(error)
  Fastify({ loggerInstance: log }).log.error({ err: wrapped }, 'by Fastify')
  t.equal(lines.length, 4)
  for (const line of lines) {
    t.match(line, /WRONGPASS/)
    t.notMatch(line, PASSWORD)
  }
  log.error({ err: null }, 'nothing')
  log.error({ err: 'a text' }, 'a text')
  t.match(lines.slice(4).join(''), /"err":null[^]*"err":"a text"/)
})

t.test('a password of Redis and what users sent stand in no line of the log', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const admin = redis.client()
  await admin.config('SET', 'requirepass', PASSWORD)
  const wrong = await gateway(t, { REDIS_URL: `redis://:wrong-${PASSWORD}@127.0.0.1:${redis.port}` })
  await until(() => wrong.output().includes('redis_awaited'), { what: 'a refusal is logged', timeout_ms: 20_000 })
  t.match(wrong.output(), /WRONGPASS/)
  t.notMatch(wrong.output(), PASSWORD)
  await wrong.end()

  const child = await gateway(t, { REDIS_URL: `redis://:${PASSWORD}@127.0.0.1:${redis.port}` })
  const url = `http://127.0.0.1:${await portOf(child)}/v1/jobs`
  const token = await signToken({
    secret: SECRET, tenant_id: 'acme', tenant_claim: 'app_metadata.tenant_id', scopes: ['jobs:read', 'jobs:write'], subject: 'test', lifetime_s: 600
  })
  await admin.call('ACL', 'SETUSER', 'default', '-xadd', '-eval', '-evalsha', '-fcall')
  const reply = await fetch(url, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: '{"id":"j","title":"planted-title"}'
  })
  t.equal(reply.status, 503)
  await until(() => child.output().includes('request_failed'), { what: 'the failure is logged' })
  t.match(child.output(), /NOPERM/)
  for (const planted of [PASSWORD, 'planted-title', '"command"']) t.notMatch(child.output(), planted)
})

t.test('a gateway with a sink says that ended jobs wait for a persister', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const child = await gateway(t, { REDIS_URL: redis.url, SUPABASE_URL: 'https://project.supabase.co' })
  await portOf(child)
  t.match(child.output(), /headway persister.*HEADWAY_SINK=none/)
})

t.test('a fault that the user can mend is a sentence, not a stack', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const port = String((taken.address() as AddressInfo).port)
  const child = await gateway(t, { REDIS_URL: redis.url, WEBSOCKET_PORT: port, HEADWAY_LOG_LEVEL: 'silent' })
  await until(() => !child.running(), { what: 'the gateway ends', timeout_ms: 20_000 })
  t.match(child.output(), new RegExp(`${port}.*WEBSOCKET_PORT`))
  t.notMatch(child.output(), /^\s+at /m, 'without a stack')
})
