// `headway doctor` as a command: exit codes, JSON, colours only on a terminal, no secret.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startRedis } from '../support/redis.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const redis = await startRedis({ flags: ['--appendonly', 'yes', '--maxmemory', '1gb', '--hash-max-listpack-value', '4096'] })
t.teardown(() => redis.stop())
const env = { PATH: process.env['PATH'] ?? '', REDIS_URL: redis.url, HEADWAY_JWT_SECRET: 'a planted secret of more than thirty-two characters' }

function doctor (args: string[], more: Record<string, string> = {}, command = [process.execPath, HEADWAY, 'doctor', ...args]) {
  const { status, stdout, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8', env: { ...env, ...more } })
  return { status, stdout, stderr }
}

t.test('warnings are 0, with --strict 1; a problem is 1; a wrong command line 2', async t => {
  const good = doctor([])
  t.match(good, { status: 0, stderr: '' })
  t.match(good.stdout, /^redis\n {2}ok {7}Redis answers[\s\S]* {2}warning {2}no replica is attached\n {11}when its disk[\s\S]*→ attach one[\s\S]*0 problems, 1 warnings, \d+ ok\n$/m)
  t.notMatch(good.stdout, /\u001b|planted/)
  t.equal(doctor(['--strict']).status, 1)
  t.match(doctor([], { HEADWAY_PARTITIONS: '7' }), { status: 1, stdout: /problem {2}HEADWAY_PARTITIONS=7 must be a power of two/ })
  t.match(doctor([], { REDIS_URL: 'redis://user:planted@127.0.0.1:1' }), { status: 1, stdout: /problem {2}Redis cannot be spoken to/ })
  t.match(doctor(['now']), { status: 2, stderr: /takes no arguments/ })
})

t.test('JSON for programs, colours for people', async t => {
  const { status, findings } = JSON.parse(doctor(['--json'], { HEADWAY_LOGLEVEL: 'info' }).stdout) as { status: string, findings: Record<string, string>[] }
  t.equal(status, 'warning')
  t.match(findings.find(({ check }) => check === 'settings'), {
    subject: 'configuration', level: 'warning', found: 'HEADWAY_LOGLEVEL is no setting of Headway', means: /no effect/, advice: /headway gateway --help/
  })
  for (const finding of findings) t.same(Object.keys(finding), ['subject', 'check', 'level', 'found', 'means', 'advice'])
  const drawn = doctor([], { TERM: 'xterm' }, ['script', '-qec', `${process.execPath} ${HEADWAY} doctor`, '/dev/null'])
  t.match(drawn.stdout, /\u001b\[33mwarning/)
})

t.test('risks in the settings', async t => {
  const risky = doctor([], { HEADWAY_TENANT_CLAIM: 'user_metadata.tenant', HEADWAY_ALLOWED_ORIGINS: '*', HEADWAY_TRUST_PROXY: 'on', HEADWAY_JWT_SECRET: 'ab'.repeat(20) })
  t.equal(risky.status, 1)
  for (const word of ['user_metadata', 'ALLOWED_ORIGINS is \\*', 'TRUST_PROXY is on', '2 different characters']) t.match(risky.stdout, new RegExp(word))
})
