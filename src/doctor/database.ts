// Whether the database can be reached, has the schema of this build, lets the persister in and keeps strangers out.

import { createClient } from '@supabase/supabase-js'
import { SignJWT } from 'jose'
import pg from 'pg'
import { sinkOf } from '../config/engine-options.ts'
import type { Config } from '../config/schema.ts'
import { schemaVersion } from '../persister/migrations.ts'
import { createPostgresSink } from '../persister/postgres-sink.ts'
import { SinkError, type Sink } from '../persister/sink.ts'
import { createSupabaseSink } from '../persister/supabase-sink.ts'
import { findingsOf, reasonOf, type Finding } from './finding.ts'

const { ok, warning, problem } = findingsOf('database')
const CALL_MS_MAX = 10_000
/** What nobody but the persister may call. */
const PERSIST = 'public.headway_persist(jsonb)'

/** @returns no findings when there is none, or its address and key are not given here */
export async function examineDatabase (config: Config): Promise<Finding[]> {
  const kind = sinkOf(config)
  if (kind === 'supabase' && config.supabase_url !== '' && config.supabase_service_role_key !== '') {
    const sink = createSupabaseSink({ url: config.supabase_url, key: config.supabase_service_role_key })
    const findings = await sinkFindings(sink)
    return !findings.some(isAnswer) ? findings : [...findings, await strangersOfSupabase(config)]
  }
  if (kind === 'postgres' && config.postgres_url !== '') {
    const sink = createPostgresSink({ url: config.postgres_url })
    try {
      const findings = await sinkFindings(sink)
      return !findings.some(isAnswer) ? findings : [...findings, await strangersOfPostgres(config.postgres_url)]
    } finally {
      await sink.stop()
    }
  }
  return []
}

const isAnswer = ({ check, level }: Finding): boolean => check === 'reachable' && level === 'ok'

async function sinkFindings (sink: Sink): Promise<Finding[]> {
  const asked = performance.now()
  let version: number | null
  try {
    version = await sink.version(AbortSignal.timeout(CALL_MS_MAX))
  } catch (error) {
    return [unreachable(sink, error)]
  }
  const findings = [ok('reachable', `${sink.name} answers, in ${Math.round(performance.now() - asked)} ms`), schemaOf(version ?? 0)]
  try {
    await sink.persist({ jobs: [], items: [], events: [] }, AbortSignal.timeout(CALL_MS_MAX))
    findings.push(ok('rights', 'the persister may write'))
  } catch (error) {
    findings.push(problem('rights', `the persister may not write: ${reasonOf(error)}`, {
      means: 'changes wait in Redis until its bounds', advice: 'run headway migrate --all, which grants what it needs; the user or key must be of service_role'
    }))
  }
  return findings
}

function unreachable (sink: Sink, error: unknown): Finding {
  const reason = reasonOf(error)
  const code = error instanceof SinkError ? error.code : ''
  if (code === '42883' || code === 'PGRST202' || code === '42P01' || code === '3F000') {
    return problem('schema', `${sink.name} has no schema of Headway: ${reason}`, { means: 'nothing can be kept; changes wait in Redis until its bounds', advice: 'run headway migrate, or the files of deploy/supabase in the SQL editor, in order' })
  }
  if (code === '42501') {
    return problem('rights', `the persister may not call Headway's functions: ${reason}`, { means: 'changes wait in Redis until its bounds', advice: 'use the key of the service role (sb_secret_…), or a user that was granted service_role' })
  }
  const isKey = error instanceof SinkError && error.fault === 'configuration'
  return problem('reachable', `${sink.name} refuses or cannot be reached: ${reason}`, {
    means: 'live progress goes on; changes wait in Redis until its bounds',
    advice: isKey ? 'check key or password, and that it belongs to this address' : 'check address and network; whether the project is paused'
  })
}

function schemaOf (version: number): Finding {
  const wanted = schemaVersion()
  if (version === wanted) return ok('schema', `schema version ${version}`)
  if (version > wanted) {
    return ok('schema', `schema version ${version}, newer than this build's ${wanted}: newer ones still serve it`)
  }
  return problem('schema', `schema version ${version}; this build writes to ${wanted}`, {
    means: 'rows may be refused; changes wait in Redis until its bounds', advice: 'run headway migrate, before the new build starts'
  })
}

const OPEN = { means: 'whoever has the public key can write any job of any tenant', advice: 'run headway migrate --all: it revokes that; then find out who granted it' }

/** As role anon: the one proof that goes all the way. By the public key, or by a token that only the project's own JWT secret can make. */
async function strangersOfSupabase (config: Config): Promise<Finding> {
  const unknown = (why: string): Finding => warning('strangers', `whether strangers may write was not seen: ${why}`, {
    means: 'the schema forbids it; a grant of somebody else could allow it',
    advice: `in the SQL editor: select has_function_privilege('anon', '${PERSIST}', 'execute') must be false`
  })
  if (config.supabase_anon_key === '' && config.jwt_secret === '') return unknown('neither SUPABASE_ANON_KEY nor HEADWAY_JWT_SECRET is set here')
  const stranger = config.supabase_anon_key === ''
    ? createClient(config.supabase_url, config.supabase_service_role_key, { accessToken: async () => await anonToken(config.jwt_secret) })
    : createClient(config.supabase_url, config.supabase_anon_key, { auth: { persistSession: false, autoRefreshToken: false } })
  try {
    const { error, status } = await stranger.rpc('headway_persist', { batch: { jobs: [], items: [], events: [] } }).abortSignal(AbortSignal.timeout(CALL_MS_MAX))
    if (error === null) return problem('strangers', 'anon may call headway_persist', OPEN)
    if (error.code === '42501') return ok('strangers', 'anon may not call headway_persist')
    const wrong = config.supabase_anon_key !== ''
      ? 'SUPABASE_ANON_KEY is refused'
      : 'HEADWAY_JWT_SECRET is not the project\'s own, and SUPABASE_ANON_KEY is not set'
    return unknown(status === 401 ? wrong : `HTTP ${status} ${error.code}`)
  } catch (error) {
    return unknown(reasonOf(error))
  }
}

async function anonToken (secret: string): Promise<string> {
  return await new SignJWT({ role: 'anon' }).setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuedAt().setExpirationTime('1m').sign(new TextEncoder().encode(secret))
}

async function strangersOfPostgres (url: string): Promise<Finding> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CALL_MS_MAX, query_timeout: CALL_MS_MAX })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ rolname: string }>(
      'select rolname from pg_roles where rolname in (\'anon\', \'authenticated\') and has_function_privilege(rolname, $1, \'execute\')', [PERSIST])
    const names = rows.map(({ rolname: name }) => name)
    return names.length === 0 ? ok('strangers', 'anon may not call headway_persist') : problem('strangers', `${names.join(' and ')} may call headway_persist`, OPEN)
  } catch (error) {
    return warning('strangers', `whether strangers may write was not seen: ${reasonOf(error)}`, { means: 'the schema forbids it', advice: 'ask again as another user' })
  } finally {
    await client.end().catch(() => {})
  }
}
