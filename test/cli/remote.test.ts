// The commands that talk to a running gateway, as processes of their own: what they print, how they end.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import t, { type Test } from 'tap'
import { call, privateRedis, SECRET, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const redis = await privateRedis(t)
const { url, engine } = await startGateway(t, redis)
const worker = await tokenOf({ tenant: 'demo', scope: WORKER_SCOPES })
const env = { PATH: process.env['PATH'] ?? '', HEADWAY_URL: url, HEADWAY_JWT_SECRET: SECRET, NO_COLOR: '1' }

interface Running { child: ChildProcess, out: () => string, err: () => string, ended: Promise<number | null> }

function start (t: Test, args: string[], more: Record<string, string> = {}, command = [process.execPath, HEADWAY, ...args]): Running {
  const [file = '', ...rest] = command
  const child = spawn(file, rest, { env: { ...env, ...more } })
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => { out += String(chunk) })
  child.stderr.on('data', chunk => { err += String(chunk) })
  t.teardown(() => { child.kill('SIGKILL') })
  return { child, out: () => out, err: () => err, ended: once(child, 'close').then(([code]) => code as number | null) }
}

async function headway (t: Test, args: string[], { input = '', more = {} }: { input?: string, more?: Record<string, string> } = {}) {
  const { child, out, err, ended } = start(t, args, more)
  child.stdin?.end(input)
  return { code: await ended, out: out(), err: err() }
}

const tell = async (path: string, body: unknown, method = 'POST') => await call(`${url}/v1/jobs${path}`, method, worker, body)

