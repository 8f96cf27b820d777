// `headway config`: what is in effect, and no secret.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { settings } from '../../src/config/schema.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const SECRET = 'a planted secret of more than thirty-two characters'

function config (env: Record<string, string>, args: string[] = []) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [HEADWAY, 'config', ...args], { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', ...env } })
  return { status, stdout, stderr }
}

t.test('every setting with its value; secrets hidden; what is not the default marked', async t => {
  const { status, stdout, stderr } = config({
    HEADWAY_JWT_SECRET: SECRET, REDIS_URL: 'redis://:planted-password@redis:6379', WEBSOCKET_PORT: '9000', HEADWAY_LOGLEVEL: 'debug'
  })
  t.equal(status, 0)
  t.same(stdout.trimEnd().split('\n').map(line => line.slice(2).split('=')[0]), settings().map(({ name }) => name))
  t.match(stdout, /^\* WEBSOCKET_PORT=9000$/m)
  t.match(stdout, /^ {2}HEADWAY_INTERNAL_PORT=9090$/m)
  t.match(stdout, /^\* HEADWAY_JWT_SECRET=\(given\)$/m)
  t.match(stdout, /^ {2}SUPABASE_SERVICE_ROLE_KEY=\(empty\)$/m)
  t.notMatch(stdout + stderr, /planted/)
  t.match(stderr, /HEADWAY_LOGLEVEL is no setting/)
})

t.test('a persister needs no secret of the gateway, and a sink', async t => {
  const sink = { SUPABASE_URL: 'https://project.supabase.co', SUPABASE_SERVICE_ROLE_KEY: SECRET }
  t.match(config(sink, ['persister']), { status: 0, stdout: /^ {2}HEADWAY_JWT_SECRET=\(empty\)$/m, stderr: '' })
  t.match(config({}, ['persister']), { status: 1, stdout: /^ {2}SUPABASE_URL=$/m, stderr: /a persister needs a sink/ })
  t.match(config({ SUPABASE_URL: 'https://project.supabase.co' }, ['persister']), { status: 1, stderr: /SUPABASE_SERVICE_ROLE_KEY is not set/ })
})

t.test('with faults: everything is printed, what is faulty marked, all of it told, no secret among it; then 1', async t => {
  const { status, stdout, stderr } = config({
    WEBSOCKET_PORT: 'tcp://10.0.0.1:80',
    HEADWAY_LOG_LEVEL: 'debug',
    HEADWAY_DASHBOARD: 'maybe',
    REDIS_URL: 'http://:planted-password@redis',
    SUPABASE_SERVICE_ROLE_KEY_FILE: '/nowhere/key'
  })
  t.equal(status, 1)
  t.same(stdout.trimEnd().split('\n').map(line => line.slice(2).split('=')[0]), settings().map(({ name }) => name))
  const marked = stdout.split('\n').filter(line => !line.startsWith(' ') && line !== '')
  t.same(marked, [
    '! REDIS_URL=(given)', '! WEBSOCKET_PORT=tcp://10.0.0.1:80', '! HEADWAY_DASHBOARD=maybe', '* HEADWAY_LOG_LEVEL=debug', '! HEADWAY_JWT_SECRET=(empty)',
    '! SUPABASE_SERVICE_ROLE_KEY=(unreadable)'
  ])
  t.match(stderr, /has 5 faults/)
  t.match(stderr, /REDIS_URL[\s\S]*enableServiceLinks[\s\S]*HEADWAY_DASHBOARD=maybe[\s\S]*HEADWAY_JWT_SECRET is not set[\s\S]*SERVICE_ROLE_KEY_FILE: \/nowhere\/key cannot be read/)
  t.notMatch(stdout + stderr, /planted/)
})

t.test('a wrong command line is 2', async t => {
  t.match(config({}, ['--json']), { status: 2, stdout: '', stderr: /takes a role/ })
  t.match(config({}, ['gateway', 'persister']), { status: 2 })
})
