// What does another gateway bring, and what does it cost? 1, 2 and 3 gateways on one Redis, the same jobs, watchers and events: CPU of all
// gateways a delivery and CPU of Redis an event, against one gateway in the same run.
//
// spread = every job has watchers on every gateway, as behind a balancer: each of them hears and encodes every event, and Redis sends it to
// each. apart = a job's watchers are all on one gateway: the best case. idle = nothing happens: what sweeps and probes cost. At the calm
// rate each event is reduced and told nearly by itself; at the busy one many share a call, a read and a write, as where a core is full.
// hearing = many gateways, played by sockets that only listen: what Redis pays for each further one that hears a message.
// All gateways share one core here, so this says what work there is, not how fast three machines are.

import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { startRedis, type RedisServer } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import { median } from './bench.ts'
import type { Bench } from './bench.ts'
import { createJobs } from './support/jobs.ts'
import { startLoad, type LoadGenerator } from './support/loadgen.ts'
import { prepareMachine } from './support/machine.ts'
import { pace } from './support/measure.ts'
import { startHeadway, type Server } from './support/server.ts'
import { headwayPaths } from './support/tokens.ts'

const FILES = 5_000
/** Both divide by 1, 2 and 3. */
const JOBS = 198
const SOCKETS_A_JOB = 6
const RATES = { calm: 1_000, busy: 6_000 } as const
const WARM_UP_MS = 1_500
const SETTLE_MS = 1_000
const ARRIVAL_MS_MAX = 15_000

const CHANNELS = 400
const MESSAGE_BYTES = 500
const PUBLISHED_AT_ONCE = 32
const CALL_INTERVAL_MS = 10
const PUBLISH_ALL = 'for n = 2, #ARGV do redis.call(\'PUBLISH\', ARGV[n], ARGV[1]) end'
/** A job's watchers reach so many of so many gateways. */
const HEARING = { gateways: 200, hear: 20 } as const

type Crowd = 'spread' | 'apart'
type Rate = keyof typeof RATES
/** µs an event and a delivery, calls of scripts an event. */
interface Paid { redis_event: number, gateways_event: number, gateways_delivery: number, calls_event: number, deliveries_event: number }
/** idle: µs a second. */
interface Measured extends Record<Rate, Paid> { idle: { redis: number, gateways: number } }

/** CPU of a process with all its threads, µs; finer than the ticks of cpuUs. */
function ranUs (pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => sum + Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0) / 1_000
}

type Ends = (() => Promise<unknown>)[]

