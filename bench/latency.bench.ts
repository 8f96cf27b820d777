// How long from XADD to the socket, at 1,000 and 5,000 events/s? Against a relay that does nothing but XREAD and send, in the same run.
//
// Sender and receiver are this one process, so both ends have one clock; it shares a core with Redis. An event's time begins right before
// its XADD, as the SDK packs it, goes to the connection and ends when the socket's message has been read and found to be that event.
// Headway does all its work in between: wakes, reduces, stores, publishes, hears, checks, encodes. Events due at once go out together.

import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { createEngine } from '../src/engine/engine.ts'
import { packBatch } from '../src/protocol/pack.ts'
import { startRedis, type RedisServer } from '../test/support/redis.ts'
import { until } from '../test/support/wait.ts'
import { atMost, median } from './bench.ts'
import type { Bench, Goal } from './bench.ts'
import { createJobs } from './support/jobs.ts'
import { cpuUs, prepareMachine } from './support/machine.ts'
import { startBaseline, startHeadway, TENANT } from './support/server.ts'
import { headwayPaths } from './support/tokens.ts'

const FILES = 1_000
const JOBS = 20
const RATES = [1_000, 5_000] as const
const WARM_UP_MS = 1_500
const TICK_MS = 1
const ARRIVAL_MS_MAX = 10_000
const TITLE = 'x'.repeat(100)

type Rate = typeof RATES[number]
type SubjectName = 'headway' | 'relay'
/** ms; and how much of a core each process used, %: who has none left to spare makes everybody wait. */
interface Latency { p50: number, p99: number, p999: number, server: number, redis: number, sender: number }

interface Subject {
  port: number
  pid: number
  paths: readonly string[]
  jobs: readonly string[]
  /** Hands one event over; does not wait. */
  send: (job: string, item: string) => Promise<unknown>
  end: () => Promise<void>
}

async function headway (redis: RedisServer): Promise<Subject> {
  const server = await startHeadway(redis.url)
  const jobs = await createJobs(redis.url, JOBS)
  const engine = createEngine({ redis_url: redis.url })
  await engine.start({ drain: false })
  const client = redis.client()
  const streams = new Map(jobs.ids.map((job) => [job, engine.keys.partition(engine.keys.job(TENANT, job).partition).ingest]))
  await engine.stop()
  return {
    port: server.port,
    pid: server.pid,
    paths: headwayPaths(jobs.ids, JOBS),
    jobs: jobs.ids,
    send: (job, item) => client.xadd(streams.get(job) ?? '', '*', 'b', packBatch([
      { type: 'item.update', tenant: TENANT, job, data: { id: item, state: 'completed', title: TITLE } }
    ])),
    async end () {
      await jobs.stop()
      await server.end()
    }
  }
}

async function relay (redis: RedisServer): Promise<Subject> {
  const server = await startBaseline('relay', redis.url)
  const jobs = Array.from({ length: JOBS }, (_, n) => `job_${n}`)
  const client = redis.client()
  return {
    port: server.port,
    pid: server.pid,
    paths: jobs.map((job) => `/?job_id=${job}`),
    jobs,
    send: (job, item) => client.xadd('relay', '*', 'job', job, 'data', JSON.stringify({ id: item, state: 'completed', title: TITLE })),
    end: () => server.end()
  }
}

