// Brings the schema of a database up to this build's: the files of deploy/supabase that it lacks, in order, under a lock, so that several
// may begin at once. Each file is a transaction and may run again without harm: a migration that was cut off is simply begun anew.

import pg from 'pg'
import { HeadwayError } from '../protocol/errors.ts'
import { localRoles, migrations, type Migration } from './migrations.ts'

export interface MigrateOptions {
  /** postgres://…, as who owns the schema: on Supabase postgres. A session's own, not of a pooler by transactions. */
  url: string
  /** Only say what would be done. */
  dry_run: boolean
  /** Every file anew, for grants or functions that somebody changed. */
  all: boolean
  /** First make the roles that a Supabase project has. */
  roles: boolean
  /** Told before each file. */
  onFile?: (name: string) => void
}

export interface Migrated {
  /** 0 = there was no schema. */
  from: number
  to: number
  /** Names of the files, run or, of a dry run, to be run. */
  files: string[]
}

/** Any number that no other program is likely to lock: "headway" in ASCII. */
const LOCK = '29384866549686649'
const LOCK_MS_MAX = 300_000
const CONNECT_MS_MAX = 10_000
const ROLES = ['anon', 'authenticated', 'service_role']

/** @throws HeadwayError invalid_config, or temporary ones, that say what to do */
export async function migrate ({ url, dry_run: dryRun, all, roles, onFile = () => {} }: MigrateOptions): Promise<Migrated> {
  const client = new pg.Client({ connectionString: url, application_name: 'headway-migrate', connectionTimeoutMillis: CONNECT_MS_MAX, keepAlive: true })
  client.on('error', () => {}) // the call that fails tells
  try {
    await connect(client)
    if (!dryRun) await lock(client)
    const from = await versionOf(client)
    const known = migrations()
    const newest = known.at(-1)?.version ?? 0
    if (from > newest && all) throw new HeadwayError('invalid_config', `the schema is of version ${from}, and this build knows ${newest}: --all would turn back what newer builds need`)
    const wanted = known.filter(({ version }) => all || version > from)
    const files = wanted.map(({ name }) => name)
    if (roles) files.unshift('roles_local.sql')
    if (dryRun) return { from, to: Math.max(from, newest), files }
    if (roles) await run(client, { version: 0, name: 'roles_local.sql', sql: localRoles() }, onFile)
    else if (wanted.length > 0) await needRoles(client)
    for (const migration of wanted) await run(client, migration, onFile)
    if (wanted.length > 0) await client.query('notify pgrst, \'reload schema\'') // PostgREST knows functions by heart
    const to = await versionOf(client)
    if (to < newest) throw new HeadwayError('internal', `the files ran, and the schema says version ${to} instead of ${newest}: look into headway.migrations`)
    return { from, to, files }
  } finally {
    await client.end().catch(() => {}) // the lock goes with the session
  }
}

async function connect (client: pg.Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    const { code = '', message = '' } = error as { code?: string, message?: string }
    throw new HeadwayError('not_ready', `the database of HEADWAY_POSTGRES_URL cannot be reached: ${message || code}`, { cause: error })
  }
}

async function lock (client: pg.Client): Promise<void> {
  await client.query(`set lock_timeout = ${LOCK_MS_MAX}`)
  try {
    await client.query(`select pg_advisory_lock(${LOCK})`)
  } catch (error) {
    throw new HeadwayError('not_ready', `another migration has held the lock for ${LOCK_MS_MAX / 1000} s: see application_name headway-migrate in pg_stat_activity`, { cause: error })
  }
  await client.query('reset lock_timeout')
}

async function versionOf (client: pg.Client): Promise<number> {
  try {
    const { rows: [found] } = await client.query<{ there: boolean }>('select to_regclass(\'headway.migrations\') is not null as there')
    if (found?.there !== true) return 0
    const { rows: [stored] } = await client.query<{ version: number | null }>('select max(version) as version from headway.migrations')
    return stored?.version ?? 0
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error
    const who = client.user ?? 'this user'
    throw new HeadwayError('invalid_config', `${who} may not read headway.migrations: migrate as the owner of the schema, on Supabase postgres`, { cause: error })
  }
}

async function needRoles (client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ rolname: string }>('select rolname from pg_roles where rolname = any($1)', [ROLES])
  const missing = ROLES.filter(role => !rows.some(({ rolname }) => rolname === role))
  if (missing.length === 0) return
  throw new HeadwayError('invalid_config', `this Postgres has no roles ${missing.join(', ')}, as a Supabase project has: headway migrate --roles makes them, as a user who may create roles`)
}

async function run (client: pg.Client, { name, sql }: Migration, onFile: (name: string) => void): Promise<void> {
  onFile(name)
  try {
    await client.query(sql)
  } catch (error) {
    await client.query('rollback').catch(() => {})
    const { code = '', message = String(error) } = error as { code?: string, message?: string }
    const hint = code === '42501' ? '; migrate as the owner of the schema, on Supabase postgres' : ''
    throw new HeadwayError('invalid_config', `${name} failed, and nothing of it stays: ${code} ${message}${hint}`, { cause: error })
  }
}
