// The schema of the database, as files in order: deploy/supabase. What this build needs is the last of them.

import { readdirSync, readFileSync } from 'node:fs'

export interface Migration {
  version: number
  /** 0001_tables.sql */
  name: string
  sql: string
}

const FOLDER = new URL('../../deploy/supabase/', import.meta.url)

/** @returns in order */
export function migrations (): Migration[] {
  return readdirSync(FOLDER).filter(name => /^\d{4}_\w+\.sql$/.test(name)).sort()
    .map(name => ({ version: Number(name.slice(0, 4)), name, sql: readFileSync(new URL(name, FOLDER), 'utf8') }))
}

/** The roles that a Supabase project has and a plain Postgres lacks. */
export function localRoles (): string {
  return readFileSync(new URL('roles_local.sql', FOLDER), 'utf8')
}

/** The version that this build writes to. */
export function schemaVersion (): number {
  return migrations().at(-1)?.version ?? 0
}
