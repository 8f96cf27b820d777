// What the README shows is what works: its commands, its workers, its links.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

t.setTimeout(180_000) // processes start slowly on a machine that runs all tests

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** Blocks of code in a language, in order. */
function blocks (language: string): string[] {
  return [...README.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(found => found[1] === language).map(found => found[2] ?? '')
}

async function startEngine (t: Test): Promise<{ engine: Engine, url: string }> {
  const redis = await startRedis()
  const engine = createEngine({ redis_url: redis.url })
  await engine.start()
  t.teardown(async () => {
    await engine.stop()
    await redis.stop()
  })
  return { engine, url: redis.url }
}

function run (command: string, args: string[], redisUrl: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, REDIS_URL: redisUrl } })
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
  return stdout
}

t.test('the two commands are on the first screen, each one line, and the second is what is run elsewhere', async t => {
  const screen = README.split('\n').slice(0, 40)
  for (const line of ['npm ci && npm start', 'npm ci && npm test']) t.ok(screen.includes(line), line)
  t.match(readFileSync(join(ROOT, '.ci/run'), 'utf8').split('\n'), [/^#!/, /^#/, /^cd /, 'npm ci && npm test'])
})

t.test('no command trusts the node of the system, which may be one that cannot run TypeScript', async t => {
  t.match(README, /npx node worker\.ts/)
  for (const page of ['README.md', 'src/README.md', ...readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]) {
    t.notMatch(readFileSync(join(ROOT, page), 'utf8'), /(?<!npx )\bnode [\w./-]+\.ts/, page)
  }
})

t.test('the worker in TypeScript does what it seems to do', async t => {
  const { engine, url } = await startEngine(t)
  const file = join(t.testdir({}), 'worker.ts')
  writeFileSync(file, (blocks('ts')[0] ?? '').replace("'./src/", `'${ROOT}src/`))
  run(process.execPath, [file], url)
  const { job, items } = await until(async () => {
    const read = await engine.readJob('demo', 'job_123')
    return read?.job.state === 'completed' ? read : null
  }, { what: 'the job is completed' })
  t.equal(job.counted.completed, 2)
  t.same(items.map(item => item.title), ['Video 2', 'Video 1'])
})

t.test('the lines for redis-cli do', async t => {
  const { engine, url } = await startEngine(t)
  run('/bin/sh', ['-c', blocks('sh').find(block => block.startsWith('redis-cli')) ?? 'false'], url)
  const { job } = await until(async () => await engine.readJob('demo', 'job_py'), { what: 'the job is known' })
  await until(async () => (await engine.readJob('demo', 'job_py'))?.job.counted.completed === 1, { what: 'its item is counted' })
  t.equal(job.items_total, 1)
})

t.test('links lead somewhere, in every page of the documentation', async t => {
  const pages = ['README.md', 'CHANGELOG.md', 'src/README.md', ...readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]
  for (const page of pages) {
    const links = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(found => found[1] ?? '')
    t.same(links.filter(link => !existsSync(join(ROOT, dirname(page), link))), [], page)
  }
})

t.test('files that the way of an event names exist', async t => {
  const named = [...readFileSync(join(ROOT, 'src/README.md'), 'utf8').matchAll(/`((?:worker|engine|gateway|client|dashboard|protocol)\/[\w./-]+\.(?:ts|lua))`/g)]
  t.ok(named.length > 10, 'the names were found')
  t.same(named.map(found => found[1] ?? '').filter(name => !existsSync(join(ROOT, 'src', name))), [])
})
