// Servers under measurement: a process of its own on the server's core.

import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { spawnGuarded, type GuardedChild } from '../../test/support/child.ts'
import { freePorts } from '../../test/support/ports.ts'
import { until } from '../../test/support/wait.ts'
import { onServerCore, rssBytes } from './machine.ts'

const COLLECT = fileURLToPath(new URL('./collect.ts', import.meta.url))
const HELD = fileURLToPath(new URL('./held.ts', import.meta.url))
const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
export const TENANT = 'bench'
export const SECRET = 'a secret of these benchmarks, longer than thirty-two characters'
const SOCKETS_MAX = 50_000
/** What a gateway can, not what it is told to take. */
const HANDSHAKES_PER_S = 100_000
/** As the bin, the scripts of package.json and the image start it. */
const GATEWAY_NODE_FLAGS = ['--max-semi-space-size=4']

/** Of a server's main thread, ms: its CPU between two turns of the event loop, and the delay of timers. */
export interface Held {
  p50_ms: number
  p99_ms: number
  max_ms: number
  delay_p99_ms: number
  delay_max_ms: number
}

export interface Server {
  port: number
  pid: number
  /** RSS right after a garbage collection, bytes. */
  collectedRss (): Promise<number>
  /** How long its event loop is held meanwhile. */
  held (meanwhile: () => Promise<void>): Promise<Held>
  child: GuardedChild
  /** All processes whose CPU counts; usually one. */
  pids: number[]
  end (): Promise<void>
}

/** @param path answers 2xx once the server is ready */
async function start (
  env: Record<string, string | number>, port: number, args: readonly string[], path: string, nodeFlags: readonly string[] = []
): Promise<Server> {
  const pairs = Object.entries(env).map((pair) => pair.join('='))
  const [command, all] = onServerCore('/usr/bin/env', [...pairs, process.execPath, ...nodeFlags, '--expose-gc', '--import', COLLECT, '--import', HELD, ...args])
  const child = await spawnGuarded(command, all)
  await until(async () => {
    if (!child.running()) throw new Error(child.output())
    return (await fetch(`http://127.0.0.1:${port}${path}`)).ok
  }, { what: `${args.join(' ')} is ready`, timeout_ms: 20_000 }).catch(async (error) => {
    await child.end('SIGKILL')
    throw error
  })
  const collections = (): number => child.output().split('collected\n').length
  return {
    port,
    pid: child.pid,
    pids: [child.pid],
    child,
    async collectedRss () {
      const before = collections()
      process.kill(child.pid, 'SIGUSR2')
      await until(() => collections() > before, { what: 'the server collected its garbage' })
      await pause(200)
      return rssBytes(child.pid)
    },
    async held (meanwhile) {
      const answers = (word: string): string[] => child.output().split('\n').filter((line) => line.startsWith(word))
      const ask = async (word: string): Promise<string> => {
        const before = answers(word).length
        process.kill(child.pid, 'SIGWINCH')
        await until(() => answers(word).length > before, { what: `the server says ${word}` })
        return answers(word).at(-1) as string
      }
      await ask('looking')
      await meanwhile()
      return JSON.parse((await ask('held')).slice('held'.length)) as Held
    },
    end: () => child.end('SIGKILL')
  }
}

export async function startHeadway (redisUrl: string): Promise<Server> {
  const [port = 0, internal = 0] = await freePorts(2)
  return await start({
    REDIS_URL: redisUrl,
    WEBSOCKET_HOST: '127.0.0.1',
    WEBSOCKET_PORT: port,
    HEADWAY_INTERNAL_HOST: '127.0.0.1',
    HEADWAY_INTERNAL_PORT: internal,
    HEADWAY_JWT_SECRET: SECRET,
    HEADWAY_SOCKETS_MAX: SOCKETS_MAX,
    // All clients are of one tenant here.
    HEADWAY_TENANT_SOCKETS_MAX: SOCKETS_MAX,
    HEADWAY_HANDSHAKES_PER_S: HANDSHAKES_PER_S,
    HEADWAY_TENANT_HANDSHAKES_PER_S: HANDSHAKES_PER_S,
    HEADWAY_DASHBOARD: 'off',
    HEADWAY_LOG_LEVEL: 'warn'
  }, port, [HEADWAY, 'gateway'], '/readyz', GATEWAY_NODE_FLAGS)
}

/** One of bench/baselines. */
export async function startBaseline (name: 'ws' | 'socketio' | 'bare' | 'relay', redisUrl = ''): Promise<Server> {
  const [port = 0] = await freePorts(1)
  const program = fileURLToPath(new URL(`../baselines/${name}.ts`, import.meta.url))
  return await start({ REDIS_URL: redisUrl, PORT: port }, port, [program], '/')
}
