// What others install: packed, installed into an empty project, run by the system's Node and by ours, type-checked and bundled.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import t from 'tap'
import { tokenOf, WORKER_SCOPES } from './gateway/support.ts'
import { startRedis } from './support/redis.ts'
import { spawnGuarded } from './support/child.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))
const CLIENT_BYTES_MAX = 10 * 1_024
const execute = promisify(execFile)

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'headway-package-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** The first node of PATH that npm has not put there; null = there is none but ours. */
function systemPath (): string {
  return (process.env['PATH'] ?? '').split(delimiter).filter(part => !part.includes('node_modules')).join(delimiter)
}

const inProject = { cwd: folder, maxBuffer: 16 * 1_024 ** 2 }
const systemEnv = { ...process.env, PATH: systemPath() }
/** Both versions: the system's, and the one that runs this test. */
const NODES: [string, NodeJS.ProcessEnv][] = [['the system\'s Node', systemEnv], ['ours', process.env]]

await t.test('it packs, and installs into an empty project', async t => {
  const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], { cwd: PROJECT, maxBuffer: 64 * 1_024 ** 2 })
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [{ filename: string, files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  for (const wanted of ['package.json', 'README.md', 'LICENSE', 'dist/engine/lua/drain.lua', 'dist/dashboard/style.css', 'dist/cli/headway.js', 'deploy/supabase/0001_tables.sql']) {
    t.ok(paths.includes(wanted), wanted)
  }
  t.notOk(paths.some(path => /^(?:src|test|bench)\//.test(path)), 'neither sources nor tests')
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'empty', version: '1.0.0', type: 'module' }))
  await execute('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`, '@types/node@24'], inProject)
})

t.test('every entry can be imported, by the system\'s Node too', async t => {
  writeFileSync(join(folder, 'entries.js'), `
    import { ProgressMonitor } from 'headway/worker'
    import { createClient } from 'headway/client'
    import { JOB_STATES, jobMetrics, partitionOf } from 'headway/protocol'
    for (const [name, one] of Object.entries({ ProgressMonitor, createClient, jobMetrics, partitionOf })) if (typeof one !== 'function') throw new Error(name)
    console.log(process.versions.node, JOB_STATES.length)
  `)
  for (const [what, env] of NODES) {
    const { stdout } = await execute('node', ['entries.js'], { ...inProject, env })
    t.match(stdout, /^\d+\.\d+\.\d+ 9\n$/, `${what}: ${stdout.trim()}`)
  }
})

t.test('the command runs from the package: a gateway with its scripts and its page', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const bin = join(folder, 'node_modules/.bin/headway')
  const { stdout } = await execute(bin, ['--help'], { ...inProject, env: systemEnv })
  t.match(stdout, /gateway/)
  const settings = {
    REDIS_URL: redis.url,
    HEADWAY_JWT_SECRET: 'a secret of the tests, of thirty-two characters',
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: '0',
    HEADWAY_INTERNAL_HOST: '127.0.0.1',
    HEADWAY_INTERNAL_PORT: '0'
  }
  const child = await spawnGuarded('/usr/bin/env', [...Object.entries(settings).map(pair => pair.join('=')), bin, 'gateway'])
  t.teardown(() => child.end('SIGKILL'))
  let port = 0
  for (let waited = 0; port === 0 && waited < 600; waited++) {
    port = Number(/"port":(\d+)/.exec(child.output())?.[1] ?? 0)
    if (!child.running()) throw new Error(child.output())
    await once(AbortSignal.timeout(50), 'abort')
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200)
  const page = await (await fetch(`http://127.0.0.1:${port}/`)).text()
  const scripts = [...page.matchAll(/<script[^>]* src="([^"]+)"/g)].map(([, src = '']) => src)
  t.ok(scripts.length > 0)
  for (const src of scripts) t.equal((await fetch(`http://127.0.0.1:${port}${src}`)).status, 200, src)

  writeFileSync(join(folder, 'worker.js'), `
    import { ProgressMonitor } from 'headway/worker'
    const { id, ...options } = JSON.parse(process.argv[2])
    const monitor = new ProgressMonitor({ ...options, tenantId: 'acme' })
    const changes = []
    const ended = new Promise(resolve => monitor.addStateChangeHandler((_, prior, next) => {
      changes.push(next)
      if (next === 'completed') resolve()
    }))
    await monitor.startMonitoring()
    await monitor.registerJob(id, { items_total: 1 })
    await monitor.updateJobState(id, 'running')
    await monitor.job(id).waitWhilePaused()
    await monitor.updateItemProgress(id, { id: 'a', state: 'completed' })
    await monitor.updateJobState(id, 'completed')
    await ended
    console.log(changes.join(), monitor.getAllJobsStatus()[id].percent_complete)
    await monitor.close()
  `)
  const ways = { redis: { redisUrl: redis.url }, http: { gatewayUrl: `http://127.0.0.1:${port}`, token: await tokenOf({ scope: WORKER_SCOPES }) } }
  for (const [n, [what, env]] of NODES.entries()) {
    for (const [way, options] of Object.entries(ways)) {
      const { stdout } = await execute('node', ['worker.js', JSON.stringify({ id: `${way}-${n}`, ...options })], { ...inProject, env })
      t.equal(stdout, 'running,completed 100\n', `a worker over ${way}, by ${what}`)
    }
  }
})

