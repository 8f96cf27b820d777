// A partition's slot moves to another primary and back while workers write and two engines drain: nothing is lost, doubled
// or stuck. The model replays what was written, independently, and must end in the same state. Holds H1, H2, H3, H5, H12.
//
// HEADWAY_MIGRATION_MOVES: how often the slot moves (default 4).

import t from 'tap'
import type { Cluster } from 'ioredis'
import { createEngine } from '../../src/engine/engine.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { partitionOf } from '../../src/protocol/partition.ts'
import { startCluster } from '../support/cluster.ts'
import { randomPrefix } from '../support/topology.ts'
import { until } from '../support/wait.ts'
import { differences } from './model/compare.ts'
import type { Entry, Fact, ItemFacts, Job, Logged } from './model/facts.ts'
import { compareIds, createModel, jobKey } from './model/model.ts'
import { expectedJob, storedJob, type Shape } from './model/stored.ts'
import { packedLine } from './model/wire.ts'

const MOVES = Number(process.env['HEADWAY_MIGRATION_MOVES'] ?? 4)
const PARTITIONS = 8
const PARTITION = 3
const PRODUCERS = 4
const ITEMS_PER_JOB = 6
const BATCH = 5

/** Timers that would depend on when a drain came are out of reach. */
const TIMERS = { control_timeout_ms: 3_600_000, stall_after_ms: 3_600_000, abandon_after_ms: 86_400_000, retention_ms: 3_600_000 }

t.setTimeout(60_000 + MOVES * 15_000)

t.test('a slot moves and comes back under load', async (t) => {
  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  const prefix = randomPrefix()
  const options = { redis_url: cluster.url, prefix, partitions: PARTITIONS, settings: TIMERS }
  const engines = [createEngine(options), createEngine(options)]
  t.teardown(() => Promise.all(engines.map((engine) => engine.stop())))
  await Promise.all(engines.map((engine) => engine.start()))
  const [engine] = engines as [Engine]
  const redis = cluster.client()
  const { ingest, meta } = engine.keys.partition(PARTITION)
  const slot = await redis.cluster('KEYSLOT', ingest)
  const home = await cluster.ownerOf(slot)

  const written: Entry[] = []
  let moving = true
  const load = Promise.all(Array.from({ length: PRODUCERS }, (_, n) => produce(redis, ingest, `p${n}`, () => moving, written)))
  await until(() => written.length > 100, { what: 'workers have begun' })
  let steps = 0
  for (let move = 0; move < MOVES; move++) {
    const entriesBefore = written.length
    await cluster.moveSlot(slot, (home + 1 + move) % 2 === 0 ? home : (home + 1) % 3, { keys_per_step: 3, onStep: () => { steps++ } })
    await until(() => written.length > entriesBefore + 50, { what: 'workers go on writing after the move' })
  }
  await cluster.moveSlot(slot, home)
  moving = false
  await load
  t.comment(`${MOVES} moves in ${steps} steps, ${written.length} entries meanwhile`)

  written.sort((a, b) => compareIds(a.id, b.id))
  const lastId = written.at(-1)?.id
  await until(async () => (await redis.hget(meta, '_') ?? '').split('\t')[1] === lastId, { timeout_ms: 20_000, what: 'the drains reach the end' })

  const { jobs, logs } = replay(written)
  const faults: string[] = []
  for (const job of jobs.values()) {
    const hash = await redis.hgetall(engine.keys.job(job.tenant, job.id).key)
    if (hash['_'] === undefined) faults.push(`${job.id} is lost`)
    else faults.push(...compareJob(job, logs.get(`${jobKey(job.tenant, job.id)}/${job.epoch}`) ?? [], hash).map((line) => `${job.id} ${line}`))
  }
  t.same(faults.slice(0, 20), [], `${jobs.size} jobs as the model replays them`)
  const { agenda, jobs: listed, producers, rejected } = engine.keys.partition(PARTITION)
  t.equal(await redis.zcard(agenda), jobs.size + 1, 'one due time a job')
  t.equal(await redis.zcard(listed), jobs.size + 1)
  t.equal(await redis.xlen(rejected), 0)
  t.equal(await redis.hlen(producers), PRODUCERS + 1)
  const counts = await Promise.all(cluster.primaries.map((node) => node.redis.cluster('COUNTKEYSINSLOT', slot)))
  t.same(counts, cluster.primaries.map((_, n) => n === home ? jobs.size + 9 : 0), 'every key is at home, none was left behind')
})

