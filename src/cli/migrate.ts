// `headway migrate`: brings the schema of the database up to this build's.

import { parseArgs } from 'node:util'
import { ConfigError, loadConfig } from '../config/load.ts'
import { migrate } from '../persister/migrate.ts'
import { tellFault, UsageError, type Command } from './command.ts'

export const command: Command = {
  summary: 'brings the schema of the database up to this build\'s',

  help: () => `headway migrate [--dry-run] [--all] [--roles]

Runs the files of deploy/supabase that the database of HEADWAY_POSTGRES_URL (or HEADWAY_POSTGRES_URL_FILE) lacks, in order. Run it before
gateways and persisters of a new build start; those of the build before go on with the newer schema. Several at once wait for each other;
one that was cut off is begun again. The user must own the schema: on Supabase postgres, by the direct address or a session pooler
(port 5432), not the one by transactions (6543).

  --dry-run  only says what would be run
  --all      every file anew: puts back grants and functions that somebody changed
  --roles    on a plain Postgres: first makes the roles anon, authenticated, service_role and authenticator

Exit code: 0 the schema is that of this build, or newer; 1 it could not be brought there; 2 wrong command line.

Examples:
  HEADWAY_POSTGRES_URL=postgres://postgres:…@db.project.supabase.co:5432/postgres headway migrate --dry-run
  HEADWAY_POSTGRES_URL_FILE=/run/secrets/owner headway migrate`,

  async run (args) {
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { 'dry-run': { type: 'boolean', default: false }, all: { type: 'boolean', default: false }, roles: { type: 'boolean', default: false } }
      })
      if (positionals.length > 0) throw new UsageError(`headway migrate takes no arguments, only options: ${positionals.join(' ')}`)
      const { postgres_url: url } = loadConfig(process.env, ['HEADWAY_JWT_SECRET'])
      if (url === '') throw new ConfigError(['HEADWAY_POSTGRES_URL is not set; give it or HEADWAY_POSTGRES_URL_FILE'])
      const { 'dry-run': dryRun, all, roles } = values
      const { from, to, files } = await migrate({ url, dry_run: dryRun, all, roles, onFile: name => { console.log(`running ${name}`) } })
      if (dryRun) for (const name of files) console.log(`would run ${name}`)
      if (files.length === 0) console.log(`schema version ${from}: nothing to do`)
      else console.log(`schema version ${from === 0 ? 'none' : from}, ${dryRun ? 'would be' : 'now'} ${to}`)
      return 0
    } catch (error) {
      return tellFault(error, 'migrate')
    }
  }
}
