// All jobs of the tenant, newest first, live: found by words, filtered by state. Older ones are read by pages.

import { createAging } from '../protocol/aged.ts'
import { isTerminal, type JobState } from '../protocol/states.ts'
import type { JobView } from '../protocol/messages.ts'
import { HeadwayError, type Client } from '../client/index.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount, formatEstimate, formatPercent, formatRate } from './format.ts'
import { createInstant, showInstant } from './instant.ts'
import type { View } from './main.ts'
import { createProgressBar } from './progress-bar.ts'
import { jobAddress } from './route.ts'
import { CONNECTION_STATES, createStatusLine, showConnection } from './status-line.ts'
import { describeTrouble } from './trouble.ts'

interface Row { element: HTMLElement, update (job: JobView): void }

const FILTERS: readonly { name: string, label: string, has: (state: JobState) => boolean }[] = [
  { name: 'all', label: 'All', has: () => true },
  { name: 'active', label: 'Active', has: state => !isTerminal(state) && state !== 'paused' },
  { name: 'paused', label: 'Paused', has: state => state === 'paused' },
  { name: 'completed', label: 'Completed', has: state => state === 'completed' },
  { name: 'failed', label: 'Failed', has: state => state === 'failed' },
  { name: 'canceled', label: 'Canceled', has: state => state === 'canceled' }
]

/** Rows of the first page, and of each that one asks for. */
const PAGE_ROWS = 200
/** More rows only make the page slow; the search finds the others. */
const ROWS_MAX = 2_000
/** Times run on between two messages. */
const TICK_MS = 1000

