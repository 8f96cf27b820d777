// docs/examples/worker.ts as it stands, on a real deployment: a user pauses it, lets it go on, and cancels the next one.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { until } from '../support/wait.ts'
import { setup } from '../worker/support.ts'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/worker.ts', import.meta.url))

t.test('the example runs, obeys and ends by itself', async t => {
  const { server, engine, jobOf, userDoes } = await setup(t)

  function start (job: string, itemMs: number) {
    const env = { ...process.env, REDIS_URL: server.url, HEADWAY_PREFIX: engine.keys.prefix, TENANT: 'acme', ITEM_MS: String(itemMs) }
    const child = spawn(process.execPath, [EXAMPLE, job], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    let output = ''
    child.stdout.on('data', chunk => { output += chunk })
    return { exited: once(child, 'exit'), said: () => output }
  }

  const first = start('job_1', 50)
  await until(async () => ((await jobOf('job_1'))?.counted.completed ?? 0) > 0)
  await userDoes('pause', 'job_1')
  await until(async () => (await jobOf('job_1'))?.state === 'paused')
  await userDoes('resume', 'job_1')
  t.same(await first.exited, [0, null])
  await until(async () => (await jobOf('job_1'))?.state === 'completed')
  t.match((await jobOf('job_1'))!.counted, { completed: 5 })
  for (const line of ['job_1: pending -> running (worker_assigned)', 'job_1: running -> pausing', 'job_1: paused -> running', 'job_1: 20 %']) t.match(first.said(), line)
  const log = await engine.readLog('acme', 'job_1', 0)
  t.notOk(log!.events.some(one => one.event === 'state_changed' && one.forced), 'acknowledged, not forced')

  const second = start('job_2', 60_000)
  await until(async () => (await jobOf('job_2'))?.counted.processing === 1)
  await userDoes('cancel', 'job_2')
  t.same(await second.exited, [0, null])
  await until(async () => (await jobOf('job_2'))?.state === 'canceled')
  t.match(await jobOf('job_2'), { reason: 'items_settled', counted: { canceled: 1 } })
})

t.test('it runs as it says: Node strips its types', async t => {
  const child = spawn(process.execPath, ['--check', EXAMPLE], { stdio: 'inherit' })
  t.same(await once(child, 'exit'), [0, null])
})
