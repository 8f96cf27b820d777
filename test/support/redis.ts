// A private Redis (or Valkey) on a free port with its own folder, gone with the test.

import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Redis } from 'ioredis'
import { spawnGuarded, type GuardedChild } from './child.ts'
import { freePorts } from './ports.ts'
import { until } from './wait.ts'

export interface RedisServerOptions {
  /** Default: a free one. */
  port?: number
  /** More of the configuration: `['--appendonly', 'yes']`. */
  flags?: readonly string[]
  /** Folder of its data; default a new one that is removed by `stop`. */
  dir?: string
}

export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly dir: string
  readonly pid: number
  /** A connection of the test's own; closed by `stop`. */
  client (): Redis
  /** SIGKILL: nothing is saved. The folder stays, so that `startRedis({port, dir})` finds it again. */
  kill (): Promise<void>
  /** Ends the server, closes the clients, removes the folder. Idempotent. */
  stop (): Promise<void>
}

/** The first of redis-server and valkey-server on the PATH. @throws Error when there is none */
export function redisBinary (): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  for (const name of ['redis-server', 'valkey-server']) {
    for (const folder of folders) {
      try {
        accessSync(join(folder, name), constants.X_OK)
        return join(folder, name)
      } catch {}
    }
  }
  throw new Error('neither redis-server nor valkey-server is on the PATH; install one of them')
}

/** Starts one and waits until it answers. Without persistence unless `flags` says otherwise. */
export async function startRedis (options: RedisServerOptions = {}): Promise<RedisServer> {
  const attempts = options.port === undefined ? 5 : 1
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePorts(1))[0] as number
    try {
      return await startOn(port, options)
    } catch (error) {
      if (attempt >= attempts) throw error
    }
  }
}

async function startOn (port: number, options: RedisServerOptions): Promise<RedisServer> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'headway-redis-'))
  const removeDir = (): void => { if (options.dir === undefined) rmSync(dir, { recursive: true, force: true }) }
  process.once('exit', removeDir)
  const child = await spawnGuarded(redisBinary(), [
    '--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no',
    '--loglevel', 'warning', ...options.flags ?? []
  ])
  const clients = new Set<Redis>()
  const client = (): Redis => {
    const redis = new Redis({ port, host: '127.0.0.1' })
    redis.on('error', () => {}) // a killed server is what the tests are about; the failing command tells
    clients.add(redis)
    return redis
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    for (const redis of clients) redis.disconnect()
    clients.clear()
    await child.end(signal)
    process.off('exit', removeDir)
    removeDir()
  }
  try {
    await answers(child, client())
  } catch (error) {
    await stop('SIGKILL')
    throw error
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    dir,
    pid: child.pid,
    client,
    kill: () => child.end('SIGKILL'),
    stop: () => stop()
  }
}

async function answers (child: GuardedChild, probe: Redis): Promise<void> {
  let dead = false
  await until(async () => {
    dead = !child.running()
    return dead || await probe.ping() === 'PONG'
  }, { what: 'the private Redis answers' })
  probe.disconnect()
  if (dead) throw new Error(`the private Redis ended at once: ${child.output().trim() || 'it said nothing'}`)
}