/** A worker: one entry in flight, resent with its number until Redis has answered. */
async function produce (redis: Cluster, ingest: string, name: string, goOn: () => boolean, written: Entry[]): Promise<void> {
  const pending: Fact[] = []
  let jobs = 0
  for (let n = 1; goOn() || pending.length > 0; n++) {
    while (pending.length < BATCH && goOn()) pending.push(...lifeOf(nameOf(name, jobs++)))
    const events = pending.splice(0, BATCH)
    const lines = events.map((fact, at) => packedLine(fact as Exclude<Fact, { type: 'fault' }>, events[at - 1] ?? null))
    const id = await until(() => redis.xadd(ingest, '*', 'b', ['1', ...lines].join('\n'), 'p', name, 'n', n), { timeout_ms: 20_000, what: `${name} is heard` })
    written.push({ id, events, producer: { name, n }, request_id: null, fault: null })
  }
}

function nameOf (producer: string, n: number): string {
  for (let suffix = 0; ; suffix++) {
    const name = `${producer}:${n}:${suffix}`
    if (partitionOf('default', name, PARTITIONS) === PARTITION) return name
  }
}

/** Registered, started, each item done; every third fails once before. It ends by itself with the last item. */
function lifeOf (job: string): Fact[] {
  const address = { tenant: 'default', job, cid: null }
  const item = (id: string, state: ItemFacts['state'], more: Partial<ItemFacts> = {}): Fact => ({
    ...address,
    type: 'item',
    data: {
      id,
      state,
      attempt: null,
      retryable: null,
      percent: null,
      duration_ms: state === 'completed' || state === 'failed' ? 100 : null,
      created_wall: null,
      updated_wall: null,
      truncated: null,
      row_index: null,
      weight: null,
      title: `item ${id}`,
      kind: null,
      worker: null,
      error_json: null,
      result_json: null,
      ...more
    }
  })
  const facts: Fact[] = [{
    ...address,
    type: 'register',
    data: {
      items_total: ITEMS_PER_JOB,
      state: 'running',
      initial: { completed: 0, failed: 0, skipped: 0, canceled: 0 },
      rate_limited: false,
      deadline_ms: null,
      auto_complete: true,
      fail_on_deadline: false,
      created_wall: null,
      title: job,
      job_kind: null,
      item_kind: 'video',
      concurrency: null,
      metadata_json: null
    }
  }]
  for (let n = 0; n < ITEMS_PER_JOB; n++) {
    const id = `i${n}`
    facts.push(item(id, 'processing'), item(id, 'processing', { percent: 5_000 }))
    if (n % 3 === 0) facts.push(item(id, 'failed', { retryable: true, error_json: '"once"' }), item(id, 'processing'))
    facts.push(item(id, 'completed'))
  }
  return facts
}

function replay (written: readonly Entry[]): { jobs: Map<string, Job>, logs: Map<string, Logged[]> } {
  const model = createModel({
    last_ms: 0, epoch: 0, last_epoch: 0, owns: () => true, settings: { ...TIMERS, items_max: 1_000, outbox: 'none' }
  })
  for (const entry of written) model.append(entry)
  model.drain({ now_ms: Date.now(), entries: written.length })
  return { jobs: model.jobs, logs: model.logs }
}

/** Without what depends on when a drain came: epochs, the revs of the log, times of the service clock. */
function compareJob (job: Job, log: readonly Logged[], hash: Record<string, string>): string[] {
  const stored = storedJob(hash)
  return differences(timeless(expectedJob(job, log, 0, (stored['log'] as unknown[]).length)), timeless(stored))
}

interface JobShape extends Shape { header: Shape, items: Record<string, Shape>, log: (Shape & { item?: Shape })[] }

function timeless (shape: Shape): Shape {
  const { header, items, log, ...rest } = shape as JobShape
  const without = (from: Shape, ...names: string[]): Shape =>
    Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)))
  return {
    ...rest,
    header: without(header, 'epoch', 'proc_ms', 'proc_since', 'life', 'state_since', 'idle_since', 'pace'),
    items: Object.fromEntries(Object.entries(items).map(([id, item]) => [id, without(item, 'started')])),
    log: log.map((event) => {
      const place = without(event, 'rev', 'epoch')
      return event.item === undefined ? place : { ...place, item: without(event.item, 'started') }
    })
  }
}
