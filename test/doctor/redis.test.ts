// headway doctor on Redis itself: one that is set up well has no finding but good ones, and each fault is seen, on a real server.

import t from 'tap'
import { versionOf } from '../../src/doctor/redis-server.ts'
import { startBackend } from '../chaos/backends.ts'
import { startCluster } from '../support/cluster.ts'
import { startRedis } from '../support/redis.ts'
import { freePorts } from '../support/ports.ts'
import { until } from '../support/wait.ts'
import { findingsWith, foundOf, troubles } from './support.ts'

const GOOD = ['--appendonly', 'yes', '--maxmemory', '2gb', '--maxmemory-policy', 'noeviction', '--hash-max-listpack-value', '4096']
const SINK = { SUPABASE_URL: 'https://project.supabase.co' }

t.test('a primary with a replica, a log and bounds: nothing to say', async t => {
  const redis = await startRedis({ flags: [...GOOD, '--min-replicas-to-write', '1', '--repl-diskless-sync-delay', '0'] })
  t.teardown(() => redis.stop())
  const client = redis.client()
  const replica = await startRedis({ flags: ['--replicaof', '127.0.0.1', String(redis.port)] })
  t.teardown(() => replica.stop())
  t.match(foundOf(await findingsWith({ REDIS_URL: redis.url }), 'replication'), [/^(problem: .*no replica is attached|ok: 1 attached)/])
  await until(async () => (await client.info('replication')).includes('state=online'), { what: 'the replica follows' })

  const findings = await findingsWith({ REDIS_URL: redis.url })
  t.same(troubles(findings), [])
  t.match(foundOf(findings, 'replication'), [/^ok: 1 attached, writes stop without 1 that is at most 10 s behind/])
  t.match(foundOf(findings, 'scripts'), [/^ok: all \d\d scripts load/])
  t.match(foundOf(findings, 'pubsub'), [/^ok/])
  t.match(foundOf(findings, 'skew'), [/^ok: Redis is \d+ ms (ahead|behind) of this machine/])
  t.same(await client.keys('*'), [], 'it wrote nothing')

  t.match(foundOf(await findingsWith({ REDIS_URL: replica.url }), 'topology'), [/^problem: this Redis is a replica/])

  await client.config('SET', 'min-replicas-to-write', '0')
  t.match(troubles(await findingsWith({ REDIS_URL: redis.url })), [/^warning replication: 1 attached, and min-replicas-to-write is 0/])
  await client.config('SET', 'min-replicas-to-write', '1', 'min-replicas-max-lag', '60')
  t.match(troubles(await findingsWith({ REDIS_URL: redis.url })), [/^warning replication: min-replicas-max-lag is 60 s/])
})

t.test('each setting of Redis that is wrong is named, with what it means and what to do', async t => {
  const redis = await startRedis({ flags: GOOD })
  t.teardown(() => redis.stop())
  const client = redis.client()
  const alone = /^warning replication: no replica is attached/
  t.match(troubles(await findingsWith({ REDIS_URL: redis.url, ...SINK })), [/^warning sink/, alone])
  const wrongs: [Record<string, string>, RegExp][] = [
    [{ 'maxmemory-policy': 'allkeys-lru' }, /^problem eviction: maxmemory-policy is allkeys-lru/],
    [{ maxmemory: '1gb' }, /^warning maxmemory: maxmemory is 1\.0 GiB; the outbox alone may take 512 MiB/],
    [{ maxmemory: '0' }, /^warning maxmemory: maxmemory is not set/],
    [{ maxmemory: '1mb' }, /^problem maxmemory: .* of 1\.0 MiB are used/],
    [{ appendfsync: 'no' }, /^warning persistence: appendfsync is no/],
    [{ appendonly: 'no', save: '60 1000' }, /^warning persistence: no append-only file/],
    [{ appendonly: 'no', save: '' }, /^problem persistence: neither append-only file nor snapshots/],
    [{ 'hash-max-listpack-value': '64' }, /^warning listpack: hash-max-listpack-value is 64/],
    [{ 'client-output-buffer-limit': 'pubsub 0 0 0' }, /^warning pubsub_buffer: .*without bound/],
    [{ 'client-output-buffer-limit': 'pubsub 1048576 524288 10' }, /^warning pubsub_buffer: client-output-buffer-limit pubsub is 1048576 524288 10/],
    [{ 'min-replicas-to-write': '1' }, /^problem replication: min-replicas-to-write is 1 and no replica/]
  ]
  for (const [settings, expected] of wrongs) {
    const before = Object.fromEntries(await Promise.all(Object.keys(settings).map(async name => await client.config('GET', name) as [string, string])))
    for (const [name, value] of Object.entries(settings)) await client.config('SET', name, value)
    const findings = await findingsWith({ REDIS_URL: redis.url, ...SINK })
    const found = troubles(findings).filter(line => !/^warning sink/.test(line) && (!alone.test(line) || alone.source === expected.source))
    t.match(found, [expected], JSON.stringify(settings))
    for (const { level, means, advice } of findings) t.equal(level === 'ok', means === '' && advice === '', 'trouble says what it means and what to do')
    for (const [name, value] of Object.entries(before)) await client.config('SET', name, name === 'client-output-buffer-limit' ? 'pubsub 33554432 8388608 60' : value)
  }
  await client.config('SET', 'maxmemory', '1gb')
  t.match(foundOf(await findingsWith({ REDIS_URL: redis.url }), 'maxmemory'), [/^ok/], 'without a sink there is no outbox to make room for')
})

