// The image without an engine: the steps of deploy/Dockerfile carried out in a clean folder, then its own command and its own health
// check, with a real Redis. What an engine alone can show (layers, the base image) stays unproved here.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DockerfileParser } from 'dockerfile-ast'
import t from 'tap'
import { freePorts } from '../support/ports.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const steps = DockerfileParser.parse(readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8')).getInstructions()
  .map(step => ({ word: step.getKeyword().toUpperCase(), text: step.getTextContent().replace(/^\w+\s+/, '').replace(/\\\n\s*/g, '') }))
const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
const listOf = (word: string): string[] => JSON.parse(steps.findLast(step => step.word === word)?.text ?? '[]') as string[]

interface Manifest {
  version: string
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  /** `node_modules/<name>` of what the image brings along, be it for development too. */
  transitive: Set<string>
}

const manifest = readManifest()

function readManifest (): Manifest {
  const { version, dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> }
  return { version, dependencies, devDependencies, transitive: new Set(Object.keys(packages).filter(path => packages[path]?.dev !== true)) }
}

/** Whether a path of the repository is in what the engine is given: the last line that fits decides. */
function isSent (path: string): boolean {
  return ignored.reduce((sent, line) => {
    const pattern = line.replace(/^!/, '')
    return pattern === '*' || path === pattern || path.startsWith(`${pattern}/`) ? line.startsWith('!') : sent
  }, true)
}

/** Carries out COPY and RUN of every stage in a folder of its own. @returns the last stage's /app */
function build (folder: string): string {
  const stages = new Map<string, string>()
  let app = ''
  for (const { word, text } of steps) {
    if (word === 'FROM') {
      app = join(folder, String(stages.size), 'app')
      mkdirSync(app, { recursive: true })
      stages.set(/ AS (\w+)$/.exec(text)?.[1] ?? 'last', app)
    }
    // What `npm ci` of all makes is what these tests run in: minutes for nothing new.
    if (word === 'RUN' && text.startsWith('npm ci') && !text.includes('--omit=dev')) symlinkSync(join(ROOT, 'node_modules'), join(app, 'node_modules'))
    else if (word === 'RUN') {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', text], { cwd: app, encoding: 'utf8', env: { ...process.env, npm_config_prefer_offline: 'true' } })
      if (status !== 0) throw new Error(`RUN ${text}: ${stdout}${stderr}`)
    }
    if (word !== 'COPY') continue
    const words = text.split(/\s+/)
    const from = /^--from=(\w+)$/.exec(words[0] ?? '')?.[1]
    const [target = '', ...sources] = words.slice(from === undefined ? 0 : 1).reverse()
    for (const source of sources) {
      const to = join(app, target.endsWith('./') ? source : target)
      if (from === undefined) cpSync(join(ROOT, source), to, { recursive: true, filter: path => isSent(path.slice(ROOT.length).replace(/\/$/, '')) })
      else cpSync(join(dirname(stages.get(from) ?? ''), source), to, { recursive: true, verbatimSymlinks: true })
    }
  }
  return app
}

t.setTimeout(300_000)

t.test('the Dockerfile: stages of one small base, not root, signals to node itself', async t => {
  const bases = steps.filter(({ word }) => word === 'FROM').map(({ text }) => text.split(' ')[0])
  t.ok(bases.length > 1)
  t.same([...new Set(bases)], ['node:24-bookworm-slim'])
  const last = steps.slice(steps.findLastIndex(({ word }) => word === 'FROM'))
  t.ok(last.some(({ word, text }) => word === 'USER' && text === 'node'))
  t.equal(listOf('ENTRYPOINT')[0], 'node', 'no shell stands between')
  t.match(listOf('ENTRYPOINT').join(' '), /--max-semi-space-size=4/)
  t.notOk(steps.some(({ word }) => word === 'ADD'))
  t.ok(last.some(({ word, text }) => word === 'ARG' && text === 'REVISION=""'), 'the source may be named when it is built')
  t.ok(last.some(({ word, text }) => word === 'ENV' && /^HEADWAY_REVISION="\$\{REVISION\}"$/.test(text)), 'and is told by what runs')
})

