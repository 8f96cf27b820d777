// `headway config`: the settings in effect, without secrets, and every fault of them.

import { aliasesUsed, loadConfig, unknownSettings } from '../config/load.ts'
import { settings } from '../config/schema.ts'
import { UsageError, tellFault, type Command } from './command.ts'

export const command: Command = {
  summary: 'the settings in effect, secrets hidden',

  help: () => `headway config [gateway|persister]

Prints every setting as it is in effect for that role (gateway unless told), one NAME=value a line; a secret only as (given) or (empty). What is not the default is
marked *. Unknown names that begin with HEADWAY_ are told on standard error.

Exit code: 0 good; 1 the configuration has faults, which are all named; 2 wrong command line.`,

  async run (args) {
    try {
      const [role = 'gateway', ...rest] = args
      if (rest.length > 0 || (role !== 'gateway' && role !== 'persister')) {
        throw new UsageError(`headway config takes a role, gateway or persister, and settings of the environment: ${args.join(' ')}`)
      }
      const config = loadConfig(process.env, role === 'persister' ? ['HEADWAY_JWT_SECRET'] : [])
      for (const { name, key, secret, fallback } of settings()) {
        const value = config[key]
        const text = Array.isArray(value) ? value.join(' ') : String(value)
        const shown = secret ? text === '' ? '(empty)' : '(given)' : text
        console.log(`${text === fallback ? ' ' : '*'} ${name}=${shown}`)
      }
      for (const name of unknownSettings(process.env)) console.error(`${name} is no setting of Headway; see --help`)
      for (const sentence of aliasesUsed(process.env)) console.error(sentence)
      return 0
    } catch (error) {
      return tellFault(error)
    }
  }
}
