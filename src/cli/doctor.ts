// `headway doctor`: looks at everything that Headway stands on, and says what to do.

import { parseArgs } from 'node:util'
import { examine } from '../doctor/doctor.ts'
import { worstOf } from '../doctor/finding.ts'
import { reportOf } from '../doctor/report.ts'
import { tellFault, UsageError, type Command } from './command.ts'
import { plain } from './terminal.ts'

export const command: Command = {
  summary: 'examines configuration, Redis, partitions, database and clocks',

  help: () => `headway doctor [--repair] [--strict] [--json]

Looks at what Headway stands on, with the settings of the environment: the configuration itself; Redis, its version, topology,
persistence, memory, rights; the partitions and the jobs in them; the database, its schema and who may write to it; the clocks. Each
finding says what it means and what to do. Nothing is written; gateways and persisters may run meanwhile.

  --repair   mends what it finds broken in the partitions: missing keys are made anew, jobs get their places in agenda and
             list back, places without a job are taken away
  --strict   a warning counts as a problem
  --json     one JSON object: status, and findings with subject, check, level, found, means, advice

Exit code: 0 no problem (there may be warnings); 1 a problem, or it could not look; 2 wrong command line.

Examples:
  headway doctor
  headway doctor --json | jq '.findings[] | select(.level != "ok")'
  headway doctor --repair`,

  async run (args) {
    try {
      const { values: { repair, strict, json }, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { repair: { type: 'boolean', default: false }, strict: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } }
      })
      if (positionals.length > 0) throw new UsageError(`headway doctor takes no arguments, only options: ${positionals.join(' ')}`)
      const findings = (await examine(process.env, { repair })).map(finding => ({ ...finding, found: plain(finding.found) }))
      const status = worstOf(findings)
      console.log(json ? JSON.stringify({ status, findings }, null, 2) : reportOf(findings, process.stdout))
      return status === 'problem' || (strict && status === 'warning') ? 1 : 0
    } catch (error) {
      return tellFault(error, 'doctor')
    }
  }
}