t.test('Sentinels: each is asked, and one that cannot help is named', async t => {
  const backend = await startBackend('sentinel')
  t.teardown(() => backend.stop())
  const whole = await findingsWith({ REDIS_URL: backend.url })
  t.match(foundOf(whole, 'topology'), ['ok: one primary, 3 Sentinels that can replace it'])
  t.match(foundOf(whole, 'replication'), [/^warning: 2 attached, and min-replicas-to-write is 0/])
  const [nodes = '', name = ''] = backend.url.replace('redis+sentinel://', '').split('/')
  const [first = '', second = ''] = nodes.split(',')
  t.match(foundOf(await findingsWith({ REDIS_URL: `redis+sentinel://${first},${second}/${name}` }), 'topology'), ['warning: REDIS_URL names 2 Sentinels'])
  const away = await findingsWith({ REDIS_URL: `redis+sentinel://${first},${second},127.0.0.1:1/${name}` })
  t.match(foundOf(away, 'topology'), [/^warning: not every Sentinel of headway can replace the primary: 127\.0\.0\.1:1: \S/])
})

t.test('rights: what may not be asked is told, what Headway needs is missed', async t => {
  const redis = await startRedis({ flags: GOOD })
  t.teardown(() => redis.stop())
  const client = redis.client()
  const as = (user: string) => ({ REDIS_URL: `redis://${user}:planted-pass@127.0.0.1:${redis.port}` })
  await client.call('ACL', 'SETUSER', 'managed', 'on', '>planted-pass', '~*', '&*', '+@all', '-config')
  t.match(troubles(await findingsWith(as('managed'))), [/^warning replication/, /^warning config: CONFIG GET is refused/])
  await client.call('ACL', 'SETUSER', 'strict', 'on', '>planted-pass', '~*', '&*', '+@all', '-config', '-script')
  t.match(foundOf(await findingsWith(as('strict')), 'scripts'), [/^ok: scripts run \(SCRIPT LOAD is refused/])
  await client.call('ACL', 'SETUSER', 'mute', 'on', '>planted-pass', '~*', '&*', '+@all', '-publish', '-eval', '-script')
  const mute = await findingsWith(as('mute'))
  t.match(foundOf(mute, 'scripts'), [/^problem: scripts may not run/])
  t.match(foundOf(mute, 'pubsub'), [/^warning: publishing or subscribing is refused/])

  const wrong = await findingsWith({ REDIS_URL: `redis://managed:planted-wrong@127.0.0.1:${redis.port}` })
  t.match(foundOf(wrong, 'reachable'), [/^problem: .*WRONGPASS/])
  t.match(wrong.find(({ check }) => check === 'reachable')?.means, /user or password is wrong/)
  t.notMatch(JSON.stringify([mute, wrong]), /planted/)
})

t.test('nobody there, a server too old, one node of a Cluster', async t => {
  const [port = 0] = await freePorts(1)
  const away = await findingsWith({ REDIS_URL: `redis://127.0.0.1:${port}` })
  t.match(troubles(away), [new RegExp(`^problem reachable: Redis cannot be spoken to: .*ECONNREFUSED 127.0.0.1:${port}`)])

  const info = (...lines: [string, string][]) => ({ name: '', redis: {} as never, config: null, info: new Map(lines) })
  t.match(versionOf(info(['redis_version', '6.2.14'])), { level: 'problem', found: 'Redis 6.2.14' })
  t.match(versionOf(info(['redis_version', '7.2.4'], ['valkey_version', '8.1.0'])), { level: 'ok', found: 'Valkey 8.1.0 (as Redis 7.2.4)' })

  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  t.match(foundOf(await findingsWith({ REDIS_URL: cluster.primaries[0]?.server.url ?? '' }), 'topology'), [/^problem: REDIS_URL names one server, and that is part of a Cluster/])
  const whole = await findingsWith({ REDIS_URL: cluster.url })
  t.match(foundOf(whole, 'topology'), [/^ok: Cluster of 3 primaries/])
  t.match(foundOf(whole, 'deployment'), [/^ok: none yet .* of 64 partitions/])
  t.match(foundOf(whole, 'scripts'), [/^ok: all/])
  t.match(foundOf(whole, 'pubsub'), [/^ok/])
  t.equal(foundOf(whole, 'persistence').filter(line => line.startsWith('problem')).length, 3, 'trouble of each node, by its name')
  t.match(foundOf(whole, 'persistence')[0], /at 127\.0\.0\.1:\d+/)
  await cluster.primaries[1]?.redis.call('CLUSTER', 'DELSLOTS', '6000')
  await cluster.primaries[0]?.redis.call('CLUSTER', 'DELSLOTS', '6000')
  await until(async () => foundOf(await findingsWith({ REDIS_URL: cluster.url }), 'topology')[0]?.startsWith('problem: the Cluster serves 16383'), { what: 'the lost slot is seen', interval_ms: 500 })
})
