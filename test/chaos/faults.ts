// The faults: what each needs, what it may cost, and what it does. A fault chooses its moments by how far the jobs are, its
// victims and its lengths by the seed.

import { setTimeout as pause } from 'node:timers/promises'
import type { Backend, BackendName } from './backends.ts'
import type { GatewayHandle } from './gateways.ts'
import type { Watcher } from './clients.ts'
import { between, type Random } from './plan.ts'
import type { Proxy } from './proxy.ts'
import type { Rules } from './record.ts'
import type { TenantWatcher } from './tenant-clients.ts'
import type { WorkerHandle } from './worker-pool.ts'
import type { RedisServer } from '../support/redis.ts'
import { until } from '../support/wait.ts'

/** What a fault can lay its hands on. */
export interface World {
  readonly random: Random
  readonly quick: boolean
  readonly jobs: readonly string[]
  readonly backend: Backend
  readonly gateways: readonly GatewayHandle[]
  readonly watchers: readonly Watcher[]
  /** Those who watch all jobs. */
  readonly tenant_watchers: readonly TenantWatcher[]
  /** Processes, for faults with `workers`; else there are none. */
  readonly workers: readonly WorkerHandle[]
  /** In front of each gateway, for `proxied` faults. */
  readonly client_wires: readonly Proxy[]
  /** Between each gateway and Redis. */
  readonly redis_wires: readonly Proxy[]
  /** Resolves when so much of all work is done, or the run is over. */
  at (share: number): Promise<void>
  /** How much is done, 0 to 1. */
  share (): number
  over (): boolean
  /** Writes down what is done to whom. */
  tell (what: string): void
}

export interface Fault {
  readonly name: string
  readonly help: string
  readonly backend: BackendName
  readonly may: Partial<Pick<Rules, 'new_epochs' | 'resets' | 'unknown'>>
  /** Many large items: volume for what only shows under pressure. */
  readonly fat?: boolean
  readonly proxied?: boolean
  /** Workers are processes of their own; only on a plain Redis. */
  readonly workers?: boolean
  /** Behind haproxy, three of them. */
  readonly balanced?: boolean
  /** So many of them are not started at first. */
  readonly gateways_later?: number
  /** A client that is cut off hears again within this time; judged in whole runs, told in quick ones. */
  readonly away_ms_max?: number
  /** Settings of the gateways. */
  readonly env?: Record<string, string>
  inject (world: World): Promise<void>
}

/** So that nothing but the gateway's own mistakes can make a reset. */
const WHOLE_LOG = { HEADWAY_LOG_BYTES_MAX: '67108864', HEADWAY_LOG_EVENTS_MAX: '20000' } as const
const LOSSY = { new_epochs: true } as const
/** Gateways come and go as planned: nothing may be lost, and nobody waits. */
const ROLLING = {
  backend: 'plain', may: {}, balanced: true, away_ms_max: 3_000, env: { HEADWAY_DRAIN_DELAY_MS: '300', HEADWAY_DRAIN_WINDOW_MS: '700' }
} as const

