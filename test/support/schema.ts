// The schema as users apply it.

import { migrations, rolesSql, schemaSql } from '../../src/demo/supabase-schema.ts'

export const MIGRATIONS = migrations()

/** All migrations as one text. */
export const SCHEMA = schemaSql()

/** What a Supabase project has before them. */
export const ROLES = rolesSql()

/** What headway_version answers then. */
export const SCHEMA_VERSION = Number(MIGRATIONS.at(-1)?.slice(0, 4))
