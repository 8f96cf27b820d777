// The page's entry: token, route, and the one view that is shown.

import { createFeed, type Feed } from './feed.ts'
import { createJobList } from './job-list.ts'
import { createJobPage } from './job-page.ts'
import { parseRoute } from './route.ts'
import { createSignIn } from './sign-in.ts'
import { adoptToken, dropToken, readToken } from './token.ts'

/** What fills the page; `stop` ends its requests and timers. */
export interface View {
  element: HTMLElement
  title: string
  stop (): void
}

function start (main: HTMLElement): void {
  let view: View | null = null
  let feed: Feed | null = null

  function show (next: View, moveFocus: boolean): void {
    view?.stop()
    view = next
    main.replaceChildren(next.element)
    document.title = `${next.title} · Headway`
    if (moveFocus) main.focus()
  }

  function open (moveFocus: boolean): void {
    adoptToken()
    const token = readToken()
    if (token === null || token === '') return signIn(null)
    feed ??= createFeed(token)
    const route = parseRoute(location.hash)
    show(route.page === 'jobs'
      ? createJobList(signIn)
      : createJobPage({ job_id: route.job_id, feed, refused: signIn }), moveFocus)
  }

  function signIn (reason: string | null): void {
    feed?.stop()
    feed = null
    dropToken()
    show({ element: createSignIn(reason, () => { open(true) }), title: 'Access token', stop () {} }, false)
  }

  addEventListener('hashchange', () => {
    if (location.hash.startsWith('#token=')) {
      feed?.stop()
      feed = null
    }
    open(true)
  })
  open(false)
}

const main = document.querySelector('main')
if (main !== null) start(main)
