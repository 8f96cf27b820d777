// `headway capacity`: how many of each for a load, and what breaks first.

import { parseArgs } from 'node:util'
import { DEFAULT_LOAD, faultOf, planFor, type Load } from '../capacity/plan.ts'
import { figuresText, planText, tableText } from '../capacity/report.ts'
import { tellFault, UsageError, wholeNumber, type Command } from './command.ts'

const SENDING = ['batched', 'alone', 'scattered'] as const

export const command: Command = {
  summary: 'how many gateways, Redis primaries and persisters a load needs',

  help: () => `headway capacity [options]

Counts how many gateways, Redis primaries and persisters a load needs and what breaks first when it grows: arithmetic on figures that were
measured small (docs/capacity.md), no test at that size. Asks nobody.

  --watchers <n>             open pages and other clients [${DEFAULT_LOAD.watchers}]
  --watchers-per-job <n>     of each job that is watched [${DEFAULT_LOAD.watchers_per_job}]
  --events-per-watcher <n>   events a second that one of them sees [${DEFAULT_LOAD.events_per_watcher_per_s}]
  --events <n>               events a second of all jobs [${DEFAULT_LOAD.events_per_s}]
  --jobs <n>                 jobs in Redis, running or just ended, of 100 items [${DEFAULT_LOAD.jobs}]
  --sending <how>            batched (the SDK), alone (an event a call), scattered (each event another job) [${DEFAULT_LOAD.sending}]
  --outage-minutes <n>       without the database that the outbox holds; 0 = no database [${DEFAULT_LOAD.outage_minutes}]
  --json                     load and plan as one JSON object
  --figures                  the figures with their sources, instead
  --table                    the table of docs/capacity.md, instead

Exit code: 0; 2 wrong command line, or a load that contradicts itself.

Examples:
  headway capacity --watchers 100000 --events 100000 --jobs 100000
  headway capacity --watchers 1000000 --events 100000 --jobs 200000 --outage-minutes 0 --json`,

  async run (args) {
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          watchers: { type: 'string', default: String(DEFAULT_LOAD.watchers) },
          'watchers-per-job': { type: 'string', default: String(DEFAULT_LOAD.watchers_per_job) },
          'events-per-watcher': { type: 'string', default: String(DEFAULT_LOAD.events_per_watcher_per_s) },
          events: { type: 'string', default: String(DEFAULT_LOAD.events_per_s) },
          jobs: { type: 'string', default: String(DEFAULT_LOAD.jobs) },
          sending: { type: 'string', default: DEFAULT_LOAD.sending },
          'outage-minutes': { type: 'string', default: String(DEFAULT_LOAD.outage_minutes) },
          json: { type: 'boolean', default: false },
          figures: { type: 'boolean', default: false },
          table: { type: 'boolean', default: false }
        }
      })
      if (positionals.length > 0) throw new UsageError(`headway capacity takes no arguments, only options: ${positionals.join(' ')}`)
      if (values.figures || values.table) {
        console.log(values.figures ? figuresText() : tableText())
        return 0
      }
      const load: Load = {
        watchers: wholeNumber('watchers', values.watchers, 1, 1_000_000_000),
        watchers_per_job: wholeNumber('watchers-per-job', values['watchers-per-job'], 1, 1_000_000_000),
        events_per_watcher_per_s: wholeNumber('events-per-watcher', values['events-per-watcher'], 0, 100_000),
        events_per_s: wholeNumber('events', values.events, 1, 1_000_000_000),
        jobs: wholeNumber('jobs', values.jobs, 1, 1_000_000_000),
        sending: sendingOf(values.sending),
        outage_minutes: wholeNumber('outage-minutes', values['outage-minutes'], 0, 100_000)
      }
      const fault = faultOf(load)
      if (fault !== null) throw new UsageError(fault)
      const plan = planFor(load)
      console.log(values.json ? JSON.stringify({ load, plan }, null, 2) : planText(load, plan))
      return 0
    } catch (error) {
      return tellFault(error, 'capacity')
    }
  }
}

function sendingOf (text: string): Load['sending'] {
  const found = SENDING.find(one => one === text)
  if (found === undefined) throw new UsageError(`--sending ${text} is none of ${SENDING.join(', ')}`)
  return found
}
