// `headway persister`: one persister, until SIGTERM.

import { configHelp } from '../config/help.ts'
import { runPersister, type RunningPersister } from '../main.ts'
import { UsageError, tellFault, untilToldToStop, type Command } from './command.ts'

export const command: Command = {
  summary: 'a persister: keeps jobs, items and events in Supabase or Postgres',

  help: () => `headway persister

Runs one persister until SIGTERM or SIGINT. Any number of them may run; they share the partitions among themselves. Needs Redis and
a sink: SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or HEADWAY_SINK=postgres and HEADWAY_POSTGRES_URL. The schema is that of
deploy/supabase: headway migrate. Probes (/livez, /readyz) and metrics (/metrics) on HEADWAY_INTERNAL_PORT. Configured by the environment:

${configHelp()}`,

  async run (args) {
    const stop = new AbortController()
    const told = untilToldToStop(() => { process.exit(1) })
    void told.then(() => { stop.abort() })
    let persister: RunningPersister
    try {
      if (args.length > 0) throw new UsageError(`headway persister takes no arguments, only settings of the environment: ${args.join(' ')}`)
      persister = await runPersister(process.env, stop.signal)
    } catch (error) {
      return stop.signal.aborted ? 0 : tellFault(error)
    }
    await told
    await persister.stop()
    return 0
  }
}
