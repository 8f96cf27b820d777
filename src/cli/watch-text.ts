// What a watched job looks like: a picture for a terminal, a line for a log.

import { formatDuration, formatPercent, formatRate } from '../dashboard/format.ts'
import type { JobMessage, JobView, WatchView } from '../client/index.ts'
import type { ItemView, SnapshotData, StateChangedData } from '../protocol/messages.ts'
import { bar, countsText, cut, lineOf, outlook, plain, stateText } from './terminal.ts'

const ITEMS_SHOWN = 5
const BAR_COLUMNS_MAX = 60

export function drawJob (id: string, { job, items, connection }: WatchView, columns: number): string[] {
  if (job === null) return [`${id}  ${connection === 'stopped' ? '' : 'connecting…'}`]
  const title = job.title === null ? '' : `  ${plain(job.title)}`
  const percent = formatPercent(job.percent_complete).padStart(8)
  const facts = [outlook(job), `${formatRate(job.throughput_per_min)} a minute`, `${formatDuration(job.time_processing_ms)} so far`]
  const lines = [
    `${stateText(job.state)}  ${cut(id + title, columns - 12)}`,
    `${bar(job, Math.max(1, Math.min(BAR_COLUMNS_MAX, columns - 10)))} ${percent}`,
    cut(countsText(job), columns),
    cut(facts.filter(text => text !== '').join(' · '), columns)
  ]
  if (connection === 'reconnecting') lines.push(cut('the line is cut; this is the last that was heard', columns))
  for (const item of items.slice(0, ITEMS_SHOWN)) lines.push(itemText(item, columns))
  return lines
}

function itemText (item: ItemView, columns: number): string {
  const { state, title, id } = item
  const tail = state === 'processing' ? ` ${formatPercent(item.percent_complete)}` : state === 'failed' ? `  ${errorText(item)}` : ''
  return `  ${stateText(state, 10)} ${cut(plain(title ?? id) + tail, columns - 14)}`
}

function errorText ({ error }: ItemView): string {
  return error === null ? '' : plain(typeof error === 'string' ? error : JSON.stringify(error))
}

/** @returns null for what is not worth a line */
export function lineOfMessage (message: JobMessage, job: JobView | null): string | null {
  const { type, data } = message
  if (job === null) return null
  switch (type) {
    case 'job.snapshot': return `${lineOf((data as SnapshotData).job)}${(data as SnapshotData).reset ? '; begins anew' : ''}`
    case 'job.progress': return lineOf(job)
    case 'job.state_changed': {
      const { prior_state: prior, new_state: next, reason, forced } = data as StateChangedData
      return `${prior} → ${next}${forced ? ', forced' : ''}${reason === null ? '' : `: ${plain(reason)}`}`
    }
    case 'job.completed':
    case 'job.canceled':
    case 'job.failed': return lineOf(job)
    default:
  }
  if (type.startsWith('job.')) return type.slice('job.'.length).replaceAll('_', ' ')
  if (!type.endsWith('.failed')) return null
  const item = data as ItemView
  return `${item.id} failed${item.retryable ? ', will be tried again' : ''}: ${errorText(item)}`
}
