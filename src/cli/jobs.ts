// `headway jobs`: the tenant's jobs, or one of them with its items or what happened.

import { parseArgs } from 'node:util'
import { formatDuration, formatPercent } from '../dashboard/format.ts'
import type { ItemView, JobMessage, JobView } from '../protocol/messages.ts'
import { LIST_LIMIT_MAX } from '../protocol/limits.ts'
import { ITEM_STATES, JOB_STATES } from '../protocol/states.ts'
import { tellFault, UsageError, wholeNumber, type Command } from './command.ts'
import { jobIdOf, type Remote, REMOTE_HELP, REMOTE_OPTIONS, remoteOf } from './remote.ts'
import { bar, cell, countsText, outlook, plain, stateText } from './terminal.ts'

interface Page<T> { data: T[], next_cursor: string | null }

const BAR_COLUMNS = 40

export const command: Command = {
  summary: 'lists jobs, shows one, its items, what happened',

  help: () => `headway jobs [<job>] [--items | --timeline] [--state <state>] [--archived] [--limit <n>] [--json]

Without a job: the tenant's jobs, newest first. With one: all that is known of it, or its items, or its log.

  --state <state>    only jobs, or items, in it
  --archived         also jobs that have left Redis, from the database
  --limit <n>        rows at most [50]
  --json             one JSON object a line
${REMOTE_HELP}

Exit code: 0; 1 when it could not be read; 2 for a wrong call.

Examples:
  headway jobs --state running
  headway jobs job_123
  headway jobs job_123 --items --state failed --json | jq .error`,

  async run (args) {
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          ...REMOTE_OPTIONS,
          state: { type: 'string' },
          limit: { type: 'string', default: '50' },
          items: { type: 'boolean', default: false },
          timeline: { type: 'boolean', default: false },
          archived: { type: 'boolean', default: false },
          json: { type: 'boolean', default: false }
        }
      })
      const [id, ...others] = positionals
      const { items, timeline, state, archived, json } = values
      if (others.length > 0) throw new UsageError(`headway jobs shows one job: ${positionals.join(' ')} are ${positionals.length}`)
      if ((items || timeline) && id === undefined) throw new UsageError('--items and --timeline are of one job: name it')
      if (archived && id !== undefined) throw new UsageError('--archived is of the list: a job is found wherever it is')
      const states: readonly string[] = items ? ITEM_STATES : JOB_STATES
      if (state !== undefined && !states.includes(state)) throw new UsageError(`--state ${state} is none of ${states.join(', ')}`)
      const limit = wholeNumber('limit', values.limit, 1, 1_000_000)
      const remote = remoteOf(values)
      const path = id === undefined ? '/v1/jobs' : `/v1/jobs/${jobIdOf(id)}`
      if (id !== undefined && !items && !timeline) {
        const job = await remote.call<JobView>('GET', path)
        console.log(json ? JSON.stringify(job) : detailsOf(job).join('\n'))
        return 0
      }
      const list = timeline ? `${path}/timeline` : items ? `${path}/items` : path
      const show = json ? (row: object) => JSON.stringify(row) : timeline ? eventLine : items ? itemLine : jobLine
      let shown = 0
      for await (const row of rows<JobView & ItemView & JobMessage>(remote, list, { ...(state === undefined ? {} : { state }), ...(archived ? { archived: 'true' } : {}) }, limit)) {
        console.log(show(row))
        shown++
      }
      if (shown === 0 && !json) console.error(`No ${items ? 'items' : timeline ? 'events' : 'jobs'}${state === undefined ? '' : ` that are ${state}`}.`)
      return 0
    } catch (error) {
      return tellFault(error, 'jobs')
    }
  }
}

async function * rows<T> (remote: Remote, path: string, filter: Record<string, string>, limit: number): AsyncGenerator<T> {
  let left = limit
  for (let cursor: string | null = ''; cursor !== null && left > 0;) {
    const query: Record<string, string> = { ...filter, limit: String(Math.min(left, LIST_LIMIT_MAX)) }
    if (cursor !== '') query['cursor'] = cursor
    const page: Page<T> = await remote.call('GET', `${path}?${new URLSearchParams(query)}`)
    yield * page.data
    left -= page.data.length
    cursor = page.next_cursor
  }
}

function jobLine (job: JobView): string {
  const tail = [outlook(job), plain(job.title ?? '')].filter(text => text !== '').join('  ')
  return `${cell(job.id, 24)} ${stateText(job.state, 10)} ${formatPercent(job.percent_complete).padStart(8)}  ${countsText(job)}  ${tail}`.trimEnd()
}

function itemLine (item: ItemView): string {
  const tail = item.state === 'failed' && item.error !== null ? plain(typeof item.error === 'string' ? item.error : JSON.stringify(item.error)) : ''
  const title = plain(item.title ?? '')
  return `${cell(item.id, 24)} ${stateText(item.state, 10)} ${formatPercent(item.percent_complete).padStart(8)}  ${[title, tail].filter(text => text !== '').join('  ')}`.trimEnd()
}

function eventLine ({ ts, seq, type, data }: JobMessage): string {
  return `${ts} ${String(seq).padStart(6)} ${type} ${plain(wordsOf(data as unknown as Record<string, unknown>))}`.trimEnd()
}

function wordsOf ({ prior_state: prior, new_state: next, forced, reason, id, title }: Record<string, unknown>): string {
  if (typeof next === 'string') return `${String(prior)} → ${next}${forced === true ? ', forced' : ''}${typeof reason === 'string' ? `: ${reason}` : ''}`
  return [id, title, reason].filter(word => typeof word === 'string').join('  ')
}

function detailsOf (job: JobView): string[] {
  const facts: [string, string | null][] = [
    ['title', job.title === null ? null : plain(job.title)],
    ['items', countsText(job)],
    ['in processing', String(job.items_processing)],
    ['outlook', outlook(job) || null],
    ['average', job.average_duration_ms_per_item === null ? null : `${formatDuration(job.average_duration_ms_per_item)} an item`],
    ['processing', formatDuration(job.time_processing_ms)],
    ['created', job.created_at],
    ['started', job.started_at],
    ['ended', job.ended_at],
    ['request', job.control.request_id === null ? null : `${String(job.control.action)} ${job.control.request_id}${job.control.acknowledged ? ', acknowledged' : ''}`],
    ['cursor', `${job.epoch}.${job.seq}`],
    ['kept', job.archived === true ? 'in the database; it has left Redis' : null]
  ]
  return [
    `${job.id}  ${stateText(job.state)}`,
    `${bar(job, BAR_COLUMNS)} ${formatPercent(job.percent_complete)}`,
    ...facts.flatMap(([name, value]) => value === null ? [] : [`${name.padEnd(14)} ${value}`])
  ]
}
