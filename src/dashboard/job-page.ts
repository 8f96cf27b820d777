// One job, live.

import type { Client, JobMessage, Page } from '../client/index.ts'
import { HeadwayError, type ErrorCode } from '../client/index.ts'
import { createAging } from '../protocol/aged.ts'
import type { JobView } from '../protocol/messages.ts'
import { createAnnouncer } from './announcer.ts'
import { createControls } from './controls.ts'
import { h, setAttribute, setText } from './dom.ts'
import { createCounters, createTiles } from './facts.ts'
import { formatPercent } from './format.ts'
import { createInstant } from './instant.ts'
import { createItemsCard } from './items-card.ts'
import type { View } from './main.ts'
import { createProgressBar } from './progress-bar.ts'
import { CONNECTION_STATES, createStatusLine, showConnection } from './status-line.ts'
import { createThroughput } from './throughput.ts'
import { createTimeline } from './timeline.ts'
import { describeTrouble } from './trouble.ts'
import { readable } from './words.ts'

/** The log holds some thousand events at most. */
const RECALL_PAGES_MAX = 8
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
  const tiles = createTiles()
  const announcer = createAnnouncer(now)
  const about = h('p', { class: 'about' })
  const watch = client.watch(jobId)
  const aged = createAging(now)
  const throughput = createThroughput()
  const timeline = createTimeline()
  const items = createItemsCard(client, watch)
  const loading = h('p', { class: 'loading' }, ['Connecting…'])
  const skeleton = h('div', { class: 'skeleton', 'aria-hidden': 'true' }, [h('div', { class: 'card' }), h('div', { class: 'card' })])
  const article = h('article', { hidden: true }, [
    h('div', { class: 'card hero' }, [
      h('div', { class: 'head' }, [h('div', {}, [heading, status.element]), controls.element]),
      percent, bar.element, counters.element, about
    ]),
    tiles.element,
    h('div', { class: 'pair' }, [throughput.element, timeline.element]),
    items.element,
    announcer.element
  ])
  const element = h('div', { class: 'page' }, [h('nav', {}, [h('a', { href: '#/', class: 'back' }, ['← All jobs'])]), loading, skeleton, article])

  let forced = false
  let frame = 0
  let told = ''
  /** The server's clock, when it was last heard. */
  let serverMs = Date.now()
  let clockAt = now()
  let recalled = false

  function show (): void {
    frame = 0
    const view = watch.getSnapshot()
    showConnection(CONNECTION_STATES[view.connection])
    if (view.error !== null) return showError(view.error.code, view.error.detail)
    if (view.job === null) return
    setAttribute(loading, 'hidden', true)
    skeleton.remove()
    setAttribute(article, 'hidden', null)
    const job = aged(view.job)
    showJob(job)
    controls.update(job, forced)
    throughput.update(job, serverMs + now() - clockAt)
    timeline.update(view.job)
    items.update(view.job, view.items, view.items_seen)
    announcer.update(view.job)
  }

  function showJob (job: JobView): void {
    setText(heading, job.title ?? job.id)
    document.title = `${formatPercent(job.percent_complete)} ${job.title ?? job.id} · Headway`
    status.update(job)
    setText(percent, formatPercent(job.percent_complete))
    bar.update(job, job.state === 'running')
    for (const facts of [counters, tiles]) facts.update(job)
    const key = `${job.id} ${job.created_at} ${job.reason}`
    if (key === told) return
    told = key
    const reason = job.reason === null ? '' : ` · ${readable(job.reason)}`
    about.replaceChildren(h('code', {}, [job.id]), ' · registered ', createInstant(job.created_at), reason)
  }

  /** What happened before this page was opened, as far as the log reaches back; a page without it is still right. */
  async function recall (): Promise<void> {
    if (recalled) return
    recalled = true
    const { seq = 0 } = watch.getSnapshot().job ?? {}
    try {
      let cursor: string | null = null
      for (let pages = 0; pages < RECALL_PAGES_MAX && (pages === 0 || cursor !== null); pages++) {
        const query = { limit: 500, cursor: cursor ?? undefined }
        const page: Page<JobMessage> = await client.listTimeline(jobId, query, { signal: over.signal })
        for (const message of page.data) {
          timeline.add(message)
          if (message.seq <= seq) throughput.recall(message)
        }
        cursor = page.next_cursor
      }
    } catch {
      recalled = false
    }
    plan()
  }

  function showError (code: ErrorCode, detail: string): void {
    const { text, token_refused: tokenRefused } = describeTrouble(new HeadwayError(code, detail))
    if (tokenRefused) return refused(text)
    skeleton.remove()
    setText(loading, code === 'unknown_job' ? 'There is no such job (any more). Jobs leave five minutes after their end.' : text)
    setAttribute(loading, 'class', 'notice')
    setAttribute(loading, 'hidden', null)
  }

  /** However many messages come, the page is drawn once a frame. */
  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(show)
  }

  watch.subscribe(plan)
  watch.onMessage(message => {
    timeline.add(message)
    serverMs = Date.parse(message.ts)
    clockAt = now()
  })
  watch.on('job.snapshot', () => { void recall() })
  watch.on('job.state_changed', ({ data }) => { forced = data.forced })
  const ticker = setInterval(plan, TICK_MS)
  plan()

  return {
    element,
    title: jobId,
    stop () {
      over.abort()
      items.stop()
      throughput.stop()
      watch.close()
      clearInterval(ticker)
      cancelAnimationFrame(frame)
      showConnection('off')
    }
  }
}
