// Connections to Redis: one server, Sentinel or Cluster, told apart by the URL.

import { Cluster, Redis } from 'ioredis'
import { HeadwayError } from '../protocol/errors.ts'
import { letLoose, LOOSE_NODES } from './loose-sockets.ts'

export type RedisClient = Redis | Cluster
export type Topology = 'single' | 'cluster'

/** The part of pino that the engine uses. */
export interface Log {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
}

export const NO_LOG: Log = { debug () {}, info () {}, warn () {}, error () {} }

/** Who says where the primary is. */
export interface Sentinels { nodes: { host: string, port: number }[], name: string }

export interface Connections {
  readonly topology: Topology
  /** Null = the URL names none. */
  readonly sentinels: Sentinels | null
  /** For commands and scripts; a command that is not answered in 2 s fails. */
  readonly command: RedisClient
  /** A client of its own, closed with the others. */
  open (options?: ClientOptions): RedisClient
  close (): void
}

const COMMAND_TIMEOUT_MS = 2000
/**
 * A line that brings nothing for so long while commands wait is dead, and another one is opened: a machine that has lost its power
 * says no goodbye, and the kernel would go on trying for a quarter of an hour, long after a replica has been promoted.
 */
const SILENT_MS_MAX = 3 * COMMAND_TIMEOUT_MS

/** What clients of one process differ in. */
export interface ClientOptions {
  commandTimeout?: number
  /** Absent = {@link SILENT_MS_MAX} with a commandTimeout, else none. */
  socketTimeout?: number
  /** Null = commands wait for Redis for as long as it takes. */
  maxRetriesPerRequest?: number | null
  enableOfflineQueue?: boolean
  autoResendUnfulfilledCommands?: boolean
}

interface Target {
  topology: Topology
  sentinels?: Sentinels
  make (options: ClientOptions): RedisClient
}

/** Full jitter (AWS Architecture Blog, 2015), at most 1 s. */
function retryDelay (times: number): number {
  return Math.ceil(Math.random() * Math.min(1000, 50 * 2 ** Math.min(times, 10)))
}

function nodeOf (text: string, url: string): { host: string, port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text)
  if (!found) throw new HeadwayError('invalid_field', `REDIS_URL names a node that cannot be read: ${redacted(url)}`)
  return { host: (found[1] ?? found[2]) as string, port: Number(found[3] ?? 6379) }
}

/** A URL for messages: without user and password. */
export function redacted (url: string): string {
  return url.replace(/\/\/.*@/, '//***@')
}

/** As in any URL, percent-encoded. */
function loginOf (username: string | undefined, password: string | undefined): { username?: string, password?: string } {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {})
  }
}

const SENTINEL = /^redis(?<tls>s?)\+sentinel:\/\/(?:(?<username>[^:@]*):(?<password>[^@]*)@)?(?<nodes>[^/]+)\/(?<name>.+)$/
const CLUSTER = /^redis(?<tls>s?)(?:\+cluster)?:\/\/(?:(?<username>[^:@]*):(?<password>[^@]*)@)?(?<nodes>.+?)\/?$/

function targetOf (url: string, isLoose: boolean): Target {
  const sentinel = SENTINEL.exec(url)?.groups
  if (sentinel) {
    const { tls, username, password, nodes = '', name = '' } = sentinel
    const sentinels = nodes.split(',').map((node) => nodeOf(node, url))
    const fixed = { ...loginOf(username, password), ...(tls ? { tls: {} } : {}), sentinels, name, retryStrategy: retryDelay }
    return { topology: 'single', sentinels: { nodes: sentinels, name }, make: (options) => new Redis({ ...options, ...fixed }) }
  }
  const cluster = CLUSTER.exec(url)?.groups
  if (!cluster) {
    const known = 'redis://, rediss://, redis+cluster:// or redis+sentinel://'
    throw new HeadwayError('invalid_field', `REDIS_URL must begin with ${known}: ${redacted(url)}`)
  }
  if (!url.includes(',') && !url.includes('+cluster')) {
    return { topology: 'single', make: (options) => new Redis(url, { ...options, retryStrategy: retryDelay }) }
  }
  const { tls, username, password, nodes = '' } = cluster
  const startupNodes = nodes.split(',').map((node) => nodeOf(node.replace(/^rediss?:\/\/(?:[^@]*@)?/, ''), url))
  const login = { ...loginOf(username, password), ...(tls ? { tls: {} } : {}) }
  return {
    topology: 'cluster',
    make: ({ enableOfflineQueue, ...options }) => new Cluster(startupNodes, {
      redisOptions: { ...options, ...login, ...(isLoose ? LOOSE_NODES : {}) },
      ...(enableOfflineQueue === undefined ? {} : { enableOfflineQueue }),
      clusterRetryStrategy: retryDelay,
      shardedSubscribers: true,
      slotsRefreshTimeout: 2000,
      retryDelayOnTryAgain: 50
    })
  }
}

/**
 * @param options.loose its sockets do not keep the process alive
 * @throws HeadwayError invalid_field when the URL cannot be read
 */
export function connect (url: string, log: Log = NO_LOG, { loose = false }: { loose?: boolean } = {}): Connections {
  const { topology, sentinels = null, make } = targetOf(url, loose)
  const clients = new Set<RedisClient>()
  /** When Redis goes, all connections say the same. */
  let last = ''
  const open = (options: ClientOptions = {}): RedisClient => {
    const client = make(options.commandTimeout === undefined ? options : { socketTimeout: SILENT_MS_MAX, ...options })
    if (loose) letLoose(client)
    client.on('error', (error: Error & { command?: unknown }) => {
      delete error.command // its arguments may hold the password
      if (error.message !== last) log.warn({ event: 'redis_error', err: error }, `Redis at ${redacted(url)}: ${error.message}`)
      last = error.message
    })
    client.on('ready', () => { last = '' })
    clients.add(client)
    client.once('end', () => clients.delete(client))
    return client
  }
  return {
    topology,
    sentinels,
    command: open({ commandTimeout: COMMAND_TIMEOUT_MS, maxRetriesPerRequest: 3 }),
    open,
    close () {
      for (const client of clients) client.disconnect()
      clients.clear()
    }
  }
}
