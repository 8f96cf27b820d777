// The command line: what it prints, what it refuses, and that its tokens open the doors they name.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Command } from '../../src/cli/command.ts'
import { createAuth } from '../../src/gateway/auth.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const SECRET = 'a secret of these tests, longer than thirty-two characters'

function headway (args: string[], env: Record<string, string> = {}, cwd = process.cwd()) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [HEADWAY, ...args], { encoding: 'utf8', cwd, env: { PATH: process.env['PATH'] ?? '', ...env } })
  return { status, stdout, stderr }
}

t.test('every command has its help', async t => {
  t.match(headway(['--help']), { status: 0, stdout: /gateway[\s\S]*start[\s\S]*token/ })
  t.match(headway([]), { status: 2, stdout: /headway <command>/ })
  t.match(headway(['gateway', '--help']), { status: 0, stdout: /REDIS_URL[\s\S]*HEADWAY_JWT_SECRET/ })
  const persister = headway(['persister', '--help'])
  t.match(persister, { status: 0, stdout: /headway migrate[^]+SUPABASE_SERVICE_ROLE_KEY[^]+HEADWAY_PERSIST_INTERVAL_MS/ })
  t.notMatch(persister.stdout, /HEADWAY_JWT_SECRET|must be given|WEBSOCKET_PORT/, 'what it does without is not asked for')
  t.match(headway(['start', '--help']), { status: 0, stdout: /--input/ })
  t.match(headway(['token', '--help']), { status: 0, stdout: /--tenant/ })
  for (const name of ['control', 'jobs', 'submit', 'watch']) {
    t.match(headway([name, '--help']), { status: 0, stdout: /--url[\s\S]*Exit code[\s\S]*Examples:\n {2}(\S+ \| )?headway / }, name)
  }
  t.match(headway(['--version']), { status: 0, stdout: /^headway \d+\.\d+\.\d+, node 2\d/ })
  t.match(headway(['persist']), { status: 2, stderr: /no command persist/ })
  t.match(headway(['toString']), { status: 2, stderr: /no command toString/ })
})

t.test('every command tells its exit codes, here and in operations.md, and gives 2 to a wrong command line', async t => {
  const names = [...headway(['--help']).stdout.matchAll(/^ {2}(\w+) /gm)].map(found => found[1] ?? '')
  t.ok(names.length >= 12, 'the commands were found')
  const table = /\n## Exit codes\n([\s\S]*?)(?=\n## |$)/.exec(readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8'))?.[1] ?? ''
  const told = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(found => found[1]))
  t.same(told.sort(), names.sort(), 'each stands in one row')
  for (const name of names) {
    const { command } = await import(`../../src/cli/${name}.ts`) as { command: Command }
    t.match(await command.help(), /^Exit code: 0[\s\S]*?\.$/m, name)
    t.match(await command.help(), /^Examples:\n {2}\S/m, `${name} gives examples`)
  }
  for (const name of ['doctor', 'gateway', 'jobs']) {
    const { status, stdout, stderr } = headway([name, '--nonsense'])
    t.match({ status, stdout }, { status: 2, stdout: '' }, name)
    t.match(stderr, new RegExp(`nonsense[^\\n]*\\nheadway ${name} --help tells more\\.\\n$`), `${name} says where to read on`)
  }
})

t.test('a token opens what it says, for its tenant', async t => {
  const auth = createAuth({ jwt_secret: SECRET, tenant_claim: 'app_metadata.tenant_id', user_scopes: [] })
  const { stdout } = headway(['token', '--tenant', 'acme', '--scopes', 'jobs:read'], { HEADWAY_JWT_SECRET: SECRET })
  const identity = await auth.verify(stdout.trim())
  t.equal(identity.tenant_id, 'acme')
  t.same([...identity.scopes], ['jobs:read'])
  const other = headway(['token'], { HEADWAY_JWT_SECRET: SECRET.toUpperCase() })
  await t.rejects(auth.verify(other.stdout.trim()), { code: 'unauthorized' })
})

t.test('refuses what makes no sense, in a sentence', async t => {
  const env = { HEADWAY_JWT_SECRET: SECRET }
  t.match(headway(['token', '--scopes', 'jobs:read root'], env), { status: 2, stderr: /root is none of/ })
  t.match(headway(['token', '--tenant', 'a/b'], env), { status: 2, stderr: /a\/b is no identifier/ })
  t.match(headway(['token', '--hours', '-1'], env), { status: 2, stderr: /'--hours' argument is ambiguous/ })
  t.match(headway(['token'], {}, t.testdir({})), { status: 2, stderr: /no secret to sign with/ })
  t.match(headway(['gateway', 'now'], env), { status: 2, stderr: /takes no arguments/ })
})

t.test('a gateway names every fault of its configuration at once', async t => {
  const { status, stderr } = headway(['gateway'], { REDIS_URL: 'http://x', WEBSOCKET_PORT: 'many' })
  t.equal(status, 1)
  for (const name of ['REDIS_URL', 'WEBSOCKET_PORT', 'HEADWAY_JWT_SECRET']) t.match(stderr, name)
  t.notMatch(stderr, /at .*\.ts:/, 'without a stack')
})

t.test('a persister needs a sink, and says which settings give it one', async t => {
  t.match(headway(['persister']), { status: 1, stderr: /SUPABASE_URL is not set/ })
  const half = headway(['persister'], { SUPABASE_URL: 'https://x.supabase.co' })
  t.match(half, { status: 1, stderr: /SUPABASE_SERVICE_ROLE_KEY is not set/ })
  t.notMatch(half.stderr, /JWT_SECRET|at .*\.ts:/, 'what it does not need it does not ask for')
  t.match(headway(['persister'], { HEADWAY_SINK: 'postgres' }), { status: 1, stderr: /HEADWAY_POSTGRES_URL is not set/ })
})
