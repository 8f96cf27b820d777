// `headway config`: the settings in effect, without secrets, and every fault of them.

import { sinkFaults } from '../config/engine-options.ts'
import { aliasesUsed, ConfigError, configOf, readSettings, unknownSettings, type Reading } from '../config/load.ts'
import { UsageError, tellFault, type Command } from './command.ts'

export const command: Command = {
  summary: 'the settings in effect, secrets hidden',

  help: () => `headway config [gateway|persister]

Prints every setting as it is in effect for that role (gateway unless told), one NAME=value a line; a secret only as (given), (empty) or
(unreadable). What is not the default is marked *, what has a fault and is therefore not in effect !; the faults stand on standard error,
and so do unknown names that begin with HEADWAY_.

Exit code: 0 good; 1 the configuration has faults, which are all named (the role does not start with it); 2 wrong command line.

Examples:
  headway config
  headway config persister | grep '^[*!]'`,

  async run (args) {
    try {
      const [role = 'gateway', ...rest] = args
      if (rest.length > 0 || (role !== 'gateway' && role !== 'persister')) {
        throw new UsageError(`headway config takes a role, gateway or persister, and settings of the environment: ${args.join(' ')}`)
      }
      const readings = readSettings(process.env, role === 'persister' ? ['HEADWAY_JWT_SECRET'] : [])
      for (const reading of readings) console.log(lineOf(reading))
      for (const name of unknownSettings(process.env)) console.error(`${name} is no setting of Headway; see --help`)
      for (const sentence of aliasesUsed(process.env)) console.error(sentence)
      const faults = readings.flatMap(({ fault }) => fault ?? [])
      if (role === 'persister' && faults.length === 0) faults.push(...sinkFaults(configOf(readings)))
      if (faults.length > 0) throw new ConfigError(faults)
      return 0
    } catch (error) {
      return tellFault(error, 'config')
    }
  }
}

function lineOf ({ setting: { name, secret, fallback }, text, value, fault }: Reading): string {
  const told = fault !== null ? text ?? '' : Array.isArray(value) ? value.join(' ') : String(value)
  const shown = secret ? text === null ? '(unreadable)' : text === '' ? '(empty)' : '(given)' : told
  return `${fault !== null ? '!' : told === (fallback ?? '') ? ' ' : '*'} ${name}=${shown}`
}
