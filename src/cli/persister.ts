// `headway persister`: one persister, until SIGTERM.

import { configHelp } from '../config/help.ts'
import { runPersister, type RunningPersister } from '../main.ts'
import { UsageError, tellFault, untilToldToStop, type Command } from './command.ts'

/** Not told in the help: a persister has neither users nor sockets. */
const OF_GATEWAYS = new RegExp('^(WEBSOCKET_|SUPABASE_ANON_KEY|HEADWAY_(PUBLIC_PROBES|DASHBOARD|ALLOWED_ORIGINS|TRUST_PROXY|JWT_|JWKS_|TENANT_|USER_|PING_|' +
  'PROGRESS_|SOCKET|BEHIND_|DRAIN_|HANDSHAKES_|BODY_|FRAME_|SUBSCRIPTIONS_|MESSAGES_|ARCHIVE_))')

export const command: Command = {
  summary: 'a persister: keeps jobs, items and events in Supabase or Postgres',

  help: () => `headway persister

Runs one persister until SIGTERM or SIGINT. Any number of them may run; they share the partitions among themselves. Needs Redis and
a sink: SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or HEADWAY_SINK=postgres and HEADWAY_POSTGRES_URL. The schema is that of
deploy/supabase: headway migrate brings it there. Probes (/livez, /readyz) and metrics (/metrics) on HEADWAY_INTERNAL_PORT.

Exit code: 0 stopped as told; 1 it could not start (the configuration has faults, all named; the schema is too old; a port is taken;
Redis holds another deployment), or was ended at once; 2 wrong command line. Redis or a database that is away is waited for.

Examples:
  SUPABASE_URL=https://project.supabase.co SUPABASE_SERVICE_ROLE_KEY_FILE=/run/secrets/service headway persister
  HEADWAY_SINK=postgres HEADWAY_POSTGRES_URL=postgres://headway:…@db:5432/app headway persister

Configured by the environment; what only gateways read is left out:

${configHelp(OF_GATEWAYS)}`,

  async run (args) {
    const stop = new AbortController()
    const told = untilToldToStop(() => { process.exit(1) })
    void told.then(() => { stop.abort() })
    let persister: RunningPersister
    try {
      if (args.length > 0) throw new UsageError(`headway persister takes no arguments, only settings of the environment: ${args.join(' ')}`)
      persister = await runPersister(process.env, stop.signal)
    } catch (error) {
      return stop.signal.aborted ? 0 : tellFault(error, 'persister')
    }
    await told
    await persister.stop()
    return 0
  }
}
