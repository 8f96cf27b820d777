// A private Postgres on a free port with its own folder, gone with the test.

import { join } from 'node:path'
import pg from 'pg'
import { installedPostgres, makeCluster } from '../../src/demo/postgres-cluster.ts'
import { spawnGuarded, type GuardedChild } from './child.ts'
import { freePorts } from './ports.ts'
import { until } from './wait.ts'

export interface PostgresServer {
  readonly port: number
  /** Of the owner, without a password. */
  readonly url: string
  /** Runs statements as the owner. */
  query (text: string, values?: unknown[]): Promise<Record<string, unknown>[]>
  /** At once and without a checkpoint, as a crash; the folder stays. */
  kill (): Promise<void>
  /** After a kill: the same database on the same port. */
  restart (): Promise<void>
  stop (): Promise<void>
}

/** @param programs folder of another version's initdb and postgres; absent = the one of npm */
export async function startPostgres (programs?: string): Promise<PostgresServer> {
  const cluster = await makeCluster({
    programs: programs === undefined ? await installedPostgres() : { initdb: join(programs, 'initdb'), postgres: join(programs, 'postgres') },
    prefix: 'headway-postgres-',
    password: null
  })
  process.once('exit', cluster.remove)
  const [port] = await freePorts(1) as [number]
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  let child: GuardedChild

  async function start (): Promise<void> {
    const { command, args, ...options } = cluster.server(port)
    child = await spawnGuarded(command, args, options)
    let dead = false
    await until(async () => {
      dead = !child.running()
      return dead || (await pool.query('select 1')).rowCount === 1
    }, { timeout_ms: 30_000, what: 'the private Postgres answers' })
    if (dead) throw new Error(`the private Postgres ended at once: ${child.output()}`)
  }

  await start()
  return {
    port,
    url,
    query: async (text, values = []) => (await pool.query(text, values)).rows as Record<string, unknown>[],
    kill: () => child.end('SIGQUIT'),
    restart: start,
    async stop () {
      await pool.end()
      await child.end('SIGINT')
      process.off('exit', cluster.remove)
      cluster.remove()
    }
  }
}
