// headway doctor on the deployment in Redis: what was broken on purpose is seen, --repair mends it, and the partition goes on. A single
// Redis and a Cluster.

import t, { type Test } from 'tap'
import { createEngine, type Engine } from '../../src/engine/engine.ts'
import { partitionOf } from '../../src/protocol/partition.ts'
import { onEachTopology, randomPrefix, type Topology } from '../support/topology.ts'
import { findingsWith, foundOf } from './support.ts'

const PARTITIONS = 2
const SUBJECT = ['deployment', 'keys', 'jobs', 'drain']

interface Deployment {
  engine: Engine
  env: Record<string, string>
  /** Ids of jobs of one partition, running. */
  partition: number
  jobs: [string, string, string]
  /** What is not well with the partitions. */
  look: (repair?: boolean) => Promise<string[]>
  /** An item of a job is done, and applied. @returns how many the job has completed */
  progress: (job: string) => Promise<number | undefined>
}

/** @param sink with an outbox */
async function deploy (t: Test, topology: Topology, sink = false): Promise<Deployment> {
  const prefix = randomPrefix()
  const settings = { outbox_bytes_max: sink ? 1_000_000 : 0 }
  const engine = createEngine({ redis_url: topology.url, prefix, partitions: PARTITIONS, settings })
  await engine.start({ drain: false })
  t.teardown(() => engine.stop())
  const env = { REDIS_URL: topology.url, HEADWAY_PREFIX: prefix }
  const jobs = Array.from({ length: 50 }, (_, n) => `job${n}`).filter(id => partitionOf('acme', id, PARTITIONS) === 1).slice(0, 3) as [string, string, string]
  const { ingest } = engine.keys.partition(1)
  for (const job of jobs) await topology.redis.xadd(ingest, '*', 'type', 'job.register', 'tenant', 'acme', 'job', job, 'data', '{"items_total":9,"state":"running"}')
  await engine.drain(0)
  await engine.drain(1)
  let items = 0
  return {
    engine,
    env,
    partition: 1,
    jobs,
    async look (repair = false) {
      return (await findingsWith(env, repair)).filter(({ check, level }) => SUBJECT.includes(check) && level !== 'ok').map(({ level, found }) => `${level}: ${found}`)
    },
    async progress (job) {
      await topology.redis.xadd(ingest, '*', 'type', 'item.update', 'tenant', 'acme', 'job', job, 'data', `{"id":"i${++items}","state":"completed"}`)
      const { word } = await engine.drain(1)
      if (word !== 'ok') throw new Error(`the partition is ${word}`)
      return (await engine.readJob('acme', job))?.job.counted.completed
    }
  }
}

