// One job, live.

import { isTerminal } from '../protocol/states.ts'
import { createAnnouncer } from './announcer.ts'
import { readItems } from './api.ts'
import { createControls } from './controls.ts'
import { h, setAttribute, setText } from './dom.ts'
import { createCounters, createTiles } from './facts.ts'
import { formatInstant, formatPercent } from './format.ts'
import type { Feed } from './feed.ts'
import { createItemTable } from './item-table.ts'
import type { View } from './main.ts'
import { fold, type Picture } from './picture.ts'
import { createProgressBar } from './progress-bar.ts'
import { createStatusLine, showConnection } from './status-line.ts'
import { readable } from './words.ts'

/** Times run on between two messages. */
const TICK_MS = 1000

export interface JobPageOptions {
  job_id: string
  feed: Feed
  /** Called when the token is not good (any more). */
  refused: (reason: string) => void
}

export function createJobPage ({ job_id: jobId, feed, refused }: JobPageOptions): View {
  const now = (): number => performance.now()
  const over = new AbortController()
  const heading = h('h1', {}, [jobId])
  const status = createStatusLine()
  const controls = createControls(action => feed.control(jobId, action))
  const percent = h('p', { class: 'percent', 'aria-hidden': 'true' })
  const bar = createProgressBar('Progress')
  const counters = createCounters()
  const tiles = createTiles(now)
  const announcer = createAnnouncer(now)
  const about = h('p', { class: 'about' })
  const table = createItemTable(async (state, cursor) => {
    const page = await readItems(jobId, state, cursor, over.signal)
    return { items: page.data, next_cursor: page.next_cursor }
  })
  const loading = h('p', { class: 'loading' }, ['Connecting…'])
  const job = h('article', { hidden: true }, [
    h('div', { class: 'card hero' }, [
      h('div', { class: 'head' }, [h('div', {}, [heading, status.element]), controls.element]),
      percent, bar.element, counters.element, about
    ]),
    tiles.element,
    h('div', { class: 'card' }, [table.element]),
    announcer.element
  ])
  const element = h('div', { class: 'page' }, [h('nav', {}, [h('a', { href: '#/', class: 'back' }, ['← All jobs'])]), loading, job])

  let picture: Picture | null = null
  let heardAt = now()
  let frame = 0

  function show (): void {
    frame = 0
    if (picture === null) return
    const { job: view } = picture
    setAttribute(loading, 'hidden', true)
    setAttribute(job, 'hidden', null)
    setText(heading, view.title ?? view.id)
    document.title = `${formatPercent(view.percent_complete)} ${view.title ?? view.id} · Headway`
    status.update(view)
    setText(percent, formatPercent(view.percent_complete))
    bar.update(view, view.state === 'running')
    const ageMs = isTerminal(view.state) ? 0 : now() - heardAt
    for (const facts of [counters, tiles]) facts.update(view, ageMs)
    setText(about, [view.id, `registered ${formatInstant(view.created_at)}`, view.reason === null ? '' : readable(view.reason)].filter(Boolean).join(' · '))
    controls.update(picture)
    table.update(picture.items)
    announcer.update(view)
  }

  /** However many messages come, the page is drawn once a frame. */
  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(show)
  }

  const unwatch = feed.watch(jobId, {
    message (message) {
      picture = fold(picture, message)
      if (message.type === 'job.snapshot' || message.type === 'job.progress') heardAt = now()
      plan()
    },
    connection: showConnection,
    gone (reason, tokenRefused) {
      if (tokenRefused) return refused(reason)
      setText(loading, reason)
      setAttribute(loading, 'class', 'notice')
      setAttribute(loading, 'hidden', null)
    }
  })
  const ticker = setInterval(plan, TICK_MS)

  return {
    element,
    title: jobId,
    stop () {
      over.abort()
      unwatch()
      clearInterval(ticker)
      cancelAnimationFrame(frame)
      showConnection('off')
    }
  }
}
