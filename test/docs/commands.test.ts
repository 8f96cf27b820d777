// Every command of the README and the pages is run where it can run here, against a real gateway, and else held against what it names:
// files, manifests, options of kubectl. A command that nothing below knows fails.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import type { Command } from '../../src/cli/command.ts'
import { findProgram } from '../../src/demo/system-programs.ts'
import { createProbes } from '../../src/persister/probes.ts'
import { wantedOf } from '../chaos/run.ts'
import { call, SECRET, startGateway, tokenOf, WORKER_SCOPES } from '../gateway/support.ts'
import { kustomizations, podOf, sourceManifests, type Manifest } from '../k8s/manifests.ts'
import { familyOf, queryOf } from '../k8s/promql.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'
import { commands, languages, ROOT, wordsOf } from './commands.ts'

t.setTimeout(230_000) // processes start slowly on a machine that runs all tests

const HEADWAY = join(ROOT, 'src/cli/headway.ts')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
// As the pages want it: doctor finds no problem.
const redis = await startRedis({ flags: ['--appendonly', 'yes', '--maxmemory', '2gb', '--hash-max-listpack-value', '4096'] })
t.teardown(() => redis.stop())
// Not the tests' own prefix: what the pages say to Redis begins with hw.
const { url, internal_url: internalUrl, engine } = await startGateway(t, redis, { HEADWAY_PREFIX: 'hw', HEADWAY_CONTROL_TIMEOUT_MS: '100' })
const probes = createProbes({ persister: () => undefined, ping: async () => true })
const persisterPort = await probes.start('127.0.0.1', 0)
t.teardown(() => probes.stop())
const token = await tokenOf({ tenant: 'demo', scope: WORKER_SCOPES })
const folder = mkdtempSync(join(tmpdir(), 'headway-commands-'))
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
writeFileSync(join(folder, 'headway'), `#!/bin/sh\nexec '${process.execPath}' '${HEADWAY}' "$@"\n`, { mode: 0o755 })
const env = {
  PATH: `${folder}:${process.env['PATH'] ?? ''}`, REDIS_URL: redis.url, HEADWAY_URL: url, HEADWAY_JWT_SECRET: SECRET, TOKEN: token, NO_COLOR: '1'
}

interface Run { status: number | null, out: string, err: string }

/** @param until what it must have said before it is told to stop */
async function shell (t: Test, text: string, more: Record<string, string> = {}, said: RegExp | null = null): Promise<Run> {
  const child = spawn('/bin/sh', ['-c', said === null ? text : `exec ${text}`], { cwd: ROOT, env: { ...env, ...more } })
  t.teardown(() => { child.kill('SIGKILL') })
  const run: Run = { status: null, out: '', err: '' }
  child.stdout.on('data', chunk => { run.out += String(chunk) })
  child.stderr.on('data', chunk => { run.err += String(chunk) })
  const closed = new Promise<void>(resolve => {
    child.once('close', code => {
      run.status = code
      resolve()
    })
  })
  if (said !== null) {
    await until(() => said.test(run.out) || child.exitCode !== null, { what: `${text} says ${String(said)}`, timeout_ms: 60_000 })
    child.kill('SIGINT')
  }
  await closed
  return run
}

const asWorker = async (method: string, path: string, body: object): Promise<unknown> => await call(`${url}/v1/jobs${path}`, method, token, body)
const manifests = sourceManifests().map(({ manifest }) => manifest)
const namespaces = kustomizations().flatMap(({ manifest }): string[] => manifest.namespace ?? [])

/** `<secret> <key>` that the manifests name. */
const secrets = manifests.flatMap(manifest => podOf(manifest)?.containers ?? []).flatMap((one: Manifest): Manifest[] => one.env ?? [])
  .flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []).map(({ name, key }: Manifest) => `${name} ${key}`)

/** The command's own help knows each option. */
async function optionsAreKnown (t: Test, words: readonly string[]): Promise<void> {
  const [name = '', ...rest] = words
  t.ok(existsSync(join(ROOT, `src/cli/${name}.ts`)), `${name} is a command`)
  const help = await (await import(join(ROOT, `src/cli/${name}.ts`)) as { command: Command }).command.help()
  for (const option of rest.filter(word => word.startsWith('--') && word !== '--help')) t.match(help, new RegExp(`${option}\\b`), option)
}

const VERBS = /^(create|secret|generic|namespace|delete|apply|wait|get|kustomize|port-forward|exec|logs)$/

