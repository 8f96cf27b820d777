// Faults on the way from an app's tables to its jobs.

import { setTimeout as pause } from 'node:timers/promises'
import type { RestFault } from '../support/rest.ts'
import { until } from '../support/wait.ts'
import { between } from './plan.ts'
import { ERRORS, type SinkFault, type SinkWorld } from './sink-faults.ts'

const KEY_TTL_MS = 11_000

/** In which way the persister does not hear that its rows are confirmed. */
const UNHEARD: readonly RestFault[] = ['lost', 'reset', 'hang']

/** Persisters that have told the reducer and not confirmed yet are killed; now and then the database answers errors. */
async function interrupt ({ random, rest, persisters, leader, over }: SinkWorld): Promise<void> {
  let [armed, failing]: [number | null, boolean] = [null, false]
  let killed: Promise<void> | null = null
  rest.fault = (path) => {
    if (path.includes('headway_confirm') && armed !== null) {
      killed = persisters[armed]?.child().end('SIGKILL') ?? null
      armed = null
      return UNHEARD[between(random, 0, UNHEARD.length - 1)] as RestFault
    }
    const concerned = /headway_(?:pending|confirm|persist)/.test(path)
    return concerned && failing && random() < 0.5 ? ERRORS[between(random, 0, ERRORS.length - 1)] as RestFault : null
  }
  while (!over()) {
    const n = await leader()
    if (n !== null) {
      armed = n
      for (let tries = 0; tries < 100 && killed === null && !over(); tries++) await pause(20)
      armed = null
    }
    if (killed !== null && n !== null) {
      await killed
      killed = null
      await persisters[n]?.restart()
    }
    failing = true
    await pause(between(random, 200, 1_500))
    failing = false
    await pause(between(random, 100, 500))
  }
  rest.fault = null
}

async function loseRealtime ({ random, realtime, over }: SinkWorld): Promise<void> {
  while (!over() && realtime !== null) {
    const way = between(random, 0, 2)
    if (way === 0) realtime.faults.refuse = 503
    if (way === 1) realtime.faults.deaf = Infinity
    if (way !== 1) realtime.killSockets()
    await pause(between(random, 300, 2_000))
    Object.assign(realtime.faults, { refuse: null, deaf: 0 })
    await pause(between(random, 300, 1_500))
  }
}

export const INBOUND_FAULTS: readonly SinkFault[] = [
  {
    name: 'supabase-inbound',
    help: 'apps write; persisters die between telling and confirming, Realtime comes and goes, the database answers errors',
    apps: { poll_ms: 200, key_ttl_ms: 86_400_000 },
    async inject (world) { await Promise.all([interrupt(world), loseRealtime(world)]) }
  },
  {
    name: 'supabase-expired-channel',
    help: 'apps write, nobody looks by himself, and channels of Realtime expire, close and crash: the bell alone must do',
    // On a socket whose key has expired nobody can join any more: the real one allows 24 hours. Longer than what makes a bell patient.
    apps: { poll_ms: 600_000, key_ttl_ms: KEY_TTL_MS },
    async inject ({ random, realtime, persisters, over }) {
      if (realtime === null) return
      const all = performance.now() + KEY_TTL_MS + 1_000
      for (let way = between(random, 0, 3), n = 0; n < 4 && !over(); n++, way = (way + 1) % 4) {
        await until(() => realtime.listening > 0 || over(), { timeout_ms: 60_000, what: 'a persister listens' })
        await pause(between(random, 200, 1_200))
        if (way === 0) realtime.closeChannels('Token has expired 1 seconds ago')
        if (way === 1) realtime.closeChannels()
        if (way === 2) realtime.crashChannels()
        if (way === 3) realtime.faults.subscriptions_fail = 2
        if (way === 3) realtime.killSockets()
      }
      await pause(Math.max(0, all - performance.now())) // none of the first sockets is good any more
      await until(() => realtime.listening === persisters.length, { timeout_ms: 60_000, what: 'all persisters listen' })
    }
  }
]
