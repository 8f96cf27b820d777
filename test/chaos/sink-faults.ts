// Faults between persister and database. Each is given what it may break, its moments by how far the work is, and the seed's random.

import { setTimeout as pause } from 'node:timers/promises'
import type { RealtimeStandIn } from '../../src/demo/realtime-stand-in.ts'
import type { GuardedChild } from '../support/child.ts'
import type { PostgresServer } from '../support/postgres.ts'
import type { RestFault, RestGateway } from '../support/rest.ts'
import { between, type Random } from './plan.ts'

export interface SinkWorld {
  readonly random: Random
  readonly rest: RestGateway
  readonly postgres: PostgresServer
  readonly persisters: readonly { child: () => GuardedChild, restart: (key?: string) => Promise<void> }[]
  /** Null unless apps write. */
  readonly realtime: RealtimeStandIn | null
  /** Which of the persisters takes what apps write; null = none of those that live. */
  leader (): Promise<number | null>
  /** True when all work is done. */
  over (): boolean
}

export interface SinkFault {
  readonly name: string
  readonly help: string
  /** Some items carry what the database refuses. */
  readonly poison?: boolean
  /** Apps write too: how often persisters look for it by themselves, and how long a socket of Realtime may join channels. */
  readonly apps?: { poll_ms: number, key_ttl_ms: number }
  /** Ends when the work is over, or before. */
  inject (world: SinkWorld): Promise<void>
}

const chance = (random: Random, share: number): boolean => random() < share

/** Some requests go wrong until the work is over. */
function requests (choose: (random: Random, bytes: number) => RestFault | null): SinkFault['inject'] {
  return async (world) => {
    world.rest.fault = (path, bytes) => path.includes('headway_persist') ? choose(world.random, bytes) : null
    while (!world.over()) await pause(20)
    world.rest.fault = null
  }
}

const HTML: RestFault = { status: 502, body: '<html><h1>Bad gateway</h1></html>', type: 'text/html' }

export const ERRORS: readonly RestFault[] = [
  { status: 500, body: '{"code":"XX000","message":"x"}' },
  { status: 503, body: '{"code":"PGRST002"}' },
  { status: 429 },
  HTML,
  { status: 200, body: '<html>ok</html>', type: 'text/html' },
  { status: 500, body: '{"code":"57014","message":"statement timeout"}' },
  'reset'
]

export const SINK_FAULTS: readonly SinkFault[] = [
  {
    name: 'supabase-persister-kill',
    help: 'SIGKILL of persisters, one after the other, which start again',
    async inject ({ random, persisters, over }) {
      while (!over()) {
        await pause(between(random, 200, 900))
        const one = persisters[between(random, 0, persisters.length - 1)] as typeof persisters[number]
        await one.child().end('SIGKILL')
        await one.restart()
      }
    }
  },
  {
    name: 'supabase-persister-pause',
    help: 'SIGSTOP of a persister past its lease, then SIGCONT',
    async inject ({ random, persisters, over }) {
      while (!over()) {
        await pause(between(random, 100, 500))
        const { pid } = (persisters[between(random, 0, persisters.length - 1)] as typeof persisters[number]).child()
        process.kill(pid, 'SIGSTOP')
        await pause(11_000) // a lease lasts 10 s
        process.kill(pid, 'SIGCONT')
      }
    }
  },
  {
    name: 'supabase-lost-reply',
    help: 'the database does it, and the answer gets lost',
    inject: requests((random) => chance(random, 0.5) ? 'lost' : null)
  },
  {
    name: 'supabase-errors',
    help: '500, 503, 429, 502 with a page, 200 with a page, resets',
    inject: requests((random) => chance(random, 0.6) ? ERRORS[between(random, 0, ERRORS.length - 1)] as RestFault : null)
  },
  {
    name: 'supabase-hang',
    help: 'calls that are never answered',
    inject: requests((random) => chance(random, 0.3) ? 'hang' : null)
  },
  {
    name: 'supabase-too-large',
    help: '413 above 8 KB',
    inject: requests((_, bytes) => bytes > 8_192 ? { status: 413, body: '<html>too large</html>', type: 'text/html' } : null)
  },
  {
    name: 'supabase-wrong-key',
    help: 'one persister after the other runs with a key that nobody knows',
    async inject ({ random, persisters, over }) {
      while (!over()) {
        const one = persisters[between(random, 0, persisters.length - 1)] as typeof persisters[number]
        for (const key of ['sb_secret_nobody_knows_it', undefined]) {
          await one.child().end('SIGKILL')
          await one.restart(key)
          await pause(between(random, 1_500, 4_000))
        }
      }
    }
  },
  {
    name: 'supabase-away',
    help: 'nothing answers for a while, again and again',
    async inject ({ random, rest, over }) {
      while (!over()) {
        await pause(between(random, 100, 400))
        rest.fault = () => 'reset'
        await pause(between(random, 300, 1_500))
        rest.fault = null
      }
    }
  },
  {
    name: 'supabase-postgres-restart',
    help: 'Postgres crashes and comes back',
    async inject ({ random, postgres, over }) {
      for (let n = 0; n < 3 && !over(); n++) {
        await pause(between(random, 300, 900))
        await postgres.kill()
        await pause(between(random, 50, 400))
        await postgres.restart()
      }
    }
  },
  {
    name: 'supabase-poison',
    help: 'items that the database refuses, among others',
    poison: true,
    inject: requests(() => null)
  }
]
