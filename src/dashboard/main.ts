// The page's entry: token, route, and the one view that is shown.

import { createClient, type Client } from '../client/index.ts'
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
  let client: Client | null = null

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
    client ??= createClient({ url: location.origin, getToken: () => readToken() ?? '' })
    const route = parseRoute(location.hash)
    show(route.page === 'jobs'
      ? createJobList(client, signIn)
      : createJobPage({ job_id: route.job_id, client, refused: signIn }), moveFocus)
  }

  function signIn (reason: string | null): void {
    client?.close()
    client = null
    dropToken()
    show({ element: createSignIn(reason, () => { open(true) }), title: 'Access token', stop () {} }, false)
  }

  // By its address it would leave the page: what stands behind the # is the route.
  document.querySelector('.skip')?.addEventListener('click', event => {
    event.preventDefault()
    main.focus()
  })
  addEventListener('hashchange', () => {
    if (location.hash.startsWith('#token=')) {
      client?.close()
      client = null
    }
    open(true)
  })
  open(false)
}

const main = document.querySelector('main')
if (main !== null) start(main)