t.test('what runs needs no package that only development has', async t => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts') && !name.startsWith('demo/'))
  const needed = new Set(sources.flatMap(name => [...readFileSync(join(ROOT, 'src', name), 'utf8')
    .matchAll(/^(?:import|export)(?! type)[^'"`;]*?from '([^.'][^']*)'|\bimport\('([^.'][^']*)'\)|^import '([^.'][^']*)'/gm)]
    .map(([, from, lazy, bare]) => from ?? lazy ?? bare ?? '').filter(found => !found.startsWith('node:'))
    .map(found => found.split('/').slice(0, found.startsWith('@') ? 2 : 1).join('/'))))
  t.ok(needed.has('fastify') && needed.has('pg'), 'the imports were found')
  t.same([...needed].filter(name => !(name in manifest.dependencies)), ['react'], 'react is the page\'s own, of those who use headway/react')
})

t.test('its steps make a folder that serves, is healthy, and ends by SIGTERM', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-image-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  const app = build(folder)
  for (const absent of ['src', 'dist/demo', 'dist/cli/start.js', 'test', 'scripts', 'tsconfig.json', ...Object.keys(manifest.devDependencies).map(name => `node_modules/${name}`)]) {
    if (!manifest.transitive.has(absent)) t.notOk(existsSync(join(app, absent)), `no ${absent}`)
  }
  for (const present of ['dist/engine/lua/drain.lua', 'dist/dashboard/index.html', 'deploy/supabase/0001_tables.sql']) t.ok(existsSync(join(app, present)), present)
  const version = spawnSync(process.execPath, [...listOf('ENTRYPOINT').slice(1), '--version'], { cwd: app, encoding: 'utf8' })
  t.match(version, { status: 0, stdout: `headway ${manifest.version}, node ` })
  t.match(spawnSync(process.execPath, [...listOf('ENTRYPOINT').slice(1), '--version'], { cwd: app, encoding: 'utf8', env: { HEADWAY_REVISION: 'abc1234' } }).stdout,
    /, revision abc1234\n$/)
  const redis = await startRedis()
  t.teardown(async () => { await redis.stop() })
  const [port = 0, internal = 0] = await freePorts(2)
  const env = {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    REDIS_URL: redis.url,
    HEADWAY_JWT_SECRET: 'a secret of these tests, longer than thirty-two characters',
    WEBSOCKET_PORT: String(port),
    HEADWAY_INTERNAL_PORT: String(internal),
    HEADWAY_DRAIN_WINDOW_MS: '0'
  }
  const check = /CMD (\[.*\])$/.exec(steps.find(({ word }) => word === 'HEALTHCHECK')?.text ?? '')?.[1] ?? '[]'
  const healthy = (): number | null => spawnSync(process.execPath, (JSON.parse(check) as string[]).slice(1), { env }).status
  t.equal(healthy(), 1, 'before it runs the health check says no')

  const child = spawn(process.execPath, [...listOf('ENTRYPOINT'), ...listOf('CMD')].slice(1), { cwd: app, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  let output = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  await until(() => output.includes('"event":"listening"') || child.exitCode !== null)
  t.equal(healthy(), 0)
  t.match(await (await fetch(`http://127.0.0.1:${internal}/readyz`)).json(), { status: 'ok' })
  t.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /<html/, 'the dashboard is there')
  const run = (args: string[], more: Record<string, string> = {}) =>
    spawnSync(process.execPath, [...listOf('ENTRYPOINT').slice(1), ...args], { cwd: app, encoding: 'utf8', env: { ...env, ...more } })
  t.match(run(['doctor']).stdout, /all \d+ scripts load[\s\S]*gateways are at work/)
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  t.match(run(['migrate', '--dry-run'], { HEADWAY_POSTGRES_URL: postgres.url }), { status: 0, stdout: /^would run 0001_tables\.sql$/m }, 'the schema is in it')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  t.equal(code, 0)

  const help = spawnSync(process.execPath, [...listOf('ENTRYPOINT').slice(1), '--help'], { cwd: app, encoding: 'utf8' })
  t.match(help, { status: 0, stdout: /persister/ })
  t.notMatch(help.stdout, /^ {2}start/m, 'the demo is no command of the image')
})
