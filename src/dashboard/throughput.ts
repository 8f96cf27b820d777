// Throughput over time: what the log still tells of before this page was opened, then what is heard.

import Plot from 'uplot'
import type { JobMessage, JobView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatClock, formatCount, formatRate } from './format.ts'
import { createRateSeries } from './rate-series.ts'

export interface Throughput {
  element: HTMLElement
  /** An event of before the page heard the job. */
  recall (message: JobMessage): void
  /** @param nowMs by the server's clock */
  update (job: JobView, nowMs: number): void
  stop (): void
}

const HEIGHT = 190
/** Seconds between two marks of time; a slice is a second at least. */
const MARKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400]
const SETTLED = /\.(completed|failed|skipped)$/

export function createThroughput (): Throughput {
  const series = createRateSeries()
  const canvas = h('div', { class: 'plot', 'aria-hidden': 'true' })
  const words = h('p', { class: 'note' })
  const now = h('strong')
  const element = h('section', { class: 'card chart', 'aria-label': 'Throughput' }, [
    h('div', { class: 'head' }, [h('h2', {}, ['Throughput']), h('p', { class: 'note' }, [now, ' items per minute'])]), canvas, words
  ])
  let chart: Plot | null = null
  let settled: number | null = null
  let drawn = ''
  let over = false

  const dark = matchMedia('(prefers-color-scheme: dark)')
  const resized = new ResizeObserver(() => chart?.setSize({ width: canvas.clientWidth, height: HEIGHT }))
  const recolour = (): void => {
    chart?.destroy()
    chart = null
    drawn = ''
  }
  dark.addEventListener('change', recolour)
  resized.observe(canvas)

  function draw (): void {
    const data = series.data()
    const key = `${data[0].length} ${data[0][0]} ${data[0].at(-1)} ${data[1].at(-1)}`
    if (key === drawn || !canvas.isConnected) return
    drawn = key
    setAttribute(canvas, 'hidden', data[0].length < 2)
    if (data[0].length < 2) return setText(words, over ? 'It was over too soon for a line.' : 'The line begins with the first seconds of work.')
    if (chart === null) chart = new Plot(optionsOf(canvas, dark.matches), data, canvas)
    else chart.setData(data)
    const top = Math.max(...data[1])
    setText(words, `Highest ${formatCount(Math.round(top))}, on average ${formatCount(Math.round(data[1].reduce((a, b) => a + b, 0) / data[1].length))} a minute`)
  }

  return {
    element,
    recall (message) {
      if (SETTLED.test(message.type) && !message.type.startsWith('job.')) series.add(Date.parse(message.ts), 1)
    },
    update (job, nowMs) {
      const current = job.items_completed + job.items_failed + job.items_skipped
      if (settled !== null && current > settled) series.add(nowMs, current - settled)
      else if (job.ended_at === null) series.reach(nowMs)
      settled = current
      over = job.ended_at !== null
      setText(now, formatRate(job.throughput_per_min))
      draw()
    },
    stop () {
      dark.removeEventListener('change', recolour)
      resized.disconnect()
      chart?.destroy()
    }
  }
}

/** Colours come from the style sheet; a canvas cannot read it by itself. */
function optionsOf (canvas: HTMLElement, isDark: boolean): Plot.Options {
  const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const [ink, line, done] = [colour('--soft'), colour('--line'), colour('--done')]
  const font = `11px ${getComputedStyle(document.body).fontFamily}`
  const axis = { stroke: ink, font, ticks: { show: false }, grid: { stroke: line, width: 1 } }
  return {
    width: canvas.clientWidth,
    height: HEIGHT,
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, size: 26, grid: { show: false }, space: 80, incrs: MARKS, values: (_chart, values) => values.map(formatClock) },
      { ...axis, size: 54, space: 36, values: (_chart, values) => values.map(formatCount) }
    ],
    series: [{}, { label: 'Items per minute', stroke: done, width: 2, fill: `${done}${isDark ? '26' : '1f'}`, points: { show: false } }]
  }
}
