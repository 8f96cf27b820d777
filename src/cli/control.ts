// `headway control`: pause, resume or cancel a job, and if asked to, wait until it is done.

import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createClient } from '../client/index.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { CONTROL_ACTIONS } from '../protocol/states.ts'
import { tellFault, UsageError, type Command } from './command.ts'
import { jobIdOf, type Remote, REMOTE_HELP, REMOTE_OPTIONS, remoteOf } from './remote.ts'

interface Answer { job_id: string, effect: string, state?: string, request_id?: string | null, status_url?: string }

export const command: Command = {
  summary: 'pauses, resumes or cancels a job',

  help: () => `headway control <job> pause|resume|cancel [--reason <text>] [--wait] [--json]

Asks the job's worker; without its acknowledgement the job goes on by itself after HEADWAY_CONTROL_TIMEOUT_MS.

  --reason <text>    for those who watch
  --wait             until it is paused, canceled, or has gone elsewhere
  --json             the answer as JSON
${REMOTE_HELP}

Exit code: 0; 1 when it was refused (the job cannot go there, is not known, …); 2 for a wrong call.

Examples:
  headway control job_123 pause --reason lunch --wait
  headway control job_123 cancel`,

  async run (args) {
    try {
      const { values, positionals: [id, action, ...others] } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { ...REMOTE_OPTIONS, reason: { type: 'string' }, wait: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } }
      })
      if (id === undefined || others.length > 0 || !(CONTROL_ACTIONS as readonly (string | undefined)[]).includes(action)) {
        throw new UsageError(`headway control <job> pause|resume|cancel: name a job and what it shall do${action === undefined ? '' : `; ${action} is none of these`}`)
      }
      const remote = remoteOf(values)
      const { reason, wait, json } = values
      const answer = await remote.call<Answer>('POST', `/v1/jobs/${jobIdOf(id)}/control`, {
        body: { action, ...(reason === undefined ? {} : { reason }) }, idempotency_key: randomUUID()
      })
      if (wait && process.stderr.isTTY && isOnTheWay(answer.state)) console.error(`${id}: ${answer.state}; waiting for its worker, or its time-out`)
      const state = wait ? await settledState(remote, id) : answer.state
      if (json) console.log(JSON.stringify({ ...answer, ...(state === undefined ? {} : { state }) }))
      else console.log(`${id}: ${answer.effect === 'unconfirmed' ? 'stored, but its effect is not known yet' : `${state ?? 'unknown'}${answer.effect === 'repeat' ? ', as it was' : ''}`}`)
      return 0
    } catch (error) {
      return tellFault(error, 'control')
    }
  }
}

function isOnTheWay (state: string | undefined): boolean {
  return state === 'pausing' || state === 'canceling'
}

/** @returns the first state that is none on the way */
async function settledState ({ url, getToken, explain }: Remote, id: string): Promise<string> {
  const client = createClient({ url, getToken })
  const watch = client.watch(id)
  try {
    return await new Promise((resolve, reject) => {
      watch.subscribe(() => {
        const { job, error } = watch.getSnapshot()
        if (error !== null) reject(new HeadwayError(error.code, explain(error.code, error.detail)))
        else if (job !== null && !isOnTheWay(job.state)) resolve(job.state)
      })
    })
  } finally {
    client.close()
  }
}
