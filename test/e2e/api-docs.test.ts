// docs/api.md is run as it stands: every curl line, against real gateways, and what it answers is held against what the page shows.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { ERRORS } from '../../src/protocol/errors.ts'
import { call, Client, privateRedis, startGateway, tokenOf, WORKER_SCOPES, type Running } from '../gateway/support.ts'
import { startHouse } from '../archive/support.ts'
import { runJob } from '../persister/support.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // some hundred processes of curl on a machine that runs all tests

interface Example { heading: string, command: string, kind: 'json' | 'text', status: number, shown: string }
interface Answer { status: number, type: string, body: string }

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/api.md', import.meta.url)), 'utf8')
/** Prints the body, and what curl knows of the answer on a last line. */
const CURL = 'curl() { command curl -w \'\\n%{http_code} %{content_type}\' "$@"; }\n'

const examples = [...PAGE.matchAll(/^(?:#{2,3} (.+)|```sh\n((?:(?!```)[\s\S])*)```\n```(json|text) (\d+).*\n([\s\S]*?)```)$/gm)].reduce<Example[]>((all, found) => {
  const [, heading, command = '', kind, status, shown = ''] = found
  if (heading !== undefined) return [...all, { heading, command: '', kind: 'text', status: 0, shown: '' }]
  return [...all, { heading: all.at(-1)?.heading ?? '', command, kind: kind as 'json' | 'text', status: Number(status), shown }]
}, []).filter(({ command }) => command !== '')

const redis = await privateRedis(t)
const running = await startGateway(t, redis, { HEADWAY_ITEMS_MAX: '3' })
const { engine } = running
const token = await tokenOf({ tenant: 'demo', scope: WORKER_SCOPES })
const tokens = {
  TOKEN: token,
  READER: await tokenOf({ tenant: 'demo', scope: 'jobs:read' }),
  YESTERDAYS: await tokenOf({ tenant: 'demo', expires_in_s: -86_400 })
}

async function run (command: string, { url }: Running = running): Promise<Answer> {
  const script = CURL + command.replaceAll('localhost:8765', new URL(url).host)
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', script], { env: { ...tokens, PATH: process.env['PATH'] ?? '' } })
  const at = stdout.lastIndexOf('\n')
  const [status, type = ''] = stdout.slice(at + 1).split(' ')
  return { status: Number(status), type: type.replace(/;.*/, ''), body: stdout.slice(0, at) }
}

/** @returns where the answer is not what is shown; `…` stands for anything, further fields do not matter */
function differences (shown: unknown, real: unknown, path = ''): string[] {
  if (shown === '…') return real === undefined ? [`${path} is absent`] : []
  if (typeof shown === 'string' && typeof real === 'string') return patternOf(shown).test(real) ? [] : [`${path} is ${real}`]
  if (typeof shown !== 'object' || shown === null) return shown === real ? [] : [`${path} is ${JSON.stringify(real)}`]
  if (typeof real !== 'object' || real === null) return [`${path} is ${JSON.stringify(real)}`]
  if (Array.isArray(shown) && shown.length !== (real as unknown[]).length) return [`${path} has ${(real as unknown[]).length} rows`]
  return Object.entries(shown).flatMap(([name, one]) => differences(one, (real as Record<string, unknown>)[name], `${path}.${name}`))
}

function patternOf (text: string): RegExp {
  return new RegExp(`^${text.split('…').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`)
}

const register = async ({ url }: Running, id: string): Promise<void> => { await call(`${url}/v1/jobs`, 'POST', token, { id }) }

/** What must be the case before an example. @returns the gateway that it is for */
const PREPARE: Record<string, (example: Example) => Promise<Running>> = {
  async 'Stored, but not confirmed' () {
    const held = await startGateway(t, redis)
    await register(held, 'job_202')
    const { ingest } = held.engine.keys.partition(held.engine.keys.job('demo', 'job_202').partition)
    await held.engine.connections.command.xadd(ingest, '*', 'b', '9\nof a newer build')
    return held
  },
  async idempotency_conflict ({ command }) {
    await run(command)
    const key = engine.keys.idempotent('demo', 'key-2')
    const kept = await engine.connections.command.get(key) ?? ''
    await engine.connections.command.set(key, kept.replace(/[^\t]*$/, ''), 'PX', 30_000) // as its gateway would have left it
    return running
  },
  too_many_requests: () => startGateway(t, redis, { HEADWAY_TENANT_REQUESTS_PER_S: '1' }),
  async overloaded () {
    const full = await startGateway(t, redis, { HEADWAY_SOCKETS_MAX: '1' })
    await new Client(`${full.url}/v1/ws?token=${token}`).open()
    return full
  },
  async not_ready () {
    const leaving = await startGateway(t, redis, { HEADWAY_DRAIN_WINDOW_MS: '5000' })
    const clients = await Promise.all(Array.from({ length: 12 }, () => new Client(`${leaving.url}/v1/ws?token=${token}`).open()))
    void leaving.gateway.stop()
    await until(() => clients.some(({ closed }) => closed !== null), { what: 'the first socket is closed' })
    return leaving
  },
  newer_format: () => damage('job_5', header => header.replace(/^1/, '9')),
  internal: () => damage('job_6', header => `1${header.split('\t').slice(-2).map(column => `\t${column}`).join('')}`),
  async 'Jobs that have left Redis' () {
    archived ??= await archivedJob()
    return archived
  },
  archive_unavailable: () => startGateway(t, redis, { SUPABASE_URL: 'http://127.0.0.1:1', SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_none' }),
  async redis_unavailable () {
    await redis.kill()
    return running
  }
}

let archived: Running | null = null
async function archivedJob (): Promise<Running> {
  const gateway = await (await startHouse(t)).gateway(t)
  await runJob(gateway.engine, 'job_old', 2, 'demo')
  await gateway.persist()
  await gateway.gone('job_old', 'demo')
  return gateway
}

async function damage (id: string, change: (header: string) => string): Promise<Running> {
  await register(running, id)
  const { key } = engine.keys.job('demo', id)
  const header = await engine.connections.command.hget(key, '_') ?? ''
  await engine.connections.command.hset(key, '_', change(header))
  return running
}

t.test('each example answers as it shows', async t => {
  t.ok(examples.length > 45, 'the examples were found')
  for (const example of examples) {
    const { heading, command, kind, status, shown } = example
    const gateway = await PREPARE[heading]?.(example) ?? running
    const answer = await run(command, gateway)
    const what = `${heading}: ${command.trim().split('\n').at(-1)?.slice(0, 90)}`
    t.equal(answer.status, status, `${what}\n${answer.body.slice(0, 400)}`)
    if (kind === 'json') {
      t.equal(answer.type, status >= 400 ? 'application/problem+json' : 'application/json', what)
      t.same(differences(JSON.parse(shown), JSON.parse(answer.body)), [], `${what}\n${answer.body.slice(0, 600)}`)
      if (status >= 400) t.equal((JSON.parse(answer.body) as { code: string }).code, heading, what)
    } else {
      const lines = answer.body.split('\n')
      t.same(shown.trim().split('\n').filter((line, at) => !patternOf(line).test(lines[at] ?? '')), [], `${what}\n${answer.body.slice(0, 600)}`)
    }
  }
})

t.test('no route is left out', async t => {
  const { url } = await startGateway(t, await privateRedis(t))
  const { paths } = await (await fetch(`${url}/openapi.json`)).json() as { paths: Record<string, object> }
  const told = [...PAGE.matchAll(/^### (.+)$/gm)].flatMap(([, heading = '']) => heading.split(/, /).flatMap(part => {
    const [method, ...addresses] = part.split(' ')
    return addresses.map(address => `${method} ${address}`)
  }))
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`))
  t.same(routes.filter(route => !told.includes(route)), [])
})

t.test('every code has its example, or says where else it comes', async t => {
  const [, table = ''] = PAGE.split('### Codes that do not come over HTTP')
  const elsewhere = [...table.matchAll(/^\|([^|]+)\|/gm)].flatMap(([, codes = '']) => [...codes.matchAll(/`(\w+)`/g)].map(found => found[1] ?? ''))
  const shown = examples.map(({ heading }) => heading).filter(heading => heading in ERRORS)
  t.same([...new Set([...elsewhere, ...shown])].sort(), Object.keys(ERRORS).sort())
  t.same(elsewhere.filter(code => shown.includes(code)), [])
})
