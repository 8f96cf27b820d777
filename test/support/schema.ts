// The schema as users apply it: the files of deploy/supabase, in order.

import { readFileSync, readdirSync } from 'node:fs'

const folder = new URL('../../deploy/supabase/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8')

export const MIGRATIONS = readdirSync(folder).filter((name) => /^\d{4}_.*\.sql$/.test(name)).sort()

/** All migrations as one text. */
export const SCHEMA = MIGRATIONS.map(read).join('\n')

/** What a Supabase project has before them. */
export const ROLES = read('roles_local.sql')

/** What headway_version answers then. */
export const SCHEMA_VERSION = Number(MIGRATIONS.at(-1)?.slice(0, 4))
