// `headway watch --all`: every job of the tenant, newest first, a bar each.

import { createClient, type JobView, type TenantView } from '../client/index.ts'
import { formatPercent } from '../dashboard/format.ts'
import { createAging } from '../protocol/aged.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { isTerminal as isEnded } from '../protocol/states.ts'
import type { Remote } from './remote.ts'
import { bar, cell, createScreen, cut, lineOf, outlook, plain, stateText } from './terminal.ts'
import { tellCuts, type WatchOptions } from './watch.ts'

const FRAME_MS = 200
const BAR_COLUMNS = 24
const BAR_COLUMNS_MIN = 8
const ID_COLUMNS = 24
/** State and percent, with the gaps before them. */
const FIXED_COLUMNS = 20
const TAIL_COLUMNS_MIN = 8

/** Runs until `signal`. @throws HeadwayError when the server refuses */
export async function watchAll (remote: Remote, { json, isTerminal, signal }: WatchOptions): Promise<void> {
  const client = createClient(remote)
  const watch = client.watchTenant()
  const screen = !json && isTerminal ? createScreen(process.stdout) : null
  const tell = screen === null ? createTeller(json) : null
  const aged = createAging()
  if (screen === null) tellCuts(watch)
  const draw = (): void => {
    const view = watch.getSnapshot()
    screen?.draw(drawJobs({ ...view, jobs: view.jobs.map(aged) }, process.stdout.columns, process.stdout.rows))
  }
  const drawing = screen === null ? undefined : setInterval(draw, FRAME_MS)
  try {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const { jobs, connection, error } = watch.getSnapshot()
        if (error !== null) reject(new HeadwayError(error.code, remote.explain(error.code, error.detail)))
        else if (connection === 'live') tell?.(jobs)
      }
      watch.subscribe(look)
      look()
      signal.addEventListener('abort', () => { resolve() }, { once: true })
    })
    draw()
  } finally {
    clearInterval(drawing)
    screen?.end()
    client.close()
  }
}

/** Those that still run first, then as they came: with more jobs than lines, these are what one looks for. */
export function drawJobs ({ jobs, connection, loaded }: TenantView, columns: number, rows: number): string[] {
  if (!loaded) return ['connecting…']
  const order = [...jobs.filter(({ state }) => !isEnded(state)), ...jobs.filter(({ state }) => isEnded(state))]
  const room = Math.max(1, rows - 3)
  const running = jobs.filter(({ state }) => state === 'running').length
  const head = `${jobs.length} jobs, ${running} running${connection !== 'live' ? '; the line is cut, this is the last that was heard' : ''}`
  const more = order.length > room ? [`… and ${order.length - room} more`] : []
  return [cut(head, columns), ...order.slice(0, room).map(job => jobText(job, columns)), ...more]
}

function jobText (job: JobView, columns: number): string {
  const tail = [outlook(job), plain(job.title ?? '')].filter(text => text !== '').join('  ')
  // The bar is what a narrow terminal can do without, then the end of the id: a line that wraps would spoil the picture.
  const left = columns - ID_COLUMNS - FIXED_COLUMNS - 1
  const bars = left < BAR_COLUMNS_MIN ? 0 : Math.min(BAR_COLUMNS, left)
  const ids = bars > 0 ? ID_COLUMNS : Math.max(1, Math.min(ID_COLUMNS, columns - FIXED_COLUMNS))
  const drawn = bars > 0 ? `${bar(job, bars)} ` : ''
  const text = `${cell(job.id, ids)} ${stateText(job.state, 10)} ${drawn}${formatPercent(job.percent_complete).padStart(8)}`
  const room = columns - ids - FIXED_COLUMNS - (bars > 0 ? bars + 1 : 0) - 2
  return room < TAIL_COLUMNS_MIN ? text : `${text}  ${cut(tail, room)}`.trimEnd()
}

/** A line for each job that is new or has changed its state or its percent, in whole ones; as JSON for every change. */
function createTeller (json: boolean): (jobs: readonly JobView[]) => void {
  let known = new Map<string, { job: JobView, line: string }>()
  return jobs => {
    const next = new Map<string, { job: JobView, line: string }>()
    for (const job of [...jobs].reverse()) {
      const before = known.get(job.id)
      const isTold = before !== undefined && before.job.state === job.state && wholePercent(before.job) === wholePercent(job)
      const line = isTold ? before.line : `${job.id} ${lineOf(job)}`
      next.set(job.id, { job, line })
      if (before?.job === job) continue
      if (json) console.log(JSON.stringify(job))
      else if (before?.line !== line) console.log(`${job.updated_at} ${line}`)
    }
    known = next
  }
}

function wholePercent (job: JobView): number {
  return Math.floor(job.percent_complete)
}
