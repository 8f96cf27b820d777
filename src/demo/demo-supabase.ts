// The local Supabase as the demo has it: what gateways and persister are told of it, and a file with the same for programs of the
// user's own. When it cannot run here, the demo says so and goes on without.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Children } from './children.ts'
import { startLocalSupabase } from './local-supabase.ts'
import { signSession } from './supabase-keys.ts'

/** For node --env-file. */
const FILE = 'supabase.env'
const SESSION_LIFETIME = '7d'

export interface DemoSupabaseOptions {
  /** Takes logs and the file. */
  folder: string
  jwt_secret: string
  /** Of the user whose token is in the file. */
  tenant: string
  children: Children
  say: (line: string) => void
  /** Aborted = give up. */
  signal: AbortSignal
}

export interface DemoSupabase {
  /** For the environment of gateways and persister. */
  env: Record<string, string>
  /** Before the children are stopped. */
  hangUp (): Promise<void>
  /** After that. */
  remove (): void
}

/**
 * @returns null when it cannot run here
 * @throws only when the signal was aborted
 */
export async function startDemoSupabase (options: DemoSupabaseOptions): Promise<DemoSupabase | null> {
  const { folder, jwt_secret: secret, tenant, children, say, signal } = options
  say('Supabase   a local one is being set up')
  // Another name for each folder: what a killed one left there is this demo's to remove, a neighbour's is not.
  const prefix = `headway-supabase-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}-`
  try {
    const local = await startLocalSupabase({ jwt_secret: secret, prefix, log_folder: folder, children, signal })
    const { url, keys, database_url: database, ended, hangUp, remove } = local
    const shown = {
      SUPABASE_URL: url,
      SUPABASE_ANON_KEY: keys.publishable,
      SUPABASE_USER_TOKEN: await signSession(secret, { tenant, user: 'demo', lifetime: SESSION_LIFETIME }),
      DATABASE_URL: database
    }
    const file = join(folder, FILE)
    writeFileSync(file, Object.entries(shown).map(pair => `${pair.join('=')}\n`).join(''), { mode: 0o600 })
    say(`Supabase   ${url}, anon key ${keys.publishable}; a user's token stands in ${file}`)
    void ended.then(how => {
      if (!signal.aborted) say(`${how}: live jobs go on, those that have ended wait in Redis. Stop with Ctrl-C and start again.`)
    })
    return { env: { SUPABASE_URL: url, SUPABASE_ANON_KEY: keys.publishable, SUPABASE_SERVICE_ROLE_KEY: keys.secret }, hangUp, remove }
  } catch (error) {
    signal.throwIfAborted()
    say(`Supabase   none: ${error instanceof Error ? error.message : String(error)}. Jobs are gone five minutes after their end.`)
    return null
  }
}
