// Every word the element says, so that a page can say it in its own language. Numbers and units follow the element's `lang`.

import type { JobMetrics, JobView } from '../protocol/messages.ts'
import type { ControlAction, JobState } from '../protocol/states.ts'
import { isTerminal } from '../protocol/states.ts'

export interface Texts {
  states: Record<JobState, string>
  actions: Record<ControlAction, string>
  rate_limited: string
  stalled: string
  connecting: string
  reconnecting: string
  /** `50 of 100` */
  counted: (done: string, total: string) => string
  failed: (count: string) => string
  left: (duration: string) => string
}

export const TEXTS: Texts = {
  states: {
    pending: 'Waiting',
    running: 'Running',
    pausing: 'Pausing…',
    paused: 'Paused',
    completing: 'Finishing…',
    completed: 'Completed',
    canceling: 'Canceling…',
    canceled: 'Canceled',
    failed: 'Failed'
  },
  actions: { pause: 'Pause', resume: 'Resume', cancel: 'Cancel' },
  rate_limited: 'rate limited',
  stalled: 'no sign of life',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  counted: (done, total) => `${done} of ${total}`,
  failed: count => `${count} failed`,
  left: duration => `${duration} left`
}

/** Cut, not rounded: 100 is said only when it is reached. */
export function percentText (percent: number, lang: string | undefined): string {
  return new Intl.NumberFormat(lang, { style: 'percent', maximumFractionDigits: 1 }).format(Math.floor(percent * 10) / 1000)
}

/** In one unit; an estimate is no more exact than that. */
export function durationText (ms: number, lang: string | undefined): string {
  const seconds = Math.max(1, Math.round(ms / 1000))
  const [value, unit] = seconds < 60 ? [seconds, 'second'] : seconds < 5400 ? [seconds / 60, 'minute'] : seconds < 129_600 ? [seconds / 3600, 'hour'] : [seconds / 86_400, 'day']
  return new Intl.NumberFormat(lang, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 0 }).format(value)
}

/** `50 of 100 · 2 failed · 35 sec left` */
export function detailText (job: JobView, texts: Texts, lang: string | undefined): string {
  const count = (value: number): string => new Intl.NumberFormat(lang).format(value)
  const words = [texts.counted(count(job.items_completed + job.items_skipped), count(job.items_total))]
  if (job.items_failed > 0) words.push(texts.failed(count(job.items_failed)))
  if (hasEstimate(job) && !isTerminal(job.state)) words.push(texts.left(durationText(job.eta_ms, lang)))
  if (job.rate_limited) words.push(texts.rate_limited)
  if (job.stalled) words.push(texts.stalled)
  return words.join(' · ')
}

function hasEstimate (job: JobMetrics): job is JobMetrics & { eta_ms: number } {
  return job.eta_ms !== null && job.eta_ms > 0
}
