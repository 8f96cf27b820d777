// docs/examples/worker.py as it stands there, run by a real Python with redis-py against a real Redis and reducer. Files that
// are pipes let the test say when an item ends.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import { PYTHON_REDIS } from '../../src/demo/system-programs.ts'
import { spawnGuarded } from '../support/child.ts'
import { until } from '../support/wait.ts'
import { setup } from './support.ts'

const WORKER = fileURLToPath(new URL('../../docs/examples/worker.py', import.meta.url))
/** The system's; another one on the PATH may know nothing of redis-py. */
const PYTHON = join(PYTHON_REDIS.path!, PYTHON_REDIS.names[0]!)

async function startWorker (t: Test, files: Record<string, string | null>) {
  const all = await setup(t)
  const folder = t.testdir({})
  for (const [name, text] of Object.entries(files)) {
    if (text === null) execFileSync('mkfifo', [join(folder, name)])
    else writeFileSync(join(folder, name), text)
  }
  const paths = Object.keys(files).map(name => join(folder, name))
  const env = [`REDIS_URL=${all.server.url}`, 'HEADWAY_TENANT=acme', `HEADWAY_PREFIX=${all.engine.keys.prefix}`]
  const child = await spawnGuarded('env', [...env, PYTHON, WORKER, 'job', ...paths, join(folder, 'absent')])
  t.teardown(() => child.end('SIGKILL'))
  const began = (id: string) => until(async () =>
    (await all.engine.readJob('acme', 'job'))?.items.some(item => item.id === id && item.state === 'processing'), { what: `${id} begins: ${child.output()}` })
  const inState = (state: string) => until(async () => (await all.jobOf('job'))?.state === state, { what: `${state}: ${child.output()}` })
  return { ...all, folder, child, began, inState }
}

t.test('paused, cut off and resumed: every event once, and the request acknowledged', async t => {
  const { folder, child, began, inState, observer, engine, userDoes, refused, jobOf } = await startWorker(t, { a: 'aaa', gate: null, b: 'bbb' })
  await began('file_2')
  await userDoes('pause', 'job')
  await observer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await writeFile(join(folder, 'gate'), 'ggg')
  await inState('paused')
  await until(async () => (await jobOf('job'))?.control.acked)
  await userDoes('resume', 'job')
  await inState('completed')
  await until(() => !child.running())
  const { items, job } = (await engine.readJob('acme', 'job'))!
  t.match(job, { items_total: 4, counted: { completed: 3, failed: 1 } })
  t.equal(items.find(({ id }) => id === 'file_2')?.result_json, JSON.stringify(createHash('sha256').update('ggg').digest('hex')))
  t.match(items.find(({ id }) => id === 'file_4')?.error_json, /No such file/)
  const log = await engine.readLog('acme', 'job', 0)
  t.same(log!.events.flatMap(event => event.event === 'item' ? [`${event.name} ${event.item.id}`] : []), [
    'started file_1', 'completed file_1', 'started file_2', 'completed file_2', 'started file_3', 'completed file_3', 'started file_4', 'failed file_4'
  ])
  t.same(await refused(), [])
})

t.test('canceled in the middle: it stops, and says so', async t => {
  const { folder, child, began, inState, userDoes, jobOf } = await startWorker(t, { gate: null, b: 'bbb' })
  await began('file_1')
  await userDoes('cancel', 'job')
  await writeFile(join(folder, 'gate'), 'ggg')
  await inState('canceled')
  await until(() => !child.running())
  t.match((await jobOf('job'))!.counted, { completed: 1, failed: 0 })
})

t.test('without files it says how it is called', async t => {
  const child = await spawnGuarded(PYTHON, [WORKER])
  await until(() => !child.running())
  t.match(child.output(), readFileSync(WORKER, 'utf8').match(/REDIS_URL=\S+/)![0])
})
