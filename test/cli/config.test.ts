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

t.test('a persister needs no secret of the gateway', async t => {
  t.match(config({}, ['persister']), { status: 0, stdout: /^. HEADWAY_JWT_SECRET=\(empty\)$/m })
  t.equal(config({}, ['gateway']).status, 1)
})

t.test('all faults at once, then 1; a wrong command line, then 2', async t => {
  t.match(config({ WEBSOCKET_PORT: 'tcp://10.0.0.1:80' }), { status: 1, stderr: /enableServiceLinks[\s\S]*HEADWAY_JWT_SECRET is not set/ })
  t.match(config({}, ['--json']), { status: 2, stderr: /takes a role/ })
  t.match(config({}, ['gateway', 'persister']), { status: 2 })
})
