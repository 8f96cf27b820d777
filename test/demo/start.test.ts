// `headway start` as a user runs it: everything comes up, everything goes, however it ends, and a second start works.

import { once } from 'node:events'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
/** Two gateways and Redis on a machine that runs other tests too. */
const UP_WITHIN_MS = 40_000

interface Started { child: ChildProcess, said: () => string, children: () => number[] }

function start (t: Test, folder: string, port: number, more: string[] = []): Started {
  const { REDIS_URL: _, ...env } = process.env
  const args = ['start', '--data', `${folder}/data`, '--input', `${folder}/input`, '--port', String(port), ...more]
  const child = spawn(process.execPath, [HEADWAY, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  t.teardown(() => { child.kill('SIGKILL') })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => { text += String(chunk) })
  return { child, said: () => text, children: () => childrenOf(child.pid ?? 0) }
}

function childrenOf (pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
  return stdout.trim().split('\n').map(line => line.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid).map(([own = 0]) => own)
}

function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^Z/.test(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout)
  } catch {
    return false
  }
}

async function up (started: Started): Promise<string> {
  const found = await until(() => /http:\S+:(\d+)\/#token=(\S+)/.exec(started.said()), { what: started.said(), timeout_ms: UP_WITHIN_MS })
  return found[0]
}

async function finished (started: Started): Promise<void> {
  await until(() => started.said().includes('is completed'), { what: 'the sample job is completed', timeout_ms: UP_WITHIN_MS })
}

const input = { one: 'x'.repeat(5000), two: 'y'.repeat(100), folder: { three: 'z' } }

t.test('comes up, does its job, and a Ctrl-C leaves nothing; a second start works', async t => {
  const folder = t.testdir({ input })
  const [port = 0] = await freePorts(1)
  const first = start(t, folder, port)
  const [address, token = ''] = (await up(first)).split('#token=')
  t.equal((await fetch(`${address}v1/jobs`)).status, 401, 'closed without a token')
  await finished(first)
  const jobs = await (await fetch(`${address}v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).json() as { data: object[] }
  t.match(jobs.data, [{ state: 'completed', items_total: 3, items_completed: 3 }])
  const children = first.children()
  t.ok(children.length >= 4, 'Redis, two gateways, the guard')

  const again = start(t, folder, port)
  await once(again.child, 'exit')
  t.match(again.said(), /Headway runs here already: http/, 'one at a time in a folder')

  first.child.kill('SIGINT')
  const [code] = await once(first.child, 'exit')
  t.equal(code, 0)
  await until(() => !children.some(isAlive), { what: 'all processes are gone' })

  const second = start(t, folder, port)
  await up(second)
  await finished(second)
  const { data } = await (await fetch(`${address}v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).json() as { data: object[] }
  t.equal(data.length, 2, 'the old token is good still, and the old job is there')
  second.child.kill('SIGTERM')
  t.equal((await once(second.child, 'exit'))[0], 0)
})

t.test('a SIGKILL leaves nothing either; a taken port is passed over and said', async t => {
  const folder = t.testdir({ input })
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as { port: number }
  const started = start(t, folder, port)
  await up(started)
  t.match(started.said(), `Port ${port} is taken`)
  const children = started.children()
  started.child.kill('SIGKILL')
  await until(() => !children.some(isAlive), { what: 'the guard ended what was left', timeout_ms: 15_000 })
})

t.test('says what is wrong in a sentence', async t => {
  const folder = t.testdir({ input })
  const wrong = start(t, folder, 8765, ['--input', `${folder}/nowhere`])
  t.equal((await once(wrong.child, 'exit'))[0], 1)
  t.match(wrong.said(), /nowhere is not a folder\n$/)
  const misspelt = start(t, folder, 8765, ['--filse', '3'])
  t.equal((await once(misspelt.child, 'exit'))[0], 1)
  t.match(misspelt.said(), /Unknown option '--filse'/)
})