t.test('submit: one event, a file, and what is refused by its line', async t => {
  const one = await headway(t, ['submit', 'job.register', 'sub', '{"items_total":1500,"state":"running"}'])
  t.match(one, { code: 0, out: '', err: '' })
  t.match(await headway(t, ['submit', 'item.update', 'nobody', '{"id":"a"}']), { code: 1, err: /^unknown_job: / })

  const lines = Array.from({ length: 1500 }, (_, n) => JSON.stringify({ type: 'item.update', job: 'sub', data: { id: `i${n}`, state: 'completed' } }))
  lines.splice(1200, 0, '', '{"type":"item.update","job":"sub","data":{"id":"x","percent_complete":400}}')
  const file = join(t.testdir({}), 'events.ndjson')
  writeFileSync(file, lines.join('\n'))
  const many = await headway(t, ['submit', file])
  t.match(many, { code: 1, out: '1500 accepted, 1 rejected\n', err: /^line 1202: invalid_field: .*percent_complete.*\n$/ })
  t.equal((await engine.readJob('demo', 'sub'))?.job.counted.completed, 1500)
  const piped = await headway(t, ['submit', '-', '--json'], { input: `${lines[0]}\n` })
  t.equal(piped.code, 0)
  t.match(JSON.parse(piped.out), { accepted: 1, rejected: [], control: { state: 'running' } })

  await tell('/sub/control', { action: 'pause' })
  t.match(await headway(t, ['submit', 'job.heartbeat', 'sub']), { code: 0, out: /wants the job pausing: headway submit job\.heartbeat sub '\{"ack":"/ })

  t.match(await headway(t, ['submit', 'job.state', 'sub', '{oops']), { code: 2, err: /no JSON/ })
  t.match(await headway(t, ['submit', '/nowhere/at.all']), { code: 2, err: /cannot be read/ })
  t.match(await headway(t, ['submit', 'job.nonsense', 'sub', '{}']), { code: 2, err: /takes one file.*job\.register/ })
  t.match(await headway(t, ['submit', '-', '--tries', '1'], { input: '{}', more: { HEADWAY_URL: 'http://127.0.0.1:1' } }), { code: 1, err: /Nobody answers at http:\/\/127\.0\.0\.1:1/ })
})

t.test('jobs: the list, one, its items, what happened', async t => {
  await tell('', { id: 'listed', items_total: 3, state: 'running', title: 'Evil \u001b[31mtitle\nof two lines' })
  await tell('/listed/items/a', { state: 'completed', title: 'First' }, 'PUT')
  await tell('/listed/items/b', { state: 'failed', error: { code: 7 } }, 'PUT')
  await tell('', { id: 'later' })
  const list = await headway(t, ['jobs'])
  t.match(list, { code: 0, err: '' })
  const rows = list.out.trimEnd().split('\n')
  t.match(rows[0], /^later +pending +0\.0 % +0 completed of 0$/)
  t.match(rows[1], /^listed +running +33\.3 % +1 completed, 1 failed of 3 .*Evil title of two lines$/)
  t.notMatch(list.out, '\u001b')
  t.match((await headway(t, ['jobs', '--state', 'pending'])).out, /^later .*\n$/)
  t.match(JSON.parse((await headway(t, ['jobs', 'listed', '--json'])).out), { id: 'listed', items_failed: 1 })
  t.match((await headway(t, ['jobs', 'listed'])).out, /^listed {2}running\n█+░+ +33\.3 %\n[\s\S]*items +1 completed, 1 failed of 3/)
  t.match((await headway(t, ['jobs', 'listed', '--items', '--state', 'failed'])).out, /^b +failed +0\.0 % +\{"code":7\}\n$/)
  t.match((await headway(t, ['jobs', 'listed', '--timeline'])).out, /^\d{4}-.*Z +1 video\.completed a {2}First\n.* 2 video\.failed b\n$/)
  t.equal((await headway(t, ['jobs', 'sub', '--items', '--json', '--limit', '600'])).out.trim().split('\n').length, 600, 'over several pages')
  t.match(await headway(t, ['jobs', '--state', 'paused']), { code: 0, out: '', err: 'No jobs that are paused.\n' })
  t.match(await headway(t, ['jobs', 'none']), { code: 1, err: 'There is no job none. headway jobs lists those of tenant demo (--tenant names another one).\n' })
  t.match(await headway(t, ['jobs', '--state', 'flying']), { code: 2, err: /none of pending/ })
  t.match(await headway(t, ['jobs'], { more: { HEADWAY_TOKEN: 'forged' } }), { code: 1, err: /not valid here.* headway token makes one/ })
  const forged = { more: { HEADWAY_JWT_SECRET: 'another secret, of another deployment' } }
  t.match(await headway(t, ['jobs'], forged), { code: 1, err: /signed with the secret of HEADWAY_JWT_SECRET: the gateway has another one/ })
  t.match(await headway(t, ['jobs', 'a/b']), { code: 2, err: /^a\/b is no id of a job: 1 to 128 letters/ })
})

t.test('control: what came of it, and waiting until it is done', async t => {
  await tell('', { id: 'steered', state: 'running', items_total: 2 })
  const waiting = start(t, ['control', 'steered', 'pause', '--reason', 'lunch', '--wait'])
  const request = await until(async () => (await engine.readJob('demo', 'steered'))?.job.control.id, { what: 'the pause is asked for' })
  await tell('/steered/heartbeat', { ack: request })
  await tell('/steered/state', { state: 'paused' })
  t.equal(await waiting.ended, 0)
  t.equal(waiting.out(), 'steered: paused\n')
  t.equal(waiting.err(), '')
  await tell('', { id: 'stopped', state: 'running', items_total: 2 })
  await tell('/stopped/items/a', { state: 'processing' }, 'PUT')
  const seen = start(t, [], { TERM: 'xterm' }, ['script', '-qec', `${process.execPath} ${HEADWAY} control stopped cancel --wait`, '/dev/null'])
  await until(() => seen.out().includes('stopped: canceling; waiting for its worker'), { what: 'nobody waits in silence', timeout_ms: 20_000 })
  await tell('/stopped/state', { state: 'canceled' })
  t.equal(await seen.ended, 0)
  t.match(seen.out(), /\nstopped: canceled\r?\n$/)
  t.match(await headway(t, ['control', 'steered', 'pause']), { code: 0, out: 'steered: paused, as it was\n' })
  t.match(JSON.parse((await headway(t, ['control', 'steered', 'resume', '--json'])).out), { job_id: 'steered', action: 'resume', effect: 'applied', state: 'running' })
  await tell('/steered/state', { state: 'completed' })
  t.match(await headway(t, ['control', 'steered', 'pause']), { code: 1, err: /pause/ })
  t.match(await headway(t, ['control', 'steered']), { code: 2, err: /name a job/ })
  t.match(await headway(t, ['control', 'steered', 'jump']), { code: 2, err: /jump is none of these\nheadway control --help/ })
  t.match(await headway(t, ['control', 'nobody', 'pause']), { code: 1, err: /nobody.* headway jobs lists/ })
})

t.test('watch ends as the job does', async t => {
  const ends: [string, number][] = [['completed', 0], ['failed', 1], ['canceled', 2]]
  for (const [state, code] of ends) {
    await tell('', { id: `to-${state}`, items_total: 2, state: 'running', title: 'Two' })
    const watched = start(t, ['watch', `to-${state}`])
    await until(() => watched.out().includes('running '), { what: 'it watches', timeout_ms: 20_000 })
    await tell(`/to-${state}/items/a`, { state: 'completed' }, 'PUT')
    await tell(`/to-${state}/items/b`, { state: 'failed', error: 'disk \u001b]0;full' }, 'PUT')
    if (state === 'canceled') await tell(`/to-${state}/control`, { action: 'cancel', reason: 'enough' })
    await tell(`/to-${state}/state`, { state })
    t.equal(await watched.ended, code, state)
    t.match(watched.out(), new RegExp(`^\\S+Z running +0\\.0 %  0 completed of 2[\\s\\S]*b failed: disk[\\s\\S]*${state} +50\\.0 %  1 completed, 1 failed`), state)
    t.notMatch(watched.out(), '\u001b')
    t.match(await headway(t, ['watch', `to-${state}`]), { code, out: new RegExp(`^\\S+Z ${state} `) }, 'one that has ended already')
  }
})

t.test('watch as JSON waits for a job, and says when it cannot watch', async t => {
  const watched = start(t, ['watch', 'awaited', '--wait', '60', '--json'])
  await tell('', { id: 'other' })
  await tell('', { id: 'awaited', state: 'running' })
  await until(() => watched.out().includes('job.snapshot'), { what: 'it watches', timeout_ms: 20_000 })
  await tell('/awaited/state', { state: 'completed' })
  t.equal(await watched.ended, 0)
  const messages = watched.out().trim().split('\n').map(line => JSON.parse(line) as { type: string })
  t.equal(messages[0]?.type, 'job.snapshot')
  t.equal(messages.at(-1)?.type, 'job.completed')
  t.match(await headway(t, ['watch', 'nobody-at-all']), { code: 3, err: /nobody-at-all cannot be watched: There is no job/ })
  t.match(await headway(t, ['watch']), { code: 3, err: /headway watch <job>/ })
  t.match(await headway(t, ['watch', 'a', '--all']), { code: 3 })
  for (const what of ['a', '--all']) { // it would try for ever, and say nothing
    t.match(await headway(t, ['watch', what, '--url', 'http://127.0.0.1:1']), { code: 3, err: /^Nobody answers at http:\/\/127\.0\.0\.1:1/ }, what)
  }
})

t.test('watch draws on a terminal, and Ctrl-C leaves it as it was', async t => {
  await tell('', { id: 'drawn', items_total: 4, state: 'running', title: 'On a terminal' })
  await tell('/drawn/items/a', { state: 'completed', title: 'First one' }, 'PUT')
  const command = ['script', '-qec', `stty rows 20 cols 60; exec ${process.execPath} ${HEADWAY} watch drawn`, '/dev/null']
  const watched = start(t, [], { TERM: 'xterm', NO_COLOR: '' }, command)
  await until(() => /25\.0 %/.test(watched.out()), { what: 'the bar is drawn', timeout_ms: 20_000 })
  await tell('/drawn/items/b', { state: 'completed', title: 'Second one' }, 'PUT')
  await until(() => /50\.0 %/.test(watched.out()), { what: 'the bar grows', timeout_ms: 20_000 })
  t.match(watched.out(), '\u001b[?25l')
  t.match(watched.out(), /\u001b\[\d+A/, 'it is drawn in place')
  const text = stripVTControlCharacters(watched.out())
  t.match(text, /drawn {2}On a terminal/)
  t.match(text, /█{25}░{25} +50\.0 %/)
  t.match(text, /completed {2}Second one/)
  watched.child.stdin?.write('\u0003')
  t.equal(await watched.ended, 130)
  t.match(watched.out(), /\u001b\[\?25h/, 'the cursor is back')
})

t.test('watch --all tells of every job, until Ctrl-C', async t => {
  await tell('', { id: 'all-1', items_total: 4, state: 'running' })
  const lines = start(t, ['watch', '--all'])
  const json = start(t, ['watch', '--all', '--json'])
  const command = ['script', '-qec', `stty rows 12 cols 100; exec ${process.execPath} ${HEADWAY} watch --all`, '/dev/null']
  const drawn = start(t, [], { TERM: 'xterm' }, command)
  const all = [lines, json, drawn]
  await until(() => all.every(({ out }) => out().includes('all-1')), { what: 'they watch', timeout_ms: 20_000 })
  await tell('', { id: 'all-2', items_total: 2, state: 'running', title: 'Came later' })
  await tell('/all-2/items/a', { state: 'completed' }, 'PUT')
  await until(() => /all-2 running +50\.0 % {2}1 completed of 2/.test(lines.out()), { what: 'lines', timeout_ms: 20_000 })
  await until(() => json.out().split('\n').some(line => /"id":"all-2".*"percent_complete":50/.test(line)), { what: 'JSON', timeout_ms: 20_000 })
  await until(() => /all-2 +running +█{12}░{12} +50\.0 %.*Came later/.test(stripVTControlCharacters(drawn.out())), { what: 'bars', timeout_ms: 20_000 })
  t.match(stripVTControlCharacters(drawn.out()), /\d+ jobs, \d+ running/)
  for (const line of json.out().trim().split('\n')) t.ok((JSON.parse(line) as { id: string }).id)
  lines.child.kill('SIGINT')
  json.child.kill('SIGTERM')
  drawn.child.stdin?.write('\u0003')
  t.same(await Promise.all(all.map(({ ended }) => ended)), [130, 130, 130])
  t.match(await headway(t, ['watch', '--all'], { more: { HEADWAY_TOKEN: 'forged' } }), { code: 3, err: /not valid/ })
})

t.test('watch --all goes on when its gateway is replaced', async t => {
  const [port = 0] = await freePorts(1)
  const settings = { HEADWAY_PREFIX: engine.keys.prefix, WEBSOCKET_PORT: String(port) }
  const first = await startGateway(t, redis, settings)
  const watched = start(t, ['watch', '--all', '--json'], { HEADWAY_URL: first.url })
  await tell('', { id: 'before' })
  await until(() => watched.out().includes('"before"'), { what: 'it watches', timeout_ms: 20_000 })
  await first.gateway.stop()
  await tell('', { id: 'between' })
  await startGateway(t, redis, settings)
  t.equal(watched.err(), 'the line is cut, trying again…\n')
  await until(() => watched.out().includes('"between"'), { what: 'what happened meanwhile is told', timeout_ms: 30_000 })
  await tell('', { id: 'after' })
  await until(() => watched.out().includes('"after"'), { what: 'it goes on', timeout_ms: 20_000 })
})
