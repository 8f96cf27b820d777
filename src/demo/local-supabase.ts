// A Supabase project on this machine, as far as Headway needs one: a real Postgres with the schema of deploy/supabase, a real PostgREST,
// and in front of them stand-ins for the hosted gateway and Realtime. It begins empty, in a temporary folder, and is gone with the demo.

import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { migrate } from '../persister/migrate.ts'
import type { Child, Children } from './children.ts'
import { DemoError } from './demo-error.ts'
import { anyFreePort, listenFrom } from './free-port.ts'
import { installedPostgres, makeCluster, type PostgresCluster } from './postgres-cluster.ts'
import { installedPostgrest, isPostgrestReady, postgrestConfig } from './postgrest.ts'
import { createRealtimeStandIn, type RealtimeStandIn } from './realtime-stand-in.ts'
import { createSupabaseGateway } from './supabase-gateway.ts'
import { makeKeys, type SupabaseKeys } from './supabase-keys.ts'

const HOST = '127.0.0.1'
/** Where Supabase's own command line puts it. */
const PORT = 54_321
const READY_WITHIN_MS = 30_000
const POLL_MS = 50
const KEYS_LIFETIME = '30d'

export interface LocalSupabaseOptions {
  /** Of users' tokens; Headway's own, so that both take the same. */
  jwt_secret: string
  /** Begins the name of its temporary folder; what an earlier one that was killed left is removed. */
  prefix: string
  /** Takes what the programs say. */
  log_folder: string
  children: Children
  /** Aborted = give up. */
  signal: AbortSignal
}

export interface LocalSupabase {
  /** What SUPABASE_URL is. */
  url: string
  keys: SupabaseKeys
  /** Of the owner. */
  database_url: string
  /** How one of its programs has ended, in words. Never rejects. */
  ended: Promise<string>
  /** Before its children are stopped: Realtime is told, the others would only see it fail. Idempotent. */
  hangUp (): Promise<void>
  /** After them. Idempotent. */
  remove (): void
}

/** @throws DemoError when a program is not there, or does not come up */
export async function startLocalSupabase (options: LocalSupabaseOptions): Promise<LocalSupabase> {
  const { children, prefix, log_folder: logs, signal } = options
  const programs = { ...await installedPostgres(), postgrest: installedPostgrest() }
  removeLeft(prefix)
  const password = randomBytes(24).toString('hex')
  const cluster = await makeCluster({ programs, prefix, password })
  const started: Child[] = []
  let server: Server | null = null
  let realtime: RealtimeStandIn | null = null
  const hangUp = async (): Promise<void> => { await realtime?.stop() }
  const remove = (): void => {
    server?.closeAllConnections()
    server?.close()
    process.off('exit', cluster.remove)
    cluster.remove()
  }
  children.guardFolder(cluster.folder)
  process.once('exit', cluster.remove) // for the impatient
  try {
    const { url, child } = await startPostgres(cluster, password, join(logs, 'postgres.log'), children, signal)
    started.push(child)
    await migrate({ url, roles: true, all: false, dry_run: false })
    const rest = await startPostgrest(programs.postgrest, cluster.folder, url, options)
    started.push(rest.child)
    const keys = await makeKeys(options.jwt_secret, KEYS_LIFETIME)
    server = createSupabaseGateway({ keys, postgrest: () => rest.port })
    await listenFrom(server, HOST, PORT)
    realtime = createRealtimeStandIn({
      database_url: url, jwt_secret: options.jwt_secret, secret_key: keys.secret, publishable_key: keys.publishable, server
    })
    await realtime.start()
    signal.throwIfAborted()
    const ended = Promise.race(started.map(async one => `${one.name} ended with ${await one.ended}`))
    return { url: `http://${HOST}:${(server.address() as AddressInfo).port}`, keys, database_url: url, ended, hangUp, remove }
  } catch (error) {
    await hangUp()
    for (const child of started.reverse()) await child.stop()
    remove()
    throw error
  }
}

async function startPostgres (cluster: PostgresCluster, password: string, log: string, children: Children, signal: AbortSignal) {
  const port = await anyFreePort(HOST)
  const child = children.start({ name: 'Postgres', ...cluster.server(port), log_file: log, stop_signal: 'SIGINT' })
  const url = `postgres://postgres:${password}@${HOST}:${port}/postgres`
  await ready(child, log, signal, () => answers(url))
  return { url, child }
}

async function startPostgrest (program: string, folder: string, databaseUrl: string, options: LocalSupabaseOptions) {
  const { children, log_folder: logs, signal, jwt_secret: secret } = options
  const port = await anyFreePort(HOST)
  const file = join(folder, 'postgrest.conf')
  writeFileSync(file, postgrestConfig({ database_url: databaseUrl, jwt_secret: secret, port }), { mode: 0o600 })
  const log = join(logs, 'postgrest.log')
  const child = children.start({ name: 'PostgREST', command: program, args: [file], log_file: log })
  await ready(child, log, signal, () => isPostgrestReady(port))
  return { port, child }
}

/** @throws DemoError when it does not answer; it has been stopped then */
async function ready (child: Child, log: string, signal: AbortSignal, look: () => Promise<boolean>): Promise<void> {
  let end: string | null = null
  void child.ended.then(how => { end = how })
  for (let waited = 0; waited < READY_WITHIN_MS && end === null && !signal.aborted; waited += POLL_MS) {
    if (await look()) return
    await delay(POLL_MS)
  }
  await child.stop()
  throw new DemoError(`${child.name} ${end === null ? `did not answer within ${READY_WITHIN_MS} ms` : `ended with ${String(end)}`}; its words are in ${log}`)
}

async function answers (url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

function removeLeft (prefix: string): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {} // another user's: it is in nobody's way
  }
}
