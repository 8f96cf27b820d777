// A gateway dies with all its sockets: how long until they live again on another, and do they miss anything? 5,000 clients come
// back at random within 1 s with the position they had (`since`), while events go on. Both gateways share one core.
//
// Times count from the first loss, not from each client's own: the jitter is within. A client is live again with its 101,
// which a gateway sends once the job is watched; that nothing is missing is proven by the number of every event.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedis, type RedisServer } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import { atMost, median } from './bench.ts'
import type { Bench } from './bench.ts'
import { createJobs, type Jobs } from './support/jobs.ts'
import { startLoad, type Count, type LoadGenerator, type Storm } from './support/loadgen.ts'
import { prepareMachine } from './support/machine.ts'
import { pace } from './support/measure.ts'
import { startHeadway } from './support/server.ts'
import { headwayPaths } from './support/tokens.ts'

const FILES = 15_000
const SOCKETS_A_JOB = 50
const EVENTS_A_JOB_PER_S = 2
const JITTER_MS = 1_000
const BEFORE_MS = 1_500
const AFTER_MS = 4_000
const ALL_BACK_MS_MAX = 10_000

interface Measured { storm: Storm, by_snapshot: number, resets: number, repeated: number, events: number }

async function once (sockets: number): Promise<Measured> {
  const ends: (() => Promise<unknown>)[] = []
  try {
    const redis = await startRedis()
    ends.push(() => redis.stop())
    return await killed(redis, sockets, ends)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function killed (redis: RedisServer, sockets: number, ends: (() => Promise<unknown>)[]): Promise<Measured> {
  const dying = await startHeadway(redis.url)
  ends.push(() => dying.end())
  const next = await startHeadway(redis.url)
  ends.push(() => next.end())
  const jobs = await createJobs(redis.url, sockets / SOCKETS_A_JOB)
  ends.push(() => jobs.stop())
  const load = await startLoad({ port: dying.port, paths: headwayPaths(jobs.ids, sockets), speech: 'headway', marker: '"seq":' })
  ends.push(() => load.end())
  const { ready } = await load.open(0, sockets)
  if (ready < sockets) throw new Error(`only ${ready} of ${sockets} sockets could connect`)

  const before = await load.count()
  const rate = jobs.ids.length * EVENTS_A_JOB_PER_S
  let sent = await publish(jobs, rate, BEFORE_MS, 0)
  await load.resume(next.port, JITTER_MS)
  await dying.child.end('SIGKILL')
  sent += await publish(jobs, rate, AFTER_MS, sent)
  // Every job has had the same number of events, so all positions are the same.
  const missing = (jobs.ids.length - sent % jobs.ids.length) % jobs.ids.length
  await jobs.advance(Array.from({ length: missing }, (_, n) => (sent + n) % jobs.ids.length))
  sent += missing
  const end = await allThere(load, sockets, before.least + sent / jobs.ids.length)
  const { snapshots, resets, repeated } = end
  return { storm: await load.storm(), by_snapshot: snapshots - before.snapshots, resets, repeated, events: sent }
}

async function publish (jobs: Jobs, rate: number, ms: number, first: number): Promise<number> {
  return await pace({ publish: (which) => jobs.advance(which) }, jobs.ids.length, rate, ms, first)
}

/** @throws Error when an event was passed over, or did not come to everybody */
async function allThere (load: LoadGenerator, sockets: number, position: number): Promise<Count> {
  let count = await load.count()
  await until(async () => {
    count = await load.count()
    return count.open === sockets && count.least === position
  }, { timeout_ms: ALL_BACK_MS_MAX }).catch(() => {})
  if (count.lost > 0 || count.open !== sockets || count.least !== position) {
    throw new Error(`LOST MESSAGE: ${count.lost} events passed over, ${count.open} of ${sockets} sockets open, the last of them at ${count.least} of ${position}`)
  }
  return count
}

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const runs = quick ? 1 : 3
  const sockets = quick ? 1_500 : 5_000
  say(`storm: ${sockets} clients over ${sockets / SOCKETS_A_JOB} jobs, ${EVENTS_A_JOB_PER_S} events/s each, ${runs} run(s)`)
  const measured: Measured[] = []
  for (let n = 0; n < runs; n++) {
    const one = await once(sockets)
    measured.push(one)
    say(`  half live after ${Math.round(one.storm.p50_ms)} ms, 95 % after ${Math.round(one.storm.p95_ms)} ms, all after ${Math.round(one.storm.max_ms)} ms; ` +
      `${one.by_snapshot} came back by a snapshot, ${one.resets} of them anew`)
    await pause(200)
  }
  const middle = (of: (one: Measured) => number): number => median(measured.map(of))
  const p95 = middle(({ storm }) => storm.p95_ms)
  return {
    runs,
    results: {
      clients: sockets,
      'half live again, ms': middle(({ storm }) => storm.p50_ms),
      '95 % live again, ms': p95,
      'all live again, ms': middle(({ storm }) => storm.max_ms),
      'events a run': middle(({ events }) => events),
      'events lost': 0, // or the run would have failed
      'events repeated': middle(({ repeated }) => repeated),
      'resumed by a snapshot': middle(({ by_snapshot: snapshots }) => snapshots),
      'of these, anew': middle(({ resets }) => resets)
    },
    ratios: {},
    goals: [atMost('95 % live again, ms', 3_000, p95)]
  }
}
