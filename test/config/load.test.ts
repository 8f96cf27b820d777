// One schema of the environment: what it gives, and that every fault is told at once.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { archiveOptions, engineOptions, sinkOf } from '../../src/config/engine-options.ts'
import { configHelp, envExample } from '../../src/config/help.ts'
import { aliasesUsed, ConfigError, type Environment, loadConfig, unknownSettings } from '../../src/config/load.ts'
import { settings } from '../../src/config/schema.ts'

const SECRET = 'a secret of at least thirty-two characters'
const GOOD: Environment = { HEADWAY_JWT_SECRET: SECRET }

function faultsOf (env: Environment): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

t.test('the defaults of the contract', async t => {
  const config = loadConfig(GOOD)
  t.match(config, {
    websocket_host: '0.0.0.0',
    websocket_port: 8765,
    internal_port: 9090,
    prefix: 'hw',
    tenant_claim: 'app_metadata.tenant_id',
    user_scopes: ['jobs:read', 'jobs:control'],
    ping_interval_ms: 25_000,
    control_timeout_ms: 60_000,
    stall_after_ms: 30_000,
    retention_ms: 300_000,
    abandon_after_ms: 604_800_000
  })
  t.ok(Object.isFrozen(config))
  t.throws(() => { (config as { websocket_port: number }).websocket_port = 1 })
  t.throws(() => (config.user_scopes as string[]).push('jobs:write'))
})

t.test('values of every kind', async t => {
  const config = loadConfig({
    ...GOOD,
    WEBSOCKET_PORT: '0',
    HEADWAY_DASHBOARD: 'off',
    HEADWAY_PUBLIC_PROBES: '1',
    HEADWAY_ALLOWED_ORIGINS: 'https://a.example, http://localhost:3000',
    HEADWAY_USER_SCOPES: 'jobs:read',
    HEADWAY_LOG_LEVEL: '',
    HEADWAY_PARTITIONS: '64'
  })
  t.match(config, {
    websocket_port: 0,
    dashboard: false,
    public_probes: true,
    allowed_origins: ['https://a.example', 'http://localhost:3000'],
    user_scopes: ['jobs:read'],
    log_level: 'info',
    partitions: 64
  })
})

t.test('every fault at once, and no secret in them', async t => {
  const faults = faultsOf({
    REDIS_URL: 'http://user:hunter2@x',
    HEADWAY_JWT_SECRET: 'hunter2',
    HEADWAY_PARTITIONS: '3',
    HEADWAY_LOG_LEVEL: 'loud',
    HEADWAY_ALLOWED_ORIGINS: 'https://a.example/path',
    HEADWAY_DASHBOARD: 'maybe',
    HEADWAY_PING_INTERVAL_MS: '1e9',
    HEADWAY_BODY_BYTES_MAX: '12',
    HEADWAY_USER_SCOPES: 'jobs:fly',
    HEADWAY_TRUST_PROXY: 'perhaps'
  })
  t.equal(faults.length, 10)
  for (const name of ['REDIS_URL', 'HEADWAY_JWT_SECRET', 'HEADWAY_PARTITIONS=3', 'HEADWAY_LOG_LEVEL=loud', 'HEADWAY_DASHBOARD=maybe']) {
    t.ok(faults.some(fault => fault.startsWith(name)), name)
  }
  t.notMatch(faults.join('\n'), /hunter2/)
  t.match(new ConfigError(faults).message, /--help/)
})

t.test('what is required', async t => {
  t.match(faultsOf({}), [/^HEADWAY_JWT_SECRET is not set; give it or HEADWAY_JWT_SECRET_FILE$/])
})

t.test('a value that Kubernetes injected names the cause', async t => {
  t.match(faultsOf({ ...GOOD, WEBSOCKET_PORT: 'tcp://10.96.0.7:8765' }), [/WEBSOCKET_PORT=tcp:.*enableServiceLinks: false/])
})

t.test('secrets from files', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-config-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'secret')
  writeFileSync(file, `${SECRET}\n`)
  t.equal(loadConfig({ HEADWAY_JWT_SECRET_FILE: file }).jwt_secret, SECRET)
  t.match(faultsOf({ ...GOOD, HEADWAY_JWT_SECRET_FILE: file }), [/both set/])
  t.match(faultsOf({ HEADWAY_JWT_SECRET_FILE: join(folder, 'absent') }), [/cannot be read \(ENOENT\)/])
})

t.test('misspelt names are found, service links are not taken for them', async t => {
  t.same(unknownSettings({ HEADWAY_URL: 'http://127.0.0.1', HEADWAY_TOKEN: 'x' }), [], 'commands read these')
  t.same(unknownSettings({
    ...GOOD,
    HEADWAY_JWT_SECRETT: 'x',
    HEADWAY_SERVICE_HOST: '10.0.0.1',
    HEADWAY_PORT: 'tcp://10.0.0.1:8765',
    HEADWAY_PORT_8765_TCP_ADDR: '10.0.0.1',
    HEADWAY_JWT_SECRET_FILE: '/x',
    PATH: '/bin'
  }), ['HEADWAY_JWT_SECRETT'])
})

t.test('another name of a setting is taken, and told; the setting\'s own goes before', async t => {
  t.equal(loadConfig({ ...GOOD, SUPABASE_KEY: 'old' }).supabase_anon_key, 'old')
  t.equal(loadConfig({ ...GOOD, SUPABASE_KEY: 'old', SUPABASE_ANON_KEY: 'new' }).supabase_anon_key, 'new')
  t.same(aliasesUsed({ SUPABASE_KEY: 'old' }), ['SUPABASE_KEY is read as SUPABASE_ANON_KEY: rename it'])
  t.same(aliasesUsed({ SUPABASE_KEY: 'old', SUPABASE_ANON_KEY: 'new' }), [])
  const file = join(t.testdir({ key: 'of the file' }), 'key')
  t.equal(loadConfig({ ...GOOD, SUPABASE_KEY: 'old', SUPABASE_ANON_KEY_FILE: file }).supabase_anon_key, 'of the file')
})

t.test('a gateway reads ended jobs when it knows a project and has a key of it', async t => {
  const url = 'https://x.supabase.co'
  t.equal(archiveOptions(loadConfig({ ...GOOD, SUPABASE_URL: url })), null)
  t.equal(archiveOptions(loadConfig({ ...GOOD, SUPABASE_ANON_KEY: 'anon' })), null)
  t.match(archiveOptions(loadConfig({ ...GOOD, SUPABASE_URL: url, SUPABASE_ANON_KEY: 'anon' })), { url, anon_key: 'anon', service_key: '' })
})

t.test('the engine gets its part', async t => {
  t.equal(engineOptions(loadConfig(GOOD)).settings.outbox_bytes_max, 0)
  const config = loadConfig({ ...GOOD, SUPABASE_URL: 'https://x.supabase.co', HEADWAY_PARTITIONS: '16' })
  t.equal(sinkOf(config), 'supabase')
  t.match(engineOptions(config), { partitions: 16, settings: { outbox_bytes_max: 536_870_912 } })
  t.equal(sinkOf(loadConfig({ ...GOOD, SUPABASE_URL: 'https://x.supabase.co', HEADWAY_SINK: 'none' })), 'none')
})

t.test('help and .env.example list every setting', async t => {
  const help = configHelp()
  for (const { name } of settings()) t.match(help, new RegExp(`\\b${name}\\b`))
  t.equal(readFileSync(new URL('../../.env.example', import.meta.url), 'utf8'), envExample(),
    'make it again: npx node -e "import(\'./src/config/help.ts\').then(h => process.stdout.write(h.envExample()))" > .env.example')
})