/** @throws Error LOST MESSAGE when an event does not come, or out of order */
async function measure (name: SubjectName, redis: RedisServer, seconds: number): Promise<Record<Rate, Latency>> {
  await redis.client().flushall()
  const subject = await (name === 'headway' ? headway(redis) : relay(redis))
  const sockets: WebSocket[] = []
  try {
    const sentAt: number[] = []
    const took: number[] = []
    const lastOf = new Map<string, number>()
    let received = 0
    for (const path of subject.paths) {
      const socket = new WebSocket(`ws://127.0.0.1:${subject.port}${path}`, { perMessageDeflate: false })
      sockets.push(socket)
      await once(socket, 'open')
      socket.on('message', (bytes: Buffer) => {
        const now = performance.now()
        const found = /"type":"video\.completed".*"job_id":"(\w+)".*"id":"n(\d+)"/.exec(bytes.toString('latin1'))
        if (found === null) return // metrics, the snapshot
        const [, job = '', number = ''] = found
        const n = Number(number)
        if (n <= (lastOf.get(job) ?? -1)) throw new Error(`LOST MESSAGE: ${name}: ${job} heard ${n} behind ${lastOf.get(job)}`)
        lastOf.set(job, n)
        took[n] = now - (sentAt[n] ?? NaN)
        received++
      })
    }

    const send = async (rate: Rate, ms: number): Promise<number> => {
      const first = sentAt.length
      const begin = performance.now()
      for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - begin) {
        for (let due = Math.floor(elapsed * rate / 1000) - (sentAt.length - first); due > 0; due--) {
          const n = sentAt.length
          sentAt.push(performance.now())
          subject.send(subject.jobs[n % JOBS] ?? '', `n${n}`).catch((error: unknown) => { console.error(error) })
        }
        await pause(TICK_MS)
      }
      await until(() => received === sentAt.length, { what: 'all events', timeout_ms: ARRIVAL_MS_MAX }).catch(() => {
        throw new Error(`LOST MESSAGE: ${name}: ${received} of ${sentAt.length} events came`)
      })
      return first
    }

    const measured: Partial<Record<Rate, Latency>> = {}
    for (const rate of RATES) {
      await send(rate, WARM_UP_MS)
      const pids = { server: subject.pid, redis: redis.pid, sender: process.pid }
      const usedBy = (): number[] => Object.values(pids).map(cpuUs)
      const before = usedBy()
      const begin = performance.now()
      const first = await send(rate, seconds * 1000)
      const ms = performance.now() - begin
      const [server = NaN, ofRedis = NaN, sender = NaN] = usedBy().map((us, which) => (us - (before[which] ?? NaN)) / ms / 10)
      const sorted = took.slice(first).sort((a, b) => a - b)
      const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? NaN
      measured[rate] = { p50: at(0.5), p99: at(0.99), p999: at(0.999), server, redis: ofRedis, sender }
    }
    return measured as Record<Rate, Latency>
  } finally {
    for (const socket of sockets) socket.terminate()
    await subject.end()
  }
}

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const runs = quick ? 1 : 5
  const seconds = quick ? 3 : 8
  const names: SubjectName[] = ['relay', 'headway']
  const measured: Record<SubjectName, Record<Rate, Latency>[]> = { relay: [], headway: [] }
  const redis = await startRedis()
  try {
    // In turn, so that a slow minute of the machine meets both.
    for (let n = 0; n < runs; n++) {
      for (const name of names) {
        const one = await measure(name, redis, seconds)
        measured[name].push(one)
        say(`  ${name.padEnd(8)} ${RATES.map((rate) => `${rate}/s: p50 ${one[rate].p50.toFixed(2)} ms, p99 ${one[rate].p99.toFixed(2)} ms (server ${one[rate].server.toFixed(0)} %, Redis ${one[rate].redis.toFixed(0)} %)`).join('; ')}`)
      }
    }
  } finally {
    await redis.stop()
  }

  const results: Record<string, number> = {}
  const ratios: Record<string, number> = {}
  const goals: Goal[] = []
  for (const rate of RATES) {
    for (const name of names) {
      for (const who of ['server', 'redis', 'sender'] as const) {
        results[`${name}: ${rate}/s, ${who}, % of a core`] = median(measured[name].map((one) => one[rate][who]))
      }
    }
    for (const [part, limit] of [['p50', 1.6], ['p99', 1.5], ['p999', null]] as const) {
      const middle = (name: SubjectName): number => median(measured[name].map((one) => one[rate][part]))
      for (const name of names) results[`${name}: ${rate}/s, ${part}, ms`] = middle(name)
      const what = `${rate}/s, ${part} ÷ relay`
      ratios[what] = middle('headway') / middle('relay')
      if (limit !== null) goals.push(atMost(what, limit, ratios[what]))
    }
  }
  return { runs, results, ratios, goals }
}
