// The examples of deploy/: each judged by its own program where that is installed, and every name in them by the code.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import t from 'tap'
import { settings } from '../../src/config/schema.ts'
import { findProgram } from '../../src/demo/system-programs.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DEPLOY = join(ROOT, 'deploy')
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
const names = new Set<string>(settings().map(({ name }) => name))
const read = (file: string): string => readFileSync(join(DEPLOY, file), 'utf8')

function judged (program: string, args: string[], env: Record<string, string> = {}): { status: number | null, output: string } | null {
  const found = findProgram([program], PATH)
  if (found === null) return null
  const { status, stdout, stderr } = spawnSync(found, args, { encoding: 'utf8', env: { PATH, ...env } })
  return { status, output: stdout + stderr }
}

t.test('compose: its settings, commands, files and time to end', async t => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, any> }
  t.same(Object.keys(services).sort(), ['gateway-1', 'gateway-2', 'haproxy', 'persister', 'redis'])
  for (const name of ['gateway-1', 'gateway-2', 'persister']) {
    const { environment, command, build, read_only: readOnly, cap_drop: dropped, depends_on: after } = services[name]
    for (const setting of Object.keys(environment)) t.ok(names.has(setting), `${setting} is a setting`)
    t.ok(existsSync(join(ROOT, 'src/cli', `${command[0]}.ts`)), `${command[0]} is a command`)
    t.ok(existsSync(join(DEPLOY, build.context, build.dockerfile)))
    t.ok(readOnly)
    t.same(dropped, ['ALL'])
    for (const other of Object.keys(after)) t.ok(other in services)
  }
  const gateway = services['gateway-1']
  const window = Number(settings().find(({ name }) => name === 'HEADWAY_DRAIN_WINDOW_MS')?.fallback)
  t.ok(parseInt(gateway.stop_grace_period) * 1000 > Number(gateway.environment.HEADWAY_DRAIN_DELAY_MS) + window, 'the grace holds the drain')
  for (const mount of services['haproxy'].volumes) t.ok(existsSync(join(DEPLOY, mount.split(':')[0])), mount)
  for (const variable of Object.keys(services['haproxy'].environment)) t.match(read('haproxy/haproxy.cfg'), `"\${${variable}}:8765"`)
})

t.test('haproxy takes its file, and asks where a gateway answers', async t => {
  const file = join(DEPLOY, 'haproxy/haproxy.cfg')
  const env = { HEADWAY_GATEWAY_1: '127.0.0.1', HEADWAY_GATEWAY_2: '127.0.0.1' }
  const verdict = judged('haproxy', ['-c', '-f', file], env)
  if (verdict === null) t.comment('haproxy is not installed')
  else t.equal(verdict.status, 0, verdict.output)
  t.match(read('haproxy/haproxy.cfg'), /uri \/readyz[\s\S]*check port 9090/)
})

t.test('nginx takes its file', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-nginx-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  const own = read('nginx/headway.conf').replace('/var/log/nginx', folder)
  writeFileSync(join(folder, 'nginx.conf'), `pid ${folder}/pid; error_log ${folder}/error.log; events {} http { ${own} }`)
  const verdict = judged('nginx', ['-t', '-c', join(folder, 'nginx.conf')])
  if (verdict === null) t.comment('nginx is not installed')
  else t.equal(verdict.status, 0, verdict.output)
  t.notMatch(own, /log_format[^;]*\$(request\b|request_uri|args|query_string)/, 'no token in the log')
})

t.test('systemd: commands of the code, a stop that holds the drain', async t => {
  for (const role of ['gateway', 'persister']) {
    const unit = read(`systemd/headway-${role}.service`)
    t.match(unit, `ExecStart=/usr/bin/env node --max-semi-space-size=4 dist/cli/headway.js ${role}\n`)
    t.match(unit, /\(npm ci && npm run build && npm prune --omit=dev\)/, 'what is built runs: the system\'s node may be one that strips no types')
    t.match(unit, /^DynamicUser=yes$/m)
    const verdict = judged('systemd-analyze', ['verify', join(DEPLOY, `systemd/headway-${role}.service`)])
    if (verdict === null) t.comment('systemd-analyze is not installed')
    else t.equal(verdict.output.includes('Unknown'), false, verdict.output)
  }
})
