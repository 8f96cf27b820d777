// The beat of a job: items settled in each second of the last minute, as a line.

import type { JobMetrics } from '../protocol/messages.ts'
import { setAttribute, svg } from './dom.ts'

const SLICE_MS = 1000
const SLICES = 60
const WIDTH = 240
const HEIGHT = 40

export interface Pulse {
  element: Element
  update (job: JobMetrics): void
}

/** @param now a clock in ms */
export function createPulse (now: () => number): Pulse {
  const line = svg('polyline', { class: 'line' })
  const area = svg('polygon', { class: 'area' })
  const element = svg('svg', { class: 'pulse', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, [area, line])
  const counts: number[] = []
  let slice = Math.floor(now() / SLICE_MS)
  let settled: number | null = null

  return {
    element,
    update (job) {
      const current = job.items_completed + job.items_failed + job.items_skipped
      const reached = Math.floor(now() / SLICE_MS)
      for (; slice < reached; slice++) counts.push(0)
      counts.splice(0, counts.length - SLICES)
      if (counts.length === 0) counts.push(0)
      if (settled !== null) counts[counts.length - 1] = (counts.at(-1) ?? 0) + Math.max(0, current - settled)
      settled = current
      const points = outline(counts)
      setAttribute(line, 'points', points)
      setAttribute(area, 'points', `${WIDTH - (counts.length - 1) * (WIDTH / (SLICES - 1))},${HEIGHT} ${points} ${WIDTH},${HEIGHT}`)
    }
  }
}

/** The newest at the right edge. */
function outline (counts: readonly number[]): string {
  const top = Math.max(1, ...counts)
  return counts.map((count, n) => {
    const x = WIDTH - (counts.length - 1 - n) * (WIDTH / (SLICES - 1))
    const y = HEIGHT - 2 - count / top * (HEIGHT - 6)
    return `${x.toFixed(1)},${y.toFixed(1)}`
  }).join(' ')
}