/** @param refused called when the token is not good (any more) */
export function createJobList (client: Client, refused: (reason: string) => void): View {
  const rows = new Map<string, Row>()
  const list = h('ul', { class: 'jobs' })
  const notice = h('p', { class: 'notice', role: 'status', hidden: true })
  const emptyTitle = h('h2')
  const emptyText = h('p')
  const empty = h('div', { class: 'card empty', hidden: true }, [emptyTitle, emptyText])
  const skeleton = h('div', { class: 'skeleton', role: 'status', 'aria-label': 'Loading jobs' }, [h('div', { class: 'card' }), h('div', { class: 'card' }), h('div', { class: 'card' })])
  const more = h('button', { type: 'button', class: 'more', hidden: true }, ['Show older jobs'], { click: () => { void loadOlder() } })
  const search = h('input', { type: 'search', placeholder: 'Find by title or id', 'aria-label': 'Find jobs by title or id', autocomplete: 'off', spellcheck: 'false' }, [], { input: plan })
  const summary = h('p', { class: 'note', role: 'status' })
  const counts = FILTERS.map(() => h('span', { class: 'count' }))
  const chips = FILTERS.map(({ label }, n) => h('button', { type: 'button', 'aria-pressed': n === 0 ? 'true' : 'false' }, [label, counts[n] ?? null], { click: () => { choose(n) } }))
  const element = h('div', { class: 'page' }, [
    h('div', { class: 'head' }, [h('h1', {}, ['Jobs']), summary]),
    h('div', { class: 'tools' }, [search, h('div', { class: 'choices', role: 'group', 'aria-label': 'Which jobs' }, chips)]),
    notice, skeleton, empty, list, more
  ])
  const over = new AbortController()
  const watch = client.watchTenant()
  const aged = createAging()
  let filter = 0
  let older: JobView[] = []
  let rowsMax = PAGE_ROWS
  let cursor: string | null = null
  /** Older jobs were asked for in vain: the button asks again. */
  let failed = false
  let frame = 0

  function choose (which: number): void {
    filter = which
    chips.forEach((chip, n) => setAttribute(chip, 'aria-pressed', n === which ? 'true' : 'false'))
    plan()
  }

  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(show)
  }

  /** The tenant's stream has the newest; whether there are older ones only a page can tell. */
  async function loadOlder (): Promise<void> {
    try {
      const page = await client.listJobs({ cursor: cursor ?? undefined, limit: PAGE_ROWS }, { signal: over.signal })
      if (cursor !== null) {
        older = [...older, ...page.data]
        rowsMax = Math.min(ROWS_MAX, rowsMax + PAGE_ROWS)
      }
      cursor = page.next_cursor
      failed = false
      setAttribute(notice, 'hidden', true)
    } catch (error) {
      if (over.signal.aborted) return
      const { text, token_refused: tokenRefused } = describeTrouble(error)
      if (tokenRefused) return refused(text)
      failed = true
      setText(notice, `Older jobs could not be read. ${text}`)
      setAttribute(notice, 'hidden', null)
    }
    plan()
  }

  function show (): void {
    frame = 0
    const { jobs, loaded, connection, error } = watch.getSnapshot()
    showConnection(CONNECTION_STATES[connection])
    if (error !== null) {
      const { text, token_refused: tokenRefused } = describeTrouble(new HeadwayError(error.code, error.detail))
      if (tokenRefused) return refused(text)
      setText(notice, text)
      setAttribute(notice, 'hidden', null)
    }
    setAttribute(skeleton, 'hidden', loaded || error !== null)
    if (!loaded) return
    const known = new Set(jobs.map(({ id }) => id))
    const all = [...jobs, ...older.filter(({ id }) => !known.has(id))].map(aged)
    FILTERS.forEach(({ has }, n) => setText(counts[n] as HTMLElement, formatCount(all.filter(({ state }) => has(state)).length)))
    const active = all.filter(({ state }) => state === 'running')
    const rate = active.reduce((sum, job) => sum + (job.throughput_per_min ?? 0), 0)
    setText(summary, active.length === 0 ? '' : `${formatCount(active.length)} running, ${formatRate(rate)} items per minute`)
    showRows(all)
  }

  function showRows (all: readonly JobView[]): void {
    const words = search.value.trim().toLowerCase()
    const found = all.filter(({ state, id, title }) => FILTERS[filter]?.has(state) === true &&
      (words === '' || id.toLowerCase().includes(words) || title?.toLowerCase().includes(words) === true))
    const wanted = found.slice(0, rowsMax)
    const ids = new Set(wanted.map(({ id }) => id))
    for (const [id, row] of rows) {
      if (ids.has(id)) continue
      row.element.remove()
      rows.delete(id)
    }
    wanted.forEach((job, place) => {
      const row = rowOf(job)
      if (list.children[place] !== row.element) list.insertBefore(row.element, list.children[place] ?? null)
    })
    setText(emptyTitle, all.length === 0 ? 'No jobs yet' : 'No job like this')
    setText(emptyText, all.length === 0
      ? 'A job appears here as soon as a worker registers one, and leaves five minutes after its end.'
      : 'None of the jobs that are loaded fits the words and the filter.')
    setAttribute(empty, 'hidden', found.length > 0)
    setAttribute(more, 'hidden', (cursor === null && !failed) || rowsMax >= ROWS_MAX)
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

  watch.subscribe(plan)
  const ticker = setInterval(plan, TICK_MS)
  plan()
  void loadOlder()
  return {
    element,
    title: 'Jobs',
    stop () {
      over.abort()
      clearInterval(ticker)
      cancelAnimationFrame(frame)
      watch.close()
      showConnection('off')
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
  const when = createInstant(job.created_at)
  const element = h('li', { class: 'job' }, [
    h('div', { class: 'head' }, [h('h2', {}, [title]), status.element]),
    bar.element,
    h('p', { class: 'numbers' }, [percent, h('span', {}, [numbers, ' ', when]), id])
  ])
  let shown: JobView | null = null
  return {
    element,
    update (now) {
      if (now === shown) return
      shown = now
      setText(title, now.title ?? now.id)
      status.update(now)
      bar.update(now, now.state === 'running')
      setText(percent, formatPercent(now.percent_complete))
      setText(numbers, summaryOf(now))
      showInstant(when, now.ended_at ?? now.created_at)
    }
  }
}

function summaryOf (job: JobView): string {
  const words = [`${formatCount(job.items_completed + job.items_skipped)} of ${formatCount(job.items_total)} items`]
  if (job.items_failed > 0) words.push(`${formatCount(job.items_failed)} failed`)
  if (!isTerminal(job.state) && job.eta_ms !== null) words.push(`${formatEstimate(job.eta_ms)} left`)
  words.push(isTerminal(job.state) ? 'ended' : 'registered')
  return words.join(' · ')
}