export const FAULTS: readonly Fault[] = [
  {
    name: 'gateway-kill',
    help: 'SIGKILL of a gateway, which starts again on its port',
    backend: 'plain',
    may: {},
    inject: world => repeat(world, world.quick ? 1 : 3, async () => {
      const gateway = one(world, world.gateways)
      world.tell(`SIGKILL ${gateway.port}`)
      await gateway.end()
      await pause(between(world.random, 0, 500))
      await gateway.start()
    })
  },
  {
    name: 'gateway-pause',
    help: 'SIGSTOP of a gateway for a while: its sockets stay open and say nothing',
    backend: 'plain',
    may: {},
    inject: world => repeat(world, world.quick ? 1 : 3, async () => {
      const gateway = one(world, world.gateways)
      await stopped(world, `gateway ${gateway.port}`, signal => gateway.signal(signal), world.quick ? 1_000 : between(world.random, 500, 3_000))
    })
  },
  {
    name: 'worker-kill',
    help: 'a worker\'s connections are reset, and it is killed and replaced in the middle of its jobs',
    backend: 'plain',
    may: {},
    workers: true,
    inject: world => repeat(world, world.quick ? 3 : 8, async n => {
      const worker = one(world, world.workers)
      if (n % 2 === 0) {
        world.tell(`SIGKILL ${worker.name}`)
        await worker.kill()
        await pause(between(world.random, 0, 500))
        worker.replace()
      } else {
        world.tell(`the wire of ${worker.name} is reset`)
        worker.wire.reset()
      }
    })
  },
  {
    name: 'subscriber-kill',
    help: 'CLIENT KILL TYPE pubsub, again and again',
    backend: 'plain',
    may: {},
    async inject (world) {
      const redis = (await firstServer(world)).client()
      const kill = async (): Promise<void> => {
        world.tell('CLIENT KILL TYPE pubsub')
        await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      }
      await repeat(world, world.quick ? 4 : 12, kill)
      // And while the last progress of all waits to be sent: nothing comes after it that would bring it along.
      await world.at(1)
      for (let n = 0; n < 8; n++) {
        await kill()
        await pause(20)
      }
    }
  },
  {
    name: 'subscriber-overflow',
    help: 'Redis cuts subscribers off because their output buffer is over a tiny limit',
    backend: 'plain',
    may: {},
    fat: true,
    env: WHOLE_LOG,
    inject: world => repeat(world, world.quick ? 1 : 3, async () => {
      const redis = (await firstServer(world)).client()
      const subscribers = async (): Promise<Set<string>> => {
        const list = await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub') as string
        return new Set([...list.matchAll(/^id=(\d+)/gm)].map(([, id = '']) => id))
      }
      const before = await subscribers()
      await redis.config('SET', 'client-output-buffer-limit', 'pubsub 1024 512 1')
      world.tell('output buffer of subscribers: 1 KiB')
      await pause(world.quick ? 1_000 : 2_000)
      await redis.config('SET', 'client-output-buffer-limit', 'pubsub 33554432 8388608 60')
      const left = await subscribers()
      world.tell(`${[...before].filter(id => !left.has(id)).length} of ${before.size} subscribers were cut off`)
      world.tell('output buffer of subscribers: as usual')
    })
  },
  {
    name: 'redis-restart',
    help: 'SIGKILL of a Redis with appendonly, which starts again on its port and folder',
    backend: 'durable',
    may: LOSSY,
    inject: world => repeat(world, world.quick ? 1 : 2, async () => {
      world.tell('SIGKILL Redis')
      await world.backend.restart()
      world.tell('Redis is back')
    })
  },
  {
    name: 'redis-wiped',
    help: 'FLUSHALL: every job is gone, the workers\' SDK sends again what it sent',
    backend: 'plain',
    may: { ...LOSSY, unknown: true },
    inject: world => repeat(world, 1, async () => {
      world.tell('FLUSHALL')
      await (await firstServer(world)).client().flushall()
    })
  },
  {
    name: 'redis-frozen',
    help: 'SIGSTOP of Redis for 3 s',
    backend: 'plain',
    may: {},
    inject: world => repeat(world, world.quick ? 1 : 2, async () => {
      const { pid } = await firstServer(world)
      await stopped(world, 'Redis', signal => process.kill(pid, signal), 3_000)
    })
  },
  ...(['sentinel', 'cluster'] as const).map((backend): Fault => ({
    name: `failover-${backend}`,
    help: `SIGKILL of a primary that was ahead of its replicas, one of which takes over (${backend === 'sentinel' ? 'Sentinel' : 'Cluster'})`,
    backend,
    may: LOSSY,
    inject: world => repeat(world, 1, async () => {
      const job = one(world, world.jobs)
      const primary = await world.backend.primaryOf(job)
      // What it takes from here on dies with it: otherwise a replica on the same machine would have everything.
      const written = await uncopied(primary)
      await pause(between(world.random, 100, 800))
      world.tell(`SIGKILL the primary of ${job}, ${await written()} bytes of it are on no replica`)
      await primary.kill()
    })
  })),
  {
    name: 'network-cut',
    help: 'the wires between clients, gateways and Redis stall or are reset',
    backend: 'plain',
    may: {},
    proxied: true,
    inject: world => repeat(world, world.quick ? 2 : 6, async n => {
      const side = (n + between(world.random, 0, 1)) % 2 === 0 ? 'redis' : 'client'
      const wire = one(world, side === 'redis' ? world.redis_wires : world.client_wires)
      const ms = world.quick ? 800 : between(world.random, 200, 5_000)
      if (world.random() < 0.6) {
        world.tell(`the ${side} wire ${wire.port} stalls for ${ms} ms`)
        wire.stall()
        await pause(ms)
        // Half of the stalled wires come back as if nothing had been.
        if (world.random() < 0.5) wire.reset()
        wire.pass()
      } else {
        world.tell(`the ${side} wire ${wire.port} is reset`)
        wire.reset()
      }
    })
  },
  {
    name: 'client-churn',
    help: 'clients leave and come back all the time',
    backend: 'plain',
    may: {},
    inject: churn
  },
  {
    name: 'mixed',
    help: 'clients leave and come back while subscribers are killed: whoever joins meets a repair',
    backend: 'plain',
    may: {},
    async inject (world) {
      const redis = (await firstServer(world)).client()
      const kills = repeat(world, world.quick ? 20 : 60, async () => { await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub') })
      await Promise.all([churn(world), kills])
    }
  },
  {
    name: 'slow-clients',
    help: 'clients stop reading their socket for a while',
    backend: 'plain',
    // Who falls behind before its first snapshot has been sent has no position to go on from.
    may: { resets: true },
    fat: true,
    env: { ...WHOLE_LOG, HEADWAY_SOCKET_QUEUE_BYTES_MAX: '16384', HEADWAY_BEHIND_MS_MAX: '4000' },
    async inject (world) {
      await world.at(0.1)
      const slow = world.watchers.filter(() => world.random() < 0.5)
      const quick = world.watchers.filter(watcher => !slow.includes(watcher))
      world.tell(`${slow.length} clients stop reading`)
      for (const watcher of slow) watcher.setReading(false)
      const [tenantWatcher] = world.tenant_watchers
      tenantWatcher?.setReading(false)
      const stoodAt = quick.map(({ bytes }) => bytes)
      for (const [n, watcher] of slow.entries()) {
        // Some only after the end of their job: they have much to catch up with.
        const share = 0.4 + 0.8 * n / slow.length
        await world.at(Math.min(1, share))
        if (share > 1) await pause(200)
        const missed = Math.max(0, ...quick.map(({ job, bytes }, m) => job === watcher.job ? bytes - (stoodAt[m] ?? 0) : 0))
        world.tell(`client ${watcher.client} reads again; others of ${watcher.job} have read ${missed >> 10} KiB meanwhile`)
        watcher.setReading(true)
      }
      tenantWatcher?.setReading(true)
      world.tell('all read again')
    }
  },
  {
    name: 'rolling-restart',
    help: 'behind haproxy, each gateway in turn gets SIGTERM and is started again',
    ...ROLLING,
    async inject (world) {
      for (const [n, gateway] of world.gateways.entries()) {
        await world.at(0.15 + 0.25 * n)
        await leave(world, gateway)
        await gateway.start()
        world.tell(`${gateway.port} is back`)
      }
    }
  },
  {
    name: 'scale-in',
    help: 'behind haproxy, two of three gateways get SIGTERM, one after the other, for good',
    ...ROLLING,
    async inject (world) {
      const [stays, ...others] = shuffled(world, world.gateways)
      for (const [n, gateway] of others.entries()) {
        await world.at(0.2 + 0.3 * n)
        await leave(world, gateway)
      }
      world.tell(`${stays?.port} is alone and holds ${await stays?.connections()} connections`)
    }
  },
  {
    name: 'scale-out',
    help: 'behind haproxy, two more gateways join one; clients that come back are sent to them',
    ...ROLLING,
    gateways_later: 2,
    async inject (world) {
      for (const [n, gateway] of world.gateways.slice(0, 2).entries()) {
        await world.at(0.15 + 0.3 * n)
        await gateway.start()
        world.tell(`${gateway.port} is new`)
        // Nobody leaves a gateway that is well: newcomers fill the new one.
        await until(async () => {
          if (world.over()) return true
          one(world, [...world.watchers, ...world.tenant_watchers]).drop()
          return await gateway.connections() > 2
        }, { what: `the balancer sends clients to ${gateway.port}`, timeout_ms: 30_000, interval_ms: 50 })
        world.tell(`${gateway.port} holds ${await gateway.connections()} connections`)
      }
    }
  }
]

async function leave ({ tell }: World, gateway: GatewayHandle): Promise<void> {
  tell(`SIGTERM ${gateway.port}`)
  await gateway.end('SIGTERM')
  tell(`${gateway.port} has left`)
}

function shuffled<T> ({ random }: World, list: readonly T[]): T[] {
  return list.map(value => ({ value, at: random() })).sort((a, b) => a.at - b.at).map(({ value }) => value)
}

function one<T> ({ random }: World, list: readonly T[]): T {
  const found = list[between(random, 0, list.length - 1)]
  if (found === undefined) throw new Error('there is nothing to choose from')
  return found
}

/** Spread over the middle of the work, at moments that the seed shifts. */
async function repeat (world: World, times: number, act: (n: number) => Promise<void>): Promise<void> {
  for (let n = 0; n < times; n++) {
    await world.at(0.2 + 0.6 * (n + 0.7 * world.random()) / times)
    if (world.over()) return
    await act(n)
  }
}

async function churn (world: World): Promise<void> {
  world.tell('churn begins')
  while (!world.over() && world.share() < 0.95) {
    one(world, [...world.watchers, ...world.tenant_watchers]).drop()
    await pause(between(world.random, 5, 40))
  }
  world.tell('churn ends')
}

async function stopped (world: World, what: string, send: (signal: NodeJS.Signals) => void, ms: number): Promise<void> {
  world.tell(`SIGSTOP ${what} for ${ms} ms`)
  send('SIGSTOP')
  await pause(ms)
  send('SIGCONT')
}

/** Cuts the replicas off for good. @returns counts the bytes that they have missed since */
async function uncopied (primary: RedisServer): Promise<() => Promise<number>> {
  const redis = primary.client()
  const offset = async (): Promise<number> => Number(/master_repl_offset:(\d+)/.exec(await redis.info('replication'))?.[1])
  await redis.call('ACL', 'SETUSER', 'default', '-psync', '-sync')
  await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
  const before = await offset()
  return async () => await offset() - before
}

function firstServer ({ backend, jobs }: World): Promise<RedisServer> {
  return backend.primaryOf(jobs[0] ?? '')
}
