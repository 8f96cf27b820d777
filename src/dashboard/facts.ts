// The numbers of a job: counters under the bar, and tiles.

import { isTerminal } from '../protocol/states.ts'
import type { JobView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount, formatDuration, formatEstimate, formatInstant, formatRate } from './format.ts'

export interface Facts {
  element: HTMLElement
  update (job: JobView): void
}

const COUNTERS = [
  ['completed', 'Completed'], ['processing', 'In progress'], ['failed', 'Failed'],
  ['skipped', 'Skipped'], ['canceled', 'Canceled'], ['waiting', 'Waiting']
] as const

export function createCounters (): Facts {
  const values = COUNTERS.map(() => h('dd'))
  const groups = COUNTERS.map(([name, label], n) => h('div', { class: name }, [h('dt', {}, [label]), values[n] ?? null]))
  const element = h('dl', { class: 'counters' }, groups)
  return {
    element,
    update (job) {
      COUNTERS.forEach(([name], n) => {
        const count = name === 'waiting' ? Math.max(0, job.items_pending - job.items_processing) : job[`items_${name}`]
        const value = values[n]
        if (value !== undefined) setText(value, formatCount(count))
        if (groups[n] !== undefined) setAttribute(groups[n], 'class', count === 0 ? `${name} none` : name)
      })
    }
  }
}

export function createTiles (): Facts {
  const eta = tile('Time left')
  const rate = tile('Items per minute')
  const average = tile('Average per item')
  const running = tile('Time running')
  const element = h('dl', { class: 'tiles' }, [eta, rate, average, running].map(one => one.element))
  return {
    element,
    update (job) {
      eta.set(isTerminal(job.state) ? (job.state === 'completed' ? 'Done' : 'Ended') : formatEstimate(job.eta_ms), etaNote(job))
      rate.set(formatRate(job.throughput_per_min), job.throughput_per_min === null ? '' : isTerminal(job.state) ? 'on average' : 'now')
      average.set(formatDuration(job.average_duration_ms_per_item), job.concurrency === null ? '' : `${job.concurrency} at a time`)
      running.set(formatDuration(job.time_processing_ms), deadlineNote(job))
    }
  }
}

function etaNote (job: JobView): string {
  if (isTerminal(job.state)) return job.ended_at === null ? '' : `at ${formatInstant(job.ended_at)}`
  if (job.state === 'paused' || job.state === 'pausing') return 'after a resume'
  if (job.rate_limited) return job.retry_at === null ? 'rate limited' : `rate limited until ${formatInstant(job.retry_at)}`
  if (job.eta_reason === 'silent' || job.eta_reason === 'stalled') return 'unsure: nothing has been done for a while'
  if (job.eta_ms === null) return job.state === 'pending' ? 'not started' : 'not enough known yet'
  return [intervalOf(job), job.finish_at === null ? '' : `done about ${formatInstant(job.finish_at)}`].filter(text => text !== '').join(' · ')
}

/** How sure the estimate is, as a range. */
function intervalOf ({ eta_low_ms: low, eta_high_ms: high }: JobView): string {
  if (low === null || high === null) return ''
  const [from, to] = [formatEstimate(low), formatEstimate(high)]
  return from === to ? '' : `${from} to ${to}`
}

function deadlineNote (job: JobView): string {
  if (job.processing_deadline_ms === null) return job.time_to_start_ms === null ? '' : `started after ${formatDuration(job.time_to_start_ms)}`
  return `of ${formatDuration(job.processing_deadline_ms)} allowed`
}

function tile (label: string): { element: HTMLElement, set (value: string, note: string): void } {
  const value = h('dd', { class: 'value' })
  const note = h('dd', { class: 'note' })
  return {
    element: h('div', { class: 'tile' }, [h('dt', {}, [label]), value, note]),
    set (text, more) {
      setText(value, text)
      setText(note, more)
    }
  }
}