async function once (count: number, crowd: Crowd, seconds: number): Promise<Measured> {
  const ends: Ends = []
  try {
    const redis = await startRedis()
    ends.push(() => redis.stop())
    return await measure(redis, count, crowd, seconds, ends)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function measure (redis: RedisServer, count: number, crowd: Crowd, seconds: number, ends: Ends): Promise<Measured> {
  const gateways: Server[] = []
  for (let n = 0; n < count; n++) {
    const gateway = await startHeadway(redis.url)
    ends.push(() => gateway.end())
    gateways.push(gateway)
  }
  const jobs = await createJobs(redis.url, JOBS)
  ends.push(() => jobs.stop())
  const client = redis.client()
  const used = async () => {
    const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)
    return { redis: ranUs(redis.pid), gateways: gateways.reduce((sum, { pid }) => sum + ranUs(pid), 0), calls }
  }

  const loads: LoadGenerator[] = []
  for (const [n, { port }] of gateways.entries()) {
    const ids = crowd === 'spread' ? jobs.ids : jobs.ids.filter((_, at) => at % count === n)
    const paths = headwayPaths(ids, JOBS * SOCKETS_A_JOB / count)
    const load = await startLoad({ port, paths, speech: 'headway', marker: '"seq":' })
    ends.push(() => load.end())
    const { ready } = await load.open(0, paths.length)
    if (ready < paths.length) throw new Error(`${ready} of ${paths.length} sockets could connect`)
    loads.push(load)
  }
  const counted = async () => {
    const counts = await Promise.all(loads.map((load) => load.count()))
    const sum = (of: 'advanced' | 'frames' | 'lost' | 'repeated' | 'resets' | 'ended'): number => counts.reduce((total, one) => total + one[of], 0)
    return { advanced: sum('advanced'), frames: sum('frames'), faults: sum('lost') + sum('repeated') + sum('resets') + sum('ended') }
  }
  const { advanced: base } = await counted()
  let sent = 0
  /** @throws Error for a message that did not come */
  const arrived = async () => {
    let now = await counted()
    await until(async () => (now = await counted()).advanced >= base + sent * SOCKETS_A_JOB, { what: 'all events', timeout_ms: ARRIVAL_MS_MAX }).catch(() => {})
    if (now.faults > 0 || now.advanced !== base + sent * SOCKETS_A_JOB) throw new Error(`LOST MESSAGE: ${now.advanced - base} of ${sent * SOCKETS_A_JOB} came, ${now.faults} faults`)
    return now
  }
  const send = async (rate: number, ms: number): Promise<void> => {
    sent += await pace({ publish: (which) => jobs.advance(which) }, JOBS, rate, ms, sent)
  }
  const paid = async (rate: number): Promise<Paid> => {
    await send(rate, WARM_UP_MS)
    const { frames } = await arrived()
    const [first, before] = [sent, await used()]
    await send(rate, seconds * 1_000)
    const deliveries = (await arrived()).frames - frames
    const after = await used()
    const events = sent - first
    return {
      redis_event: (after.redis - before.redis) / events,
      gateways_event: (after.gateways - before.gateways) / events,
      gateways_delivery: (after.gateways - before.gateways) / deliveries,
      calls_event: (after.calls - before.calls) / events,
      deliveries_event: deliveries / events
    }
  }

  await pause(SETTLE_MS)
  const [before, begin] = [await used(), performance.now()]
  await pause(seconds * 1_000)
  const [after, idleS] = [await used(), (performance.now() - begin) / 1_000]
  return {
    idle: { redis: (after.redis - before.redis) / idleS, gateways: (after.gateways - before.gateways) / idleS },
    calm: await paid(RATES.calm),
    busy: await paid(RATES.busy)
  }
}

/** @returns µs of Redis for a message that `hear` of `gateways` sockets hear, published as the reducer does, 32 jobs in a script */
async function publishUs (gateways: number, hear: number, seconds: number): Promise<number> {
  const redis = await startRedis()
  const sockets = Array.from({ length: gateways }, () => connect(redis.port, '127.0.0.1').on('data', () => {}))
  try {
    const channels = Array.from({ length: CHANNELS }, (_, n) => `channel:${n}`)
    for (const [n, socket] of sockets.entries()) {
      const own = channels.filter((_, at) => (n - at % gateways + gateways) % gateways < hear)
      if (own.length > 0) socket.write(`SUBSCRIBE ${own.join(' ')}\r\n`)
    }
    const client = redis.client()
    await until(async () => (await client.pubsub('NUMSUB', ...channels) as unknown[]).filter((one) => one === hear).length === CHANNELS, { what: 'all listen' })
    const text = 'x'.repeat(MESSAGE_BYTES)
    let at = 0
    const begin = performance.now()
    const before = ranUs(redis.pid)
    for (let calls = 0; performance.now() - begin < seconds * 1_000; calls++) {
      const those = Array.from({ length: PUBLISHED_AT_ONCE }, (_, n) => channels[(at + n) % CHANNELS] as string)
      await client.eval(PUBLISH_ALL, 0, text, ...those)
      at += PUBLISHED_AT_ONCE
      await pause(CALL_INTERVAL_MS)
    }
    return (ranUs(redis.pid) - before) / at
  } finally {
    for (const socket of sockets) socket.destroy()
    await redis.stop()
  }
}

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const runs = quick ? 1 : 3
  const seconds = quick ? 1.5 : 4
  const configs: [Crowd, number][] = [['spread', 1], ['spread', 2], ['spread', 3], ...quick ? [] : [['apart', 3] as [Crowd, number]]]
  const measured = new Map<string, Measured[]>(configs.map((config) => [config.join(' '), []]))
  for (let n = 0; n < runs; n++) {
    for (const [crowd, count] of configs) {
      const one = await once(count, crowd, seconds)
      measured.get(`${crowd} ${count}`)?.push(one)
      say(`  ${crowd}, ${count}: idle Redis ${(one.idle.redis / 1_000).toFixed(1)}, gateways ${(one.idle.gateways / 1_000).toFixed(1)} ms a second`)
      for (const rate of ['calm', 'busy'] as const) {
        const { redis_event: ofRedis, gateways_event: ofGateways, calls_event: calls, deliveries_event: deliveries } = one[rate]
        say(`    ${rate}: an event costs Redis ${ofRedis.toFixed(1)} µs in ${calls.toFixed(2)} calls, gateways ${ofGateways.toFixed(1)} µs with ${deliveries.toFixed(1)} deliveries`)
      }
    }
  }
  const { gateways, hear } = HEARING
  const one = await publishUs(1, 1, seconds)
  const many = await publishUs(gateways, hear, seconds)
  const hearing = `Redis, µs a message and further gateway that hears it (${hear} of ${gateways})`
  say(`  a message costs Redis ${one.toFixed(1)} µs when one gateway hears it, ${many.toFixed(1)} when ${hear} of ${gateways} do`)
  const results: Record<string, number> = { [hearing]: (many - one) / (hear - 1) }
  const ratios: Record<string, number> = {}
  const middle = (key: string, of: (one: Measured) => number): number => median(measured.get(key)?.map(of) ?? [])
  for (const key of measured.keys()) {
    for (const who of ['redis', 'gateways'] as const) results[`${key}: idle ${who}, µs/s`] = middle(key, ({ idle }) => idle[who])
    for (const rate of ['calm', 'busy'] as const) {
      for (const name of ['redis_event', 'gateways_event', 'gateways_delivery', 'calls_event', 'deliveries_event'] as const) {
        results[`${key}: ${rate} ${name}`] = middle(key, (one) => one[rate][name])
      }
      results[`${key}: ${rate}, deliveries a CPU second of gateways`] = 1e6 / middle(key, (one) => one[rate].gateways_delivery)
      results[`${key}: ${rate}, events a CPU second of Redis`] = 1e6 / middle(key, (one) => one[rate].redis_event)
      if (key === 'spread 1') continue
      for (const name of ['redis_event', 'gateways_event'] as const) {
        ratios[`${key}: ${rate} ${name} ÷ one gateway`] = middle(key, (one) => one[rate][name]) / middle('spread 1', (one) => one[rate][name])
      }
    }
  }
  const another = (of: (one: Measured) => number): number => (middle('spread 3', of) - middle('spread 1', of)) / 2
  results['another gateway: idle Redis, µs/s'] = another(({ idle }) => idle.redis)
  for (const rate of ['calm', 'busy'] as const) {
    results[`another gateway: ${rate} Redis, µs an event`] = another((one) => one[rate].redis_event)
    results[`another gateway: ${rate} gateways, µs an event`] = another((one) => one[rate].gateways_event)
  }
  return { runs, results, ratios, goals: [] }
}
