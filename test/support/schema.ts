// The schema as users apply it.

import { localRoles, migrations, schemaVersion } from '../../src/persister/migrations.ts'

export const MIGRATIONS = migrations().map(({ name }) => name)

/** Up to a version, as one text. */
export const schemaUpTo = (version: number): string => migrations().slice(0, version).map(({ sql }) => sql).join('\n')

/** All migrations as one text. */
export const SCHEMA = migrations().map(({ sql }) => sql).join('\n')

/** What a Supabase project has before them. */
export const ROLES = localRoles()

/** What headway_version answers then. */
export const SCHEMA_VERSION = schemaVersion()
