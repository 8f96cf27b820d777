// How long is a gateway's event loop held when everybody watches the same job? 10,000 sockets in one room, a few events a second, each
// told to all of them with the metrics that follow it: in slices (gateway/rounds.ts, post.ts), so that others wait for none of it.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedis } from '../test/support/redis.ts'
import { atMost, type Bench } from './bench.ts'
import { createJobs } from './support/jobs.ts'
import { startLoad } from './support/loadgen.ts'
import { cpuUs, prepareMachine } from './support/machine.ts'
import { pace } from './support/measure.ts'
import { startHeadway } from './support/server.ts'
import { headwayPaths } from './support/tokens.ts'

const FILES = 15_000
/** At the last one a core has little to spare. */
const EVENTS_PER_S = [2, 5, 10]
const WARM_UP_MS = 3_000
/** After it, and after each rate: what is under way arrives. */
const REST_MS = 1_000

export const run: Bench = async ({ quick, say }) => {
  prepareMachine(FILES, say)
  const sockets = quick ? 4_000 : 10_000
  const ms = quick ? 2_000 : 6_000
  const results: Record<string, number> = { sockets }
  let longest = 0
  const ends: (() => Promise<unknown>)[] = []
  try {
    const redis = await startRedis()
    ends.push(() => redis.stop())
    const server = await startHeadway(redis.url)
    ends.push(() => server.end())
    const jobs = await createJobs(redis.url, 1)
    ends.push(() => jobs.stop())
    const load = await startLoad({ port: server.port, paths: headwayPaths(jobs.ids, sockets), speech: 'headway', marker: '"seq":' })
    ends.push(() => load.end())
    const { ready } = await load.open(0, sockets)
    if (ready < sockets) throw new Error(`only ${ready} of ${sockets} sockets could connect`)
    const publish = { publish: (which: readonly number[]) => jobs.advance(which) }
    await pace(publish, 1, 5, WARM_UP_MS, 0)
    await pause(REST_MS)

    for (const perS of EVENTS_PER_S) {
      const [before, cpu] = [await load.count(), cpuUs(server.pid)]
      const held = await server.held(async () => { await pace(publish, 1, perS, ms, 0) })
      const used = cpuUs(server.pid) - cpu
      await pause(REST_MS)
      const after = await load.count()
      if (after.lost + after.ended + after.resets > 0) throw new Error(`LOST MESSAGE: ${after.lost} passed over, ${after.ended} sockets ended, ${after.resets} reset`)
      const deliveries = (after.frames - before.frames) / ms * 1_000
      say(`  ${perS} events/s, ${Math.round(deliveries)} deliveries/s, core ${Math.round(used / ms / 10)} % busy: held for ${held.p50_ms.toFixed(1)} ms (p50), ` +
        `${held.p99_ms.toFixed(1)} (p99), ${held.max_ms.toFixed(1)} (max); delay ${held.delay_p99_ms.toFixed(1)} ms (p99), ${held.delay_max_ms.toFixed(1)} (max)`)
      longest = Math.max(longest, held.max_ms)
      results[`${perS} events/s: deliveries/s`] = deliveries
      results[`${perS} events/s: server's core busy, %`] = used / ms / 10
      results[`${perS} events/s: held, p99 ms`] = held.p99_ms
      results[`${perS} events/s: held, max ms`] = held.max_ms
      results[`${perS} events/s: event loop delay, p99 ms`] = held.delay_p99_ms
      results[`${perS} events/s: event loop delay, max ms`] = held.delay_max_ms
    }
  } finally {
    for (const end of ends.reverse()) await end()
  }
  return { runs: 1, results, ratios: {}, goals: [atMost('longest hold, ms', 10, longest)] }
}
