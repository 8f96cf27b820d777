// The bar of a job: what became of its items, as shares of one track; to assistive technology it is a progressbar.

import type { JobMetrics } from '../protocol/messages.ts'
import { h, setAttribute } from './dom.ts'
import { formatCount, formatPercent } from './format.ts'

/** In the order in which they stand on the track. */
const PARTS = ['completed', 'skipped', 'failed', 'canceled', 'processing'] as const

export interface ProgressBar {
  element: HTMLElement
  update (job: JobMetrics, live: boolean): void
}

export function createProgressBar (label: string): ProgressBar {
  const parts = PARTS.map(part => h('span', { class: `part ${part}` }))
  const element = h('div', {
    class: 'bar', role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100
  }, parts)

  return {
    element,
    update (job, live) {
      const total = Math.max(1, job.items_total)
      PARTS.forEach((part, n) => {
        const share = Math.min(100, job[`items_${part}`] / total * 100)
        parts[n]?.style.setProperty('width', `${share.toFixed(3)}%`)
      })
      setAttribute(element, 'class', live ? 'bar live' : 'bar')
      setAttribute(element, 'aria-valuenow', Math.floor(job.percent_complete * 10) / 10)
      setAttribute(element, 'aria-valuetext', describe(job))
    }
  }
}

/** The same for ears: `51.0 %, 50 of 100 items completed, 2 failed`. */
export function describe (job: JobMetrics): string {
  const words = [formatPercent(job.percent_complete), `${formatCount(job.items_completed)} of ${formatCount(job.items_total)} items completed`]
  if (job.items_failed > 0) words.push(`${formatCount(job.items_failed)} failed`)
  if (job.items_skipped > 0) words.push(`${formatCount(job.items_skipped)} skipped`)
  return words.join(', ')
}