t.test('types check in a strict project', async t => {
  mkdirSync(join(folder, 'typed'), { recursive: true })
  writeFileSync(join(folder, 'typed/app.ts'), `
    import { type JobStopped, ProgressMonitor, type WorkerJob } from 'headway/worker'
    import { createClient, type WatchView } from 'headway/client'
    import type { JobState } from 'headway/protocol'
    const client = createClient({ url: 'https://headway.example', getToken: () => 'token' })
    const watch = client.watch('job_123')
    const view: WatchView = watch.getSnapshot()
    const state: JobState | undefined = view.job?.state
    // @ts-expect-error: there is no such state
    const wrong: JobState = 'sleeping'
    const monitor = new ProgressMonitor({ redisUrl: 'redis://localhost' })
    const job: WorkerJob = monitor.job('job_123')
    const leave: () => void = monitor.addStateChangeHandler((jobId: string, prior: JobState, next: JobState, reason: string | null) => {})
    monitor.addProgressHandler((jobId, progress) => progress.percent_complete.toFixed(1))
    const limited: boolean = monitor.isRateLimited('job_123')
    const why = (): JobStopped | null => job.signal.aborted ? job.signal.reason : null
    export { state, wrong, leave, limited, why }
  `)
  writeFileSync(join(folder, 'typed/tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: ['node'], lib: ['es2023', 'dom', 'dom.iterable']
    }
  }))
  const compiler = join(PROJECT, 'node_modules/typescript/bin/tsc')
  const checked = await execute(process.execPath, [compiler, '-p', 'typed'], inProject).catch((error: { stdout: string }) => error)
  t.equal(checked.stdout, '')
})

t.test('the client bundles for browsers, small', async t => {
  writeFileSync(join(folder, 'browser.js'), 'export { createClient } from \'headway/client\'\n')
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'browser.js')], bundle: true, minify: true, format: 'esm', platform: 'browser', write: false, logLevel: 'silent'
  })
  const bytes = gzipSync(outputFiles[0]!.contents, { level: 9 }).length
  t.comment(`the client is ${bytes} bytes, gzipped`)
  t.ok(bytes <= CLIENT_BYTES_MAX, `${bytes} bytes of at most ${CLIENT_BYTES_MAX}`)
  writeFileSync(join(folder, 'unused.js'), 'import { createClient } from \'headway/client\'\nexport const nothing = 1\n')
  const unused = await build({ entryPoints: [join(folder, 'unused.js')], bundle: true, minify: true, format: 'esm', platform: 'browser', write: false, logLevel: 'silent' })
  t.ok(unused.outputFiles[0]!.contents.length < 100, 'what is not used costs nothing')
})

t.test('what package.json promises is there', async t => {
  const { exports, bin } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { exports: Record<string, unknown>, bin: Record<string, string> }
  const files = [...Object.values(exports).flatMap(one => typeof one === 'string' ? [one] : Object.values(one as Record<string, string>)), ...Object.values(bin)]
  for (const file of files) t.ok(readFileSync(join(folder, 'node_modules/headway', file)).length > 0, file)
})