await onEachTopology(t, async (t, topology) => {
  const { redis } = topology

  await t.test('a deployment that is whole, and a number of partitions that is not its own', async t => {
    const { env, look } = await deploy(t, topology)
    t.same(await look(), [])
    t.match(foundOf(await findingsWith(env), 'jobs'), ['ok: 3 jobs, each in agenda and list'])
    t.match(foundOf(await findingsWith(env), 'deployment'), [`ok: 2 partitions at prefix ${env['HEADWAY_PREFIX'] ?? ''}`])
    t.match(foundOf(await findingsWith({ ...env, HEADWAY_PARTITIONS: '4' }), 'deployment'), [/^problem: HEADWAY_PARTITIONS is 4, and the deployment .* has 2$/])
    await redis.hset(`${env['HEADWAY_PREFIX'] ?? ''}:config`, 'partitions', '3')
    t.match(await look(), [/^problem: .*:config says 3 partitions/])
  })

  await t.test('a job without its place in the agenda stops its partition; --repair puts it back, and only then', async t => {
    const { engine, jobs: [job], look, progress } = await deploy(t, topology)
    const { agenda } = engine.keys.partition(1)
    await redis.zrem(agenda, `acme/${job}`)
    t.match(await look(), [`problem: 1 jobs without a place in the agenda: acme/${job}`])
    await t.rejects(progress(job), { message: 'the partition is torn' }, 'it matters')
    t.match(await look(), [/without a place in the agenda/], 'looking mends nothing')
    t.same(await look(true), [])
    t.same(await look(), [])
    t.equal(await progress(job), 2, 'what waited was applied too')
    t.ok(Number(await redis.zscore(agenda, `acme/${job}`)) > Date.now(), 'its timers were computed anew')
  })

  await t.test('places without a job, a job without a header, lists that are wrong', async t => {
    const { engine, jobs: [gone, headless, unlisted], look, progress } = await deploy(t, topology)
    const { jobs } = engine.keys.partition(1)
    await redis.del(engine.keys.job('acme', gone).key)
    await redis.hdel(engine.keys.job('acme', headless).key, '_')
    const listing = (await redis.zrange(jobs, '0', '-1')).find(member => member.endsWith(`/${unlisted}`)) ?? ''
    await redis.zrem(jobs, listing)
    const found = (await look()).sort()
    t.match(found, [
      `problem: 1 jobs without a header: acme/${headless}`, `problem: 1 places in the agenda without a job: acme/${gone}`,
      `warning: 1 jobs without a place in the list: acme/${unlisted}`, /^warning: 2 places in the list without a job: acme\/\d+\/job/
    ])
    t.same(await look(true), [])
    t.same(await look(), [])
    t.same((await engine.listJobs('acme', { limit: 10 })).jobs.map(({ job }) => job.id), [unlisted])
    t.equal(await progress(unlisted), 1)
    await redis.xadd(engine.keys.partition(1).ingest, '*', 'type', 'job.register', 'tenant', 'acme', 'job', gone, 'data', '{"items_total":1}')
    t.match(await engine.drain(1), { word: 'ok', applied: 1 }, 'its id is free again')
  })

  await t.test('permanent keys that were deleted are made anew, and every job finds its place', async t => {
    const { engine, jobs: [job], look, progress } = await deploy(t, topology)
    const { agenda, jobs, answers, rejected } = engine.keys.partition(1)
    for (const key of [agenda, jobs, answers, rejected]) await redis.del(key)
    t.match(await look(), ['problem: partition 1 lacks agenda, jobs, answers, rejected', /3 jobs without a place in the agenda/])
    t.same(await look(true), [])
    t.same(await look(), [])
    t.equal(await progress(job), 1)
    t.equal((await engine.listJobs('acme', { limit: 10 })).jobs.length, 3)
  })

  await t.test('a lost outbox: what it held is marked, so that the database hears of it', async t => {
    const { engine, jobs, look, progress } = await deploy(t, topology, true)
    await progress(jobs[0])
    const before = await engine.outbox.readOutbox(1, { entries_max: 100, bytes_max: 1_000_000 })
    t.ok((before?.waiting_bytes ?? 0) > 0)
    await redis.del(engine.keys.partition(1).outbox)
    t.match(await look(), ['problem: partition 1 lacks outbox'])
    t.same(await look(true), [])
    t.same((await engine.outbox.listDirty(1, 10)).map(({ id }) => id).sort(), [...jobs].sort())
    t.match(await engine.outbox.readOutbox(1, { entries_max: 100, bytes_max: 1_000_000 }), { waiting_bytes: 0, entries: [] }, 'its bytes count no longer')
    t.equal(await progress(jobs[0]), 2)
    t.equal((await engine.outbox.readOutbox(1, { entries_max: 100, bytes_max: 1_000_000 }))?.entries.length, 1, 'it is written again')
  })

  await t.test('a wiped partition, a foreign key, a stranger\'s job', async t => {
    const { engine, look } = await deploy(t, topology)
    const own = engine.keys.partition(1)
    await redis.hset(`${engine.keys.jobPrefix(0)}acme/${Array.from({ length: 9 }, (_, n) => `x${n}`).find(id => partitionOf('acme', id, PARTITIONS) === 1) ?? ''}`, '_', '1\t0-0\t1')
    t.match(await look(true), [/^problem: 1 jobs in a partition that is not theirs: acme\/x\d/], 'a repair leaves it alone')
    await redis.del(own.rejected)
    await redis.set(own.rejected, 'mine')
    t.match((await look(true))[0], 'problem: partition 1: rejected hold another type than Headway\'s')
    t.equal(await redis.get(own.rejected), 'mine')
    await redis.del(own.meta, own.rejected)
    t.match((await look(true))[0], /^warning: partition 1 was never made, or was wiped/)
    await redis.hset(own.meta, '_', '2\tfrom the future')
    await redis.xadd(own.rejected, '*', 'a', 'b')
    t.match((await look(true))[0], 'problem: partition 1 was written by a newer build')
  })

  await t.test('nobody drains; another Redis answers', async t => {
    const { engine, env, look } = await deploy(t, topology)
    const { meta, ingest } = engine.keys.partition(1)
    const packed = (await redis.hget(meta, '_') ?? '').split('\t')
    packed[4] = String(Number(packed[4]) - 60_000)
    await redis.hset(meta, '_', packed.join('\t'))
    await redis.xadd(ingest, '*', 'type', 'nonsense')
    t.match(await look(), [/^warning: a partition was last drained \d\d s ago; 1 entries wait/])
    await redis.hset(meta, 'rid', 'a'.repeat(40))
    t.match(await look(), [/^warning: partition 1 was written last under another Redis/, /last drained/])
    t.match(foundOf(await findingsWith(env), 'keys').length, 2)
  })

  await t.test('a slot on its way is left alone', { skip: topology.cluster === null }, async t => {
    const { engine, jobs: [job], look } = await deploy(t, topology)
    const cluster = topology.cluster
    if (cluster === null) return
    await redis.zrem(engine.keys.partition(1).agenda, `acme/${job}`)
    const slot = engine.keys.slot(1)
    const seen: string[][] = []
    await cluster.moveSlot(slot, (await cluster.ownerOf(slot) + 1) % 3, {
      onStep: async moved => { if (moved === 0) seen.push(await look(true)) }
    })
    t.same(seen, [[]])
    t.match(await look(), [/without a place in the agenda/], 'nothing was mended meanwhile')
    t.same(await look(true), [])
  })
})