async function kubectl (t: Test, text: string): Promise<void> {
  const words = wordsOf(text.replace(/ -- .*/, '')).slice(1)
  const verb = words.filter(word => VERBS.test(word)).slice(0, 3)
  const valueOf = (option: string): string | undefined => words[words.indexOf(option) + 1 || words.length]
  const objects = manifests.map(({ kind, metadata }) => `${String(kind).toLowerCase()} ${metadata.name}`)
  const has = (kind: string, name: string): boolean => objects.some(one => one.startsWith(kind) && one.endsWith(` ${name}`))
  const namespace = valueOf('-n')
  if (namespace !== undefined) t.ok(namespaces.includes(namespace), `${namespace} is a namespace of an overlay`)
  const path = valueOf('-k') ?? (verb[0] === 'kustomize' ? words.at(-1) : undefined)
  if (path !== undefined) t.ok(existsSync(join(ROOT, path, 'kustomization.yaml')), `${path} is there`)
  if (verb[1] === 'namespace') t.ok(namespaces.includes(words.at(-1) ?? ''))
  for (const [, kind = '', name = ''] of text.matchAll(/\b(job|deploy)[/ ]([a-z-]+)/g)) t.ok(has(kind, name), `${kind} ${name}`)
  const [label = '', value] = valueOf('-l')?.split('=') ?? []
  if (value !== undefined) t.ok(manifests.some(one => one.spec?.template?.metadata.labels?.[label] === value), `${label}=${value} selects pods`)
  const ports = manifests.flatMap(one => podOf(one)?.containers[0].ports ?? []).map((one: Manifest) => String(one.containerPort))
  if (verb[0] === 'port-forward') t.ok(ports.includes(words.at(-1) ?? ''), 'a port of a pod')
  const inside = / -- (.*)/.exec(text)?.[1]
  if (inside !== undefined) {
    const entry = /^ENTRYPOINT (.*)$/m.exec(readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8'))?.[1] ?? '[]'
    t.ok(inside.startsWith(`node ${(JSON.parse(entry) as string[]).at(-1)} `), 'as the image starts it')
    await optionsAreKnown(t, wordsOf(inside).slice(2))
  }
  if (findProgram(['kubectl']) === null) return t.comment('kubectl is not installed: its options are not looked at')
  const help = ['options', [...verb, '--help']].map(args => spawnSync('kubectl', [args].flat(), { encoding: 'utf8' }).stdout).join('\n')
  for (const option of words.filter(word => word.startsWith('-'))) t.match(help, new RegExp(`(^|\\s)${option.replace(/=.*/, '')}\\b.*[=:]`, 'm'), option)
  if (verb[1] !== 'secret') return
  const made = parse((await shell(t, `${text} --dry-run=client -o yaml`)).out) as Manifest
  for (const key of Object.keys(made.data)) t.ok(secrets.includes(`${made.metadata.name} ${key}`), `${made.metadata.name}: ${key} is what the manifests name`)
}

/** What it makes is what the manifests run; without the engine that would make it. */
function dockerBuild (t: Test, text: string): void {
  const words = wordsOf(text)
  const valueOf = (option: string): string => words[words.indexOf(option) + 1] ?? ''
  const file = join(ROOT, valueOf('-f'))
  t.ok(existsSync(file) && words.at(-1) === '.', 'from the root')
  t.match(readFileSync(file, 'utf8'), new RegExp(`^ARG ${valueOf('--build-arg').split('=')[0]}=`, 'm'))
  const images = kustomizations().flatMap(({ manifest }): Manifest[] => manifest.images ?? []).map(({ newName, newTag }) => `${newName}:${newTag}`)
  t.ok(images.includes(valueOf('-t')), `${valueOf('-t')} is what an overlay runs`)
  if (findProgram(['docker']) === null) return t.comment('docker is not installed: its options are not looked at')
  const help = spawnSync('docker', ['build', '--help'], { encoding: 'utf8' }).stdout
  for (const option of words.filter(word => /^--?[a-z]/.test(word))) t.match(help, new RegExp(`(^|\\s)${option}\\b`, 'm'), option)
}

function queryIsTold (t: Test, text: string): void {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')
  for (const { metric } of queryOf(text).asked) t.ok(metric.startsWith('nodejs_') || page.includes(`| \`${familyOf(metric)}\` |`) || page.includes(`| \`${metric}\` |`), metric)
}

/** Answered by the running Redis. */
async function asksRedis (t: Test, text: string): Promise<void> {
  const [word = '', ...rest] = wordsOf(text.replaceAll('{p<N>}', '{p0}').replaceAll('{pN}', '{p0}').replaceAll('<tenant>/<job>', 'demo/job_123'))
  // SCRIPT LOAD and CONFIG GET are named as rights that a user needs.
  if (rest.length > 1 || (word !== 'CONFIG' && word !== 'SCRIPT')) await t.resolves(engine.connections.command.call(word, ...rest), text)
}

async function headway (t: Test, text: string): Promise<void> {
  const line = text.replace(/npm run (--silent )?headway --/, 'headway')
  const words = wordsOf(line.slice(line.indexOf('headway')))
  const [, name = ''] = words
  // A command that is only named, and those that tests of their own run (test/cli/migrate, remote), are known by their options.
  if (/^(gateway|persister|migrate|start)$/.test(name) || text.includes('--help')) {
    await optionsAreKnown(t, words.slice(1))
    const given = Object.fromEntries(wordsOf(line.slice(0, line.indexOf('headway'))).map(pair => pair.split(/=(.*)/s).slice(0, 2)))
    if (Object.keys(given).length > 0) t.match(await shell(t, `headway config ${name}`, given), { status: 0, err: '' }, 'the settings are good')
  } else if (text.includes('watch --all')) {
    t.match(await shell(t, line, {}, /job_123/), { status: 130, err: '' })
  } else if (name === 'watch') {
    await asWorker('POST', '', { id: 'job_watched', items_total: 1, state: 'running', auto_complete: true })
    const watching = shell(t, line.replace('job_123', 'job_watched'))
    await asWorker('PUT', '/job_watched/items/vid_001', { state: 'completed' })
    t.match(await watching, { status: 0, out: /done/ })
  } else if (name === 'doctor') {
    t.match(await shell(t, line), { status: 0, out: /0 problems/ })
  } else {
    const sink = text.endsWith('config persister') ? { SUPABASE_URL: 'https://project.supabase.co', SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_none' } : {}
    // What it waits for it may say there, but no fault.
    t.match(await shell(t, line, sink), { status: 0, err: /^(?![^]*(Error|no setting|fault))/ })
  }
}

const CHECKS: [RegExp, (t: Test, text: string) => void | Promise<void>][] = [
  [/^npm ci && npm (start|test)$/, (t, text) => { t.ok((text.split(' ').at(-1) ?? '') in scripts, 'run by test/demo/start, and by whoever reads this') }],
  [/^npm (pack|install \S+)$/, (t, text) => { // test/package.test.ts does both, and imports each entry
    const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string, version: string }
    t.ok(text === 'npm pack' || text.endsWith(`/${name}-${version}.tgz`), 'what npm pack makes')
  }],
  [/^npm ci$/, t => { t.ok(existsSync(join(ROOT, 'package-lock.json'))) }],
  [/^npm (start|test|run [\w:]+$)/, (t, text) => { t.ok((text.replace('run ', '').split(' ')[1] ?? '') in scripts) }],
  [/^npm run (--silent )?bench -- /, (t, text) => {
    const [name = '', ...options] = wordsOf(text.replace(/ [|>].*/, '').split(' -- ')[1] ?? '')
    t.ok(existsSync(join(ROOT, `bench/${name}.bench.ts`)), `${name} is a benchmark`)
    for (const option of options) t.match(readFileSync(join(ROOT, 'bench/run.ts'), 'utf8'), option)
    for (const [, file = ''] of text.matchAll(/npx node (\S+)/g)) t.ok(existsSync(join(ROOT, file)), file)
  }],
  [/^npm run chaos -- /, (t, text) => { t.ok(wantedOf(wordsOf(text.split(' -- ')[1] ?? '')), 'the faults and options are known') }],
  [/^(\w+=\S* )*(npm run (--silent )?headway --|headway) /, headway],
  // Files of the reader's own, from blocks that other tests run.
  [/npx node (--env-file=\S+ )?(worker|query)\.ts$/, (t, text) => { t.match(readFileSync(join(ROOT, 'README.md'), 'utf8'), text) }],
  [/^(npx )?node .*\.[jt]s\b/, (t, text) => { t.ok(existsSync(join(ROOT, /\S+\.[jt]s/.exec(text)?.[0] ?? '')), text) }],
  [/^node --max-semi-space-size=4$/, (t, text) => { t.match(scripts['headway'], text) }],
  [/^kubectl /, kubectl],
  [/^docker build /, dockerBuild],
  [/\bdocker compose /, (t, text) => {
    const file = join(ROOT, wordsOf(text)[wordsOf(text).indexOf('-f') + 1] ?? '')
    t.ok(existsSync(file), file)
    for (const [, name] of text.matchAll(/\b([A-Z_]+)=/g)) t.match(readFileSync(file, 'utf8'), `\${${name}`, `${name} is asked for`)
  }],
  [/^curl .*<\w+>:9090/, async (t, text) => {
    const [, role = '', path = ''] = /<(\w+)>:9090(\S+)/.exec(text) ?? []
    const { status } = await fetch(role === 'persister' ? `http://127.0.0.1:${persisterPort}${path}` : internalUrl + path)
    t.not(status, 404, path)
  }],
  [/^curl /, async (t, text) => {
    const line = text.replaceAll('localhost:8765', new URL(url).host).replaceAll('localhost:9090', new URL(internalUrl).host)
    if (text.includes(' -N ')) t.match(await shell(t, line, {}, /^data: .*job\.snapshot/m), { err: '' })
    else t.match(await shell(t, line), { status: 0, out: /./ })
  }],
  [/^redis-cli /, async (t, text) => { t.match(await shell(t, text), { status: 0, out: /^"?\d+-\d+/ }) }],
  [/^(XREVRANGE|CLIENT|SLOWLOG|HMGET|CONFIG|SCRIPT) /, asksRedis],
  [/^(\d|rate\(|deriv\(|sum\(|histogram_quantile\()/, queryIsTold]
]

t.test('every command works, or names what there is', async t => {
  await asWorker('POST', '', { id: 'job_123', items_total: 1, state: 'running', auto_complete: true })
  const shown = commands()
  t.ok(shown.length > 50, `${shown.length} commands were found`)
  for (const { page, text } of shown) {
    await t.test(`${page}: ${text}`, async t => {
      const check = CHECKS.find(([pattern]) => pattern.test(text))?.[1]
      if (check === undefined) return t.fail('no check knows this command')
      await check(t, text)
    })
  }
})

t.test('the checks see what is wrong', async t => {
  t.notOk(CHECKS.some(([pattern]) => pattern.test('helm install headway')), 'an unknown program')
  t.throws(() => wantedOf(['--fault', 'nonsense']))
  const faulty = async (check: (t: Test, text: string) => unknown, text: string): Promise<boolean> => {
    let failed = false
    const said = (ok: unknown): void => { failed ||= ok === false || ok === undefined }
    const watcher = {
      ok: said,
      match: (value: string, pattern: RegExp) => { said(pattern.test(value)) },
      comment () {},
      teardown () {}
    } as unknown as Test
    await check(watcher, text)
    return failed
  }
  t.ok(await faulty(kubectl, 'kubectl -n headwey get pods'), 'a namespace that no overlay has')
  t.ok(await faulty(kubectl, 'kubectl apply -k k8s/overlays/nowhere'))
  t.ok(await faulty(kubectl, 'kubectl -n headway delete job headway-migration'))
  t.ok(await faulty(kubectl, 'kubectl get pods -l app.kubernetes.io/name=headway'))
  t.notOk(await faulty(kubectl, 'kubectl -n headway delete job headway-migrate --ignore-not-found'))
  t.ok(await faulty(queryIsTold as never, 'rate(headway_nothing_total[1m])'))
  t.ok(await faulty(optionsOf, 'doctor --mend'))
  if (findProgram(['kubectl']) === null) return
  t.ok(await faulty(kubectl, 'kubectl -n headway delete job headway-migrate --ignore-missing'), 'an option that kubectl has not')
  t.ok(await faulty(kubectl, 'kubectl -n headway create secret generic headway-tokens --from-literal=JWT_SECRET=x'), 'a key that no manifest names')
})

const optionsOf = (t: Test, text: string): Promise<void> => optionsAreKnown(t, text.split(' '))

t.test('every block says its language, so that none goes unseen', async t => {
  const known = ['sh', 'ts', 'tsx', 'js', 'html', 'python', 'json', 'text', 'promql', 'sql', 'yaml', 'css']
  t.same(languages().filter(({ text }) => !known.includes(text)), [])
})
