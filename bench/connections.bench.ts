// What does a socket cost that has nothing to hear? Memory a socket, and handshakes a second, authentication, the subscription to
// a job and its snapshot included; against bare ws, which asks for nothing and subscribes to nothing.
//
// 10,000 sockets, each with a token of its own, over 1,000 jobs: ten sockets watch the same job.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedis } from '../test/support/redis.ts'
import { atLeast, atMost, median } from './bench.ts'
import type { Bench } from './bench.ts'
import { createJobs } from './support/jobs.ts'
import { startLoad, type LoadOptions } from './support/loadgen.ts'
import { prepareMachine } from './support/machine.ts'
import { startBaseline, startHeadway, type Server } from './support/server.ts'
import { headwayPaths } from './support/tokens.ts'

const FILES = 15_000
const JOBS = 1_000
/** Come and go before the measure: code is compiled, the heap has grown once. */
const WARM_UP_SOCKETS = 1_000
const AT_ONCE = 64
const SETTLE_MS = 1_500

interface Measured { bytes: number, per_s: number, base_bytes: number }

async function measure (server: Server, sockets: number, load: Pick<LoadOptions, 'paths' | 'speech'>): Promise<Measured> {
  const generator = await startLoad({ ...load, port: server.port, marker: '"seq":' })
  try {
    await generator.open(0, WARM_UP_SOCKETS, AT_ONCE)
    await generator.close(0, WARM_UP_SOCKETS)
    await pause(SETTLE_MS)
    const before = await server.collectedRss()
    const { ready, ms } = await generator.open(WARM_UP_SOCKETS, WARM_UP_SOCKETS + sockets, AT_ONCE)
    await pause(SETTLE_MS)
    const after = await server.collectedRss()
    const { open } = await generator.count()
    if (ready < sockets || open < sockets) throw new Error(`only ${ready} of ${sockets} sockets could connect, ${open} stayed`)
    return { bytes: (after - before) / sockets, per_s: ready / ms * 1000, base_bytes: before }
  } finally {
    await generator.end()
  }
}

async function headway (sockets: number): Promise<Measured> {
  const redis = await startRedis()
  const server = await startHeadway(redis.url).catch(async (error) => {
    await redis.stop()
    throw error
  })
  try {
    const jobs = await createJobs(redis.url, JOBS)
    await jobs.stop()
    return await measure(server, sockets, { paths: headwayPaths(jobs.ids, WARM_UP_SOCKETS + sockets), speech: 'headway' })
  } finally {
    await server.end()
    await redis.stop()
  }
}

async function bare (sockets: number): Promise<Measured> {
  const server = await startBaseline('bare')
  try {
    return await measure(server, sockets, { paths: new Array<string>(WARM_UP_SOCKETS + sockets).fill('/'), speech: 'plain' })
  } finally {
    await server.end()
  }
}

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const runs = quick ? 1 : 5
  const sockets = quick ? 4_000 : 10_000
  say(`connections: ${sockets} sockets over ${JOBS} jobs, ${runs} run(s)`)
  const measured = { headway: [] as Measured[], bare: [] as Measured[] }
  for (let n = 0; n < runs; n++) {
    for (const [name, start] of Object.entries({ headway, bare })) {
      const one = await start(sockets)
      measured[name as keyof typeof measured].push(one)
      say(`  ${name.padEnd(8)} ${(one.bytes / 1024).toFixed(1)} KiB a socket over ${(one.base_bytes / 1024 / 1024).toFixed(0)} MiB, ${Math.round(one.per_s)} handshakes/s`)
    }
  }
  const results: Record<string, number> = {}
  for (const [name, list] of Object.entries(measured)) {
    results[`${name}: KiB a socket`] = median(list.map(({ bytes }) => bytes / 1024))
    results[`${name}: MiB without sockets`] = median(list.map(({ base_bytes: bytes }) => bytes / 1024 / 1024))
    results[`${name}: handshakes/s`] = median(list.map(({ per_s: perS }) => perS))
  }
  const speed = (results['headway: handshakes/s'] as number) / (results['bare: handshakes/s'] as number)
  const memory = (results['headway: KiB a socket'] as number) / (results['bare: KiB a socket'] as number)
  return {
    runs,
    results,
    ratios: { 'handshakes/s ÷ bare ws': speed, 'memory a socket ÷ bare ws': memory },
    goals: [
      atMost('KiB a socket', 7, results['headway: KiB a socket'] as number),
      atLeast('handshakes/s ÷ bare ws', 0.8, speed)
    ]
  }
}
