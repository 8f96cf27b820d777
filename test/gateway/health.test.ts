// Readiness, from what Redis and the engine say; and over HTTP with a subscriber that hears nothing.

import t from 'tap'
import { pino } from 'pino'
import { buildInternalApp } from '../../src/gateway/app.ts'
import { createHealth } from '../../src/gateway/health.ts'
import type { GatewaySettings } from '../../src/gateway/settings.ts'
import { until } from '../support/wait.ts'

interface Word { up: boolean, hears: boolean }

function setUp (word: Word) {
  return createHealth({ engine: { ping: async () => word.up, hearing: () => word.hears } })
}

t.test('what it says of itself', async t => {
  const word = { up: false, hears: false }
  const early = setUp(word)
  await early.start()
  t.equal(await early.status(), 'starting', 'Redis was never seen')
  t.equal(early.started(), false)

  for (const [up, hears, status] of [
    [true, true, 'ok'], [true, false, 'deaf']
  ] as const) {
    const health = setUp({ up, hears })
    await health.start()
    t.equal(await health.status(), status)
    t.equal(health.started(), true)
    health.stop()
    t.equal(await health.status(), 'stopping')
  }
})

t.test('deaf ends as soon as it hears, without asking Redis again', async t => {
  const word = { up: true, hears: false }
  const health = setUp(word)
  t.equal(await health.status(), 'deaf')
  word.hears = true
  t.equal(await health.status(), 'ok')
})

t.test('Redis away later is degraded, whatever was heard', async t => {
  const word = { up: true, hears: true }
  const health = setUp(word)
  t.equal(await health.status(), 'ok')
  Object.assign(word, { up: false, hears: false })
  await until(async () => await health.status() === 'degraded', { what: 'Redis is asked again, and does not answer' })
  t.equal(health.started(), true)
})

t.test('over HTTP: deaf is 503 and alive', async t => {
  const word = { up: true, hears: false }
  const health = setUp(word)
  const config = { body_bytes_max: 1_024, trust_proxy: 'off' } as GatewaySettings
  const app = buildInternalApp({
    config, log: pino({ level: 'silent' }), health, metrics: { content_type: 'text/plain', text: async () => '', add () {} }
  })
  t.teardown(() => app.close())
  const get = async (url: string) => {
    const { statusCode, body } = await app.inject({ url })
    return [statusCode, (JSON.parse(body) as { status: string }).status]
  }
  t.same(await get('/livez'), [200, 'ok'])
  t.same(await get('/startupz'), [503, 'starting'])
  t.same(await get('/readyz'), [503, 'deaf'])
  t.same(await get('/healthz'), [503, 'deaf'])
  t.same(await get('/startupz'), [200, 'ok'])
  t.same(await get('/livez'), [200, 'ok'])
  word.hears = true
  t.same(await get('/readyz'), [200, 'ok'])
})
