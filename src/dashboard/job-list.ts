// All jobs of the tenant, newest first; read again every two seconds while anyone looks.

import { isTerminal } from '../protocol/states.ts'
import type { JobView } from '../protocol/messages.ts'
import type { Client } from '../client/index.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount, formatEstimate, formatInstant, formatPercent } from './format.ts'
import type { View } from './main.ts'
import { createProgressBar } from './progress-bar.ts'
import { jobAddress } from './route.ts'
import { createStatusLine } from './status-line.ts'
import { describeTrouble } from './trouble.ts'

const REFRESH_MS = 2000

interface Row { element: HTMLElement, update (job: JobView): void }

/** @param refused called when the token is not good (any more) */
export function createJobList (client: Client, refused: (reason: string) => void): View {
  const rows = new Map<string, Row>()
  const list = h('ul', { class: 'jobs' })
  const notice = h('p', { class: 'notice', role: 'status', hidden: true })
  const empty = h('div', { class: 'card empty', hidden: true }, [
    h('h2', {}, ['No jobs yet']),
    h('p', {}, ['A job appears here as soon as a worker registers one, and leaves five minutes after its end.'])
  ])
  const loading = h('p', { class: 'loading' }, ['Loading jobs…'])
  const more = h('button', { type: 'button', class: 'more', hidden: true }, ['Show older jobs'], { click: () => { void loadOlder() } })
  const element = h('div', { class: 'page' }, [h('h1', {}, ['Jobs']), notice, loading, empty, list, more])
  const over = new AbortController()
  let older: JobView[] = []
  let cursor: string | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  async function refresh (): Promise<void> {
    if (!document.hidden) await attempt(loadNewest)
    if (!over.signal.aborted) timer = setTimeout(() => { void refresh() }, REFRESH_MS)
  }

  async function loadNewest (): Promise<void> {
    const page = await client.listJobs({}, { signal: over.signal })
    if (older.length === 0) cursor = page.next_cursor
    show(page.data)
  }

  async function loadOlder (): Promise<void> {
    await attempt(async () => {
      const page = await client.listJobs({ cursor: cursor ?? undefined }, { signal: over.signal })
      older = [...older, ...page.data]
      cursor = page.next_cursor
      for (const job of page.data) list.append(rowOf(job).element)
      setAttribute(more, 'hidden', cursor === null)
    })
  }

  async function attempt (read: () => Promise<void>): Promise<void> {
    try {
      await read()
      setAttribute(notice, 'hidden', true)
    } catch (error) {
      if (over.signal.aborted) return
      const { text, token_refused: tokenRefused } = describeTrouble(error)
      if (tokenRefused) return refused(text)
      setText(notice, text)
      setAttribute(notice, 'hidden', null)
    }
    setAttribute(loading, 'hidden', true)
  }

  function show (newest: readonly JobView[]): void {
    const fresh = new Set(newest.map(job => job.id))
    const all = [...newest, ...older.filter(job => !fresh.has(job.id))]
    const wanted = new Set(all.map(job => job.id))
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue
      row.element.remove()
      rows.delete(id)
    }
    all.forEach((job, place) => {
      const row = rowOf(job)
      if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place] ?? null)
    })
    setAttribute(empty, 'hidden', all.length > 0)
    setAttribute(more, 'hidden', cursor === null)
  }

  function rowOf (job: JobView): Row {
    let row = rows.get(job.id)
    if (row === undefined) {
      row = createRow(job)
      rows.set(job.id, row)
    }
    row.update(job)
    return row
  }

  void refresh()
  return {
    element,
    title: 'Jobs',
    stop () {
      over.abort()
      clearTimeout(timer)
    }
  }
}

function createRow (job: JobView): Row {
  const title = h('a', { href: jobAddress(job.id) })
  const id = h('span', { class: 'id' }, [job.id])
  const status = createStatusLine()
  const bar = createProgressBar(`Progress of ${job.title ?? job.id}`)
  const percent = h('strong')
  const numbers = h('span')
  const element = h('li', { class: 'job' }, [
    h('div', { class: 'head' }, [h('h2', {}, [title]), status.element]),
    bar.element,
    h('p', { class: 'numbers' }, [percent, numbers, id])
  ])
  return {
    element,
    update (now) {
      setText(title, now.title ?? now.id)
      status.update(now)
      bar.update(now, now.state === 'running')
      setText(percent, formatPercent(now.percent_complete))
      setText(numbers, summary(now))
    }
  }
}

function summary (job: JobView): string {
  const words = [`${formatCount(job.items_completed + job.items_skipped)} of ${formatCount(job.items_total)} items`]
  if (job.items_failed > 0) words.push(`${formatCount(job.items_failed)} failed`)
  if (isTerminal(job.state)) words.push(`ended ${formatInstant(job.ended_at)}`)
  else if (job.eta_ms !== null) words.push(`${formatEstimate(job.eta_ms)} left`)
  return words.join(' · ')
}
