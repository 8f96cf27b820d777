// `headway token`: an HS256 token for trying things out. In production tokens come from whoever knows the users.

import { parseArgs } from 'node:util'
import { SCOPES } from '../config/schema.ts'
import { isId } from '../protocol/ids.ts'
import { UsageError, tellFault, type Command } from './command.ts'
import { DEMO_SECRET, readSecret, tenantClaim } from './remote.ts'
import { signToken } from './sign-token.ts'

export const command: Command = {
  summary: 'prints an access token',

  help: () => `headway token [--tenant <id>] [--scopes "<scope> …"] [--subject <id>] [--hours <n>]

Prints an HS256 token, signed with HEADWAY_JWT_SECRET (or the file in HEADWAY_JWT_SECRET_FILE); when neither
is set, with the secret of the demo in this folder (${DEMO_SECRET}).

  --tenant    whose jobs it opens [demo]
  --scopes    of ${SCOPES.join(', ')} [all]
  --subject   the user [token-command]
  --hours     until it expires [12]

Exit code: 0; 1 the secret cannot be read; 2 wrong command line, or no secret.

Examples:
  TOKEN=$(headway token)
  headway token --tenant acme --scopes "jobs:read jobs:control" --hours 1`,

  async run (args) {
    try {
      const { values } = parseArgs({
        args: [...args],
        options: {
          tenant: { type: 'string', default: 'demo' },
          scopes: { type: 'string', default: SCOPES.join(' ') },
          subject: { type: 'string', default: 'token-command' },
          hours: { type: 'string', default: '12' }
        }
      })
      const hours = Number(values.hours)
      if (!(hours > 0)) throw new UsageError(`--hours ${values.hours} must be a number above 0`)
      if (!isId(values.tenant)) throw new UsageError(`--tenant ${values.tenant} is no identifier`)
      const unknown = values.scopes.split(/[\s,]+/).filter(scope => !(SCOPES as readonly string[]).includes(scope))
      if (unknown.length > 0) throw new UsageError(`--scopes: ${unknown.join(', ')} is none of ${SCOPES.join(', ')}`)
      console.log(await signToken({
        secret: readSecret(),
        tenant_id: values.tenant,
        tenant_claim: tenantClaim(),
        scopes: values.scopes.split(/[\s,]+/),
        subject: values.subject,
        lifetime_s: hours * 3600
      }))
      return 0
    } catch (error) {
      return tellFault(error, 'token')
    }
  }
}
