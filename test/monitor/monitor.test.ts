// When something is high, and how often that is told; what comes of it over HTTP and in the figures, on a real gateway.

import t from 'tap'
import { Registry } from 'prom-client'
import { createMark } from '../../src/monitor/mark.ts'
import { createMonitor } from '../../src/monitor/monitor.ts'
import { startGateway, privateRedis } from '../gateway/support.ts'
import { until } from '../support/wait.ts'

t.test('a mark: several looks in a row, and not back before it is well below', async t => {
  const mark = createMark({ high: 0.8, normal: 0.7, looks: 3 })
  const crossed = (values: number[]): boolean[] => values.map(value => mark.look(value))
  t.same(crossed([0.9, 0.9, 0.79, 0.9, 0.9]), [false, false, false, false, false], 'a look below begins anew')
  t.notOk(mark.high)
  t.same(crossed([0.8, 0.99, 0.75, 0.81, 0.75]), [true, false, false, false, false])
  t.ok(mark.high, 'between the marks it stays')
  t.same(crossed([0.69, 0.69, 0.7, 0.1, 0.1, 0.1]), [false, false, false, false, false, true])
  t.notOk(mark.high)
})

t.test('told once when it crosses, with what to do; figures and state go along', async t => {
  const told: [string, Record<string, unknown>][] = []
  const log = { info: (fields: object) => { told.push(['info', { ...fields }]) }, warn: (fields: object) => { told.push(['warn', { ...fields }]) } }
  const now = { memory: 0.5, cpu: 0, spent: 0, available: 0 }
  let redis: boolean | Error = true
  const monitor = createMonitor({
    log,
    build: { role: 'gateway', revision: 'abc1234' },
    services: {
      async redis () {
        if (redis instanceof Error) throw redis
        return redis
      },
      database: async () => null
    },
    usage: {
      memory: () => ({ used: now.memory * 1000, limit: 1000, of: 'cgroup' }),
      cpu () {
        now.spent += now.cpu
        now.available += 1
        return { spent: now.spent, available: now.available, of: 'machine' }
      }
    }
  })
  const registry = new Registry()
  monitor.register(registry)
  const look = async (memory: number, cpu: number): Promise<string[]> => {
    Object.assign(now, { memory, cpu })
    told.length = 0
    await monitor.look()
    return told.filter(([, { resource }]) => resource !== 'event_loop').map(([level, { event, resource, service }]) => `${level} ${String(event)} ${String(resource ?? service)}`)
  }
  t.same(await look(0.89, 0.9), [])
  t.same(await look(0.9, 0.9), ['warn resource_high memory'])
  t.same(told[0]?.[1], { event: 'resource_high', resource: 'memory', used_percent: 90, of: 'cgroup' })
  t.same(await look(0.95, 0.9), ['warn resource_high cpu'], 'the third look in a row')
  t.match(monitor.state(), {
    resources: { memory: { state: 'high', used_percent: 95, of: 'cgroup' }, cpu: { state: 'high', used_percent: 90, of: 'machine' } }, services: { redis: 'up', database: 'unknown' }
  })
  const text = await registry.metrics()
  for (const line of ['headway_resource_used_ratio{resource="memory"} 0.95', 'headway_resource_high{resource="cpu"} 1', 'headway_service_up{service="redis"} 1']) t.match(text, line)
  t.notMatch(text, /service="database"/, 'nothing is known of it')
  redis = false
  t.same(await look(0.86, 0.75), ['warn service_away redis'])
  redis = new Error('it breaks')
  t.same(await look(0.85, 0.1), [])
  redis = true
  t.same(await look(0.84, 0.1), ['info resource_normal memory', 'info service_back redis'])
  t.same(await look(0.1, 0.1), ['info resource_normal cpu'])
  t.match(monitor.state(), { resources: { memory: { state: 'ok' }, cpu: { state: 'ok' } }, services: { redis: 'up' } })
})

t.test('a gateway: details on the internal port alone; Redis away and back', async t => {
  const redis = await privateRedis(t)
  const { url, internal_url: internal, logged } = await startGateway(t, redis)
  const details = async (): Promise<Record<string, any>> => await (await fetch(`${internal}/readyz`)).json() as Record<string, any>
  const { status, resources, services } = await details()
  t.equal(status, 'ok')
  t.same(Object.keys(resources).sort(), ['cpu', 'event_loop', 'memory'])
  t.ok(resources.memory.used_percent > 0 && resources.memory.used_percent <= 100)
  t.match(resources.memory.of, /cgroup|machine/)
  t.same(services, { redis: 'up' })
  t.same(await (await fetch(`${url}/readyz`)).json(), { status: 'ok' }, 'strangers hear only this')
  t.match(await (await fetch(`${internal}/metrics`)).text(), /^headway_resource_used_ratio\{resource="memory"\} 0\.\d+$/m)
  await redis.kill()
  await until(() => logged.some(line => line.includes('"event":"service_away"')), { what: 'the outage is told', timeout_ms: 30_000 })
  const away = await fetch(`${internal}/readyz`)
  t.equal(away.status, 200, 'it stays ready')
  t.match(await away.json(), { status: 'degraded', services: { redis: 'away' } })
})
