// What does it cost to bring one message to one socket? hot = one job, 1,000 sockets; wide = 5,000 jobs with a socket each,
// 20,000 deliveries/s. Against Socket.IO, plain ws and Nchan, fed by the same Redis in the same run.
//
// Headway does all its work: this process writes worker events to the ingest stream, and the measured gateway wakes, drains
// (the reducer runs in Redis), hears, checks, encodes and sends. A delivery is one text message that reached one socket; an item
// event of Headway is followed by the job's metrics, so it makes two. Baselines get ready-made messages of 350 bytes.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedis, type RedisServer } from '../test/support/redis.ts'
import { atLeast, atMost, median } from './bench.ts'
import type { Bench, Goal } from './bench.ts'
import { hasNchan } from './support/nchan.ts'
import { measurePaced, measureSaturated, type Measured } from './support/measure.ts'
import { prepareMachine } from './support/machine.ts'
import { startSubject, type Crowd, type SubjectName } from './support/subjects.ts'

const FILES = 15_000
const HOT: Crowd = { jobs: 1, sockets: 1_000 }
const HOT_RATE = 50_000
/** Deliveries a second to each job: 20,000 to 5,000 jobs. */
const WIDE_RATE_A_JOB = 4
const SETTLE_MS = 500

type Measures = Record<'saturated' | 'hot' | 'wide', Measured>

async function once (name: SubjectName, redis: RedisServer, wideJobs: number, seconds: number): Promise<Measures> {
  const hot = await startSubject(name, redis, HOT)
  let saturated: Measured, paced: Measured
  try {
    await pause(SETTLE_MS)
    // The paced measure first warms the code up for both.
    paced = await measurePaced(hot, HOT, HOT_RATE, seconds)
    saturated = await measureSaturated(hot, HOT, seconds)
  } finally {
    await hot.end()
  }
  const crowd: Crowd = { jobs: wideJobs, sockets: wideJobs }
  const wide = await startSubject(name, redis, crowd)
  try {
    await pause(SETTLE_MS)
    return { saturated, hot: paced, wide: await measurePaced(wide, crowd, WIDE_RATE_A_JOB * wideJobs, seconds) }
  } finally {
    await wide.end()
  }
}

const cost = ({ server_us: us, deliveries }: Measured): number => us / deliveries
const eventCost = ({ server_us: us, advanced }: Measured): number => us / advanced
const speed = ({ deliveries, ms }: Measured): number => deliveries / ms * 1000

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const runs = quick ? 1 : 3
  const wideJobs = quick ? 2_000 : 5_000
  const seconds = quick ? 1.5 : 4
  const names: SubjectName[] = quick ? ['headway', 'socketio'] : ['headway', 'socketio', 'ws', 'nchan']
  if (!quick && !hasNchan()) {
    names.pop()
    say('  Nchan is not installed (Debian: libnginx-mod-nchan); going on without it')
  }
  const measured = new Map<SubjectName, Measures[]>(names.map((name) => [name, []]))
  const redis = await startRedis()
  try {
    // In turn, so that a slow minute of the machine meets all of them.
    for (let n = 0; n < runs; n++) {
      for (const name of names) {
        const one = await once(name, redis, wideJobs, seconds)
        measured.get(name)?.push(one)
        say(`  ${name.padEnd(9)} saturated ${Math.round(speed(one.saturated))}/s, hot ${cost(one.hot).toFixed(2)} µs, wide ${cost(one.wide).toFixed(2)} µs a delivery`)
      }
    }
  } finally {
    await redis.stop()
  }

  const middle = (name: SubjectName, of: (one: Measures) => number): number => median(measured.get(name)?.map(of) ?? [])
  const results: Record<string, number> = {}
  for (const name of names) {
    results[`${name}: hot saturated, deliveries/s`] = middle(name, ({ saturated }) => speed(saturated))
    for (const kind of ['saturated', 'hot', 'wide'] as const) {
      results[`${name}: ${kind}, server µs a delivery`] = middle(name, (one) => cost(one[kind]))
      results[`${name}: ${kind}, generator µs a delivery`] = middle(name, (one) => one[kind].generator_us / one[kind].deliveries)
      results[`${name}: ${kind}, server's core busy, %`] = middle(name, (one) => one[kind].server_us / one[kind].ms / 10)
      results[`${name}: ${kind}, other core busy, %`] = middle(name, (one) => one[kind].others_us / one[kind].ms / 10)
      results[`${name}: ${kind}, bytes a delivery`] = middle(name, (one) => one[kind].bytes / one[kind].deliveries)
    }
    for (const kind of ['hot', 'wide'] as const) results[`${name}: ${kind}, deliveries/s`] = middle(name, (one) => speed(one[kind]))
  }
  const ratios: Record<string, number> = {}
  const goals: Goal[] = []
  const goal = (one: Goal): void => {
    ratios[one.name] = one.value
    goals.push(one)
  }
  for (const name of names.slice(1)) {
    const against = (of: (one: Measures) => number): number => middle('headway', of) / middle(name, of)
    const saturated = `hot saturated, deliveries/s ÷ ${name}`
    const [hot, wide] = [`hot, CPU a delivery ÷ ${name}`, `wide, CPU a delivery ÷ ${name}`]
    const values = [against((one) => speed(one.saturated)), against((one) => cost(one.hot)), against((one) => cost(one.wide))] as const
    if (name === 'socketio') [atLeast(saturated, 10, values[0]), atMost(hot, 0.6, values[1]), atMost(wide, 0.55, values[2])].forEach(goal)
    else if (name === 'ws') [atMost(hot, 0.75, values[1]), atMost(wide, 0.75, values[2])].forEach(goal)
    ratios[saturated] = values[0]
    ratios[hot] = values[1]
    ratios[wide] = values[2]
    // The strict reading: the metrics that follow an event count as its cost, not as a delivery.
    ratios[`hot, CPU an event ÷ ${name}`] = against((one) => eventCost(one.hot))
    ratios[`wide, CPU an event ÷ ${name}`] = against((one) => eventCost(one.wide))
  }
  return { runs, results, ratios, goals }
}
