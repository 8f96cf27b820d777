// One job, live.

import type { Client, Connection } from '../client/index.ts'
import { HeadwayError, type ErrorCode } from '../client/index.ts'
import type { JobView } from '../protocol/messages.ts'
import { isTerminal } from '../protocol/states.ts'
import { createAnnouncer } from './announcer.ts'
import { createControls } from './controls.ts'
import { h, setAttribute, setText } from './dom.ts'
import { createCounters, createTiles } from './facts.ts'
import { formatInstant, formatPercent } from './format.ts'
import { createItemTable } from './item-table.ts'
import type { View } from './main.ts'
import { createProgressBar } from './progress-bar.ts'
import { createStatusLine, showConnection, type ConnectionState } from './status-line.ts'
import { describeTrouble } from './trouble.ts'
import { readable } from './words.ts'

const CONNECTION_STATES: Record<Connection, ConnectionState> = {
  connecting: 'connecting', live: 'live', reconnecting: 'lost', ended: 'off', stopped: 'off', closed: 'off'
}

/** Times run on between two messages. */
const TICK_MS = 1000

export interface JobPageOptions {
  job_id: string
  client: Client
  /** Called when the token is not good (any more). */
  refused: (reason: string) => void
}

export function createJobPage ({ job_id: jobId, client, refused }: JobPageOptions): View {
  const now = (): number => performance.now()
  const over = new AbortController()
  const heading = h('h1', {}, [jobId])
  const status = createStatusLine()
  const controls = createControls(action => client[action](jobId))
  const percent = h('p', { class: 'percent', 'aria-hidden': 'true' })
  const bar = createProgressBar('Progress')
  const counters = createCounters()
  const tiles = createTiles(now)
  const announcer = createAnnouncer(now)
  const about = h('p', { class: 'about' })
  const table = createItemTable(async (state, cursor) => {
    const page = await client.listItems(jobId, { state: state ?? undefined, cursor: cursor ?? undefined }, { signal: over.signal })
    return { items: page.data, next_cursor: page.next_cursor }
  })
  const loading = h('p', { class: 'loading' }, ['Connecting…'])
  const article = h('article', { hidden: true }, [
    h('div', { class: 'card hero' }, [
      h('div', { class: 'head' }, [h('div', {}, [heading, status.element]), controls.element]),
      percent, bar.element, counters.element, about
    ]),
    tiles.element,
    h('div', { class: 'card' }, [table.element]),
    announcer.element
  ])
  const element = h('div', { class: 'page' }, [h('nav', {}, [h('a', { href: '#/', class: 'back' }, ['← All jobs'])]), loading, article])

  const watch = client.watch(jobId)
  let heardAt = now()
  let forced = false
  let frame = 0

  function show (): void {
    frame = 0
    const view = watch.getSnapshot()
    showConnection(CONNECTION_STATES[view.connection])
    if (view.error !== null) return showError(view.error.code, view.error.detail)
    if (view.job === null) return
    setAttribute(loading, 'hidden', true)
    setAttribute(article, 'hidden', null)
    showJob(view.job)
    controls.update(view.job, forced)
    table.update(view.items)
    announcer.update(view.job)
  }

  function showJob (job: JobView): void {
    setText(heading, job.title ?? job.id)
    document.title = `${formatPercent(job.percent_complete)} ${job.title ?? job.id} · Headway`
    status.update(job)
    setText(percent, formatPercent(job.percent_complete))
    bar.update(job, job.state === 'running')
    const ageMs = isTerminal(job.state) ? 0 : now() - heardAt
    for (const facts of [counters, tiles]) facts.update(job, ageMs)
    const reason = job.reason === null ? '' : readable(job.reason)
    setText(about, [job.id, `registered ${formatInstant(job.created_at)}`, reason].filter(text => text !== '').join(' · '))
  }

  function showError (code: ErrorCode, detail: string): void {
    const { text, token_refused: tokenRefused } = describeTrouble(new HeadwayError(code, detail))
    if (tokenRefused) return refused(text)
    setText(loading, code === 'unknown_job' ? 'There is no such job (any more). Jobs leave five minutes after their end.' : text)
    setAttribute(loading, 'class', 'notice')
    setAttribute(loading, 'hidden', null)
  }

  /** However many messages come, the page is drawn once a frame. */
  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(show)
  }

  watch.subscribe(plan)
  watch.on('job.snapshot', () => { heardAt = now() })
  watch.on('job.progress', () => { heardAt = now() })
  watch.on('job.state_changed', ({ data }) => { forced = data.forced })
  const ticker = setInterval(plan, TICK_MS)
  plan()

  return {
    element,
    title: jobId,
    stop () {
      over.abort()
      watch.close()
      clearInterval(ticker)
      cancelAnimationFrame(frame)
      showConnection('off')
    }
  }
}
