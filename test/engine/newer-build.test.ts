// Contract of formats: a build that meets an entry of a newer one stops before it and says so; the newer build, which reads both, goes
// on, and nothing is lost. As format 1 is the first there is, a stand-in plays the newer build: this source, told to read format 2 too.

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createEngine, type LogRead } from '../../src/engine/engine.ts'
import { packBatch } from '../../src/protocol/pack.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { spawnGuarded, type GuardedChild } from '../support/child.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ITEMS = 20

function newerBuild (): string {
  const folder = mkdtempSync(join(tmpdir(), 'headway-newer-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(join(ROOT, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const file = join(folder, 'src/engine/lua/lib/read.lua')
  const old = readFileSync(file, 'utf8')
  const both = old.replace("batch:find('1\\n', 1, true) == 1", "batch:find('^[12]\\n') == 1")
  t.not(both, old, 'it reads both formats')
  writeFileSync(file, both)
  return folder
}

async function gateway (t: Test, folder: string, redisUrl: string): Promise<GuardedChild> {
  const settings = [
    'HEADWAY_JWT_SECRET=a secret of these tests, longer than thirty-two characters', `REDIS_URL=${redisUrl}`, 'HEADWAY_PARTITIONS=1',
    'WEBSOCKET_HOST=127.0.0.1', 'WEBSOCKET_PORT=0', 'HEADWAY_INTERNAL_PORT=0', 'HEADWAY_DASHBOARD=off', 'HEADWAY_DRAIN_WINDOW_MS=0'
  ]
  const child = await spawnGuarded('/usr/bin/env', [...settings, process.execPath, join(folder, 'src/cli/headway.ts'), 'gateway'])
  t.teardown(() => child.end('SIGKILL'))
  await until(() => child.output().includes('"event":"listening"'), { what: 'the gateway listens', timeout_ms: 60_000 })
  return child
}

t.test('this build stops before a newer entry and says so; a newer one goes on, and every event took effect once', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const ours = await gateway(t, ROOT, redis.url)
  const engine = createEngine({ redis_url: redis.url, partitions: 1 })
  t.teardown(() => engine.stop())
  await engine.start({ drain: false })
  const { ingest, rejected } = engine.keys.partition(0)
  const store = async (format: string, events: WorkerEvent[]): Promise<unknown> =>
    await engine.connections.command.xadd(ingest, '*', 'b', packBatch(events).replace(/^1/, format))
  const item = (n: number): WorkerEvent => ({ type: 'item.update', tenant: 'acme', job: 'job', data: { id: `i${n}`, state: 'completed' } })
  const completed = async (): Promise<number | undefined> => (await engine.readJob('acme', 'job'))?.job.counted.completed

  await store('1', [{ type: 'job.register', tenant: 'acme', job: 'job', data: { items_total: ITEMS, state: 'running', auto_complete: true } }])
  await store('1', [item(0), item(1)])
  await until(async () => await completed() === 2, { what: 'what stands before it took effect' })
  for (let n = 2; n < ITEMS; n++) await store(n % 3 === 2 ? '2' : '1', [item(n)])
  await until(() => ours.output().includes('"event":"drain_newer_format"'), { what: 'it says so' })
  t.equal(await completed(), 2, 'and nothing behind it was touched')

  const newer = await gateway(t, newerBuild(), redis.url)
  await until(async () => (await engine.readJob('acme', 'job'))?.job.state === 'completed', { what: 'the newer build goes on' })
  t.match((await engine.readJob('acme', 'job'))?.job, { counted: { completed: ITEMS, failed: 0 }, store: { items_seen: ITEMS } })
  const { events } = await engine.readLog('acme', 'job', 0) as LogRead
  t.same(events.flatMap(event => event.event === 'item' ? [event.item.id] : []), Array.from({ length: ITEMS }, (_, n) => `i${n}`), 'each once, in order')
  t.same(events.map(({ seq }) => seq), events.map((_, n) => n + 1), 'without a gap')
  t.equal(await engine.connections.command.xlen(rejected), 0, 'nothing is among the dead letters')
  await newer.end('SIGTERM')
  await ours.end('SIGTERM')
})
