// The schema as users apply it: the files of deploy/supabase, in order.

import { readFileSync, readdirSync } from 'node:fs'

const folder = new URL('../../deploy/supabase/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

/** Names, in their order. */
export function migrations (): string[] {
  return readdirSync(folder).filter(name => /^\d{4}_.*\.sql$/.test(name)).sort()
}

/** All migrations as one text. */
export function schemaSql (): string {
  return migrations().map(read).join('\n')
}

/** What a Supabase project has before them, and a plain Postgres has not. */
export function rolesSql (): string {
  return read('roles_local.sql')
}
