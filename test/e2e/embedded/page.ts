// A page of somebody else: the element, and the React hooks where there is a #root, on one client. Bundled by serve.ts.

import { createElement as e, StrictMode, type ReactElement } from 'react'
import { createRoot } from 'react-dom/client'
import { createClient } from '../../../src/client/index.ts'
import { defineHeadwayProgress } from '../../../src/element/index.ts'
import { HeadwayProvider, useControl, useJob, useJobs } from '../../../src/react/index.ts'

const { url = '', token = '' } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const client = createClient({ url, getToken: () => token })
defineHeadwayProgress(client, { texts: { actions: { pause: 'Hold', resume: 'Go on', cancel: 'Stop it' } } })

function Job (): ReactElement {
  const { job, connection } = useJob('embedded', { wait_ms: 10_000 })
  const { jobs } = useJobs()
  const { resume, pending, error } = useControl('embedded')
  return e('section', {},
    e('h2', { id: 'react' }, `${job?.items_completed ?? '–'} completed, ${job?.state ?? 'unknown'}, ${connection}`),
    e('p', { id: 'jobs' }, jobs.map(({ id }) => id).join()),
    e('button', { onClick: () => { void resume() } }, 'Resume by React'),
    e('p', { id: 'control' }, pending ?? error?.code ?? 'idle'))
}

addEventListener('headway-end', event => { document.title = (event as CustomEvent<{ state: string }>).detail.state })
document.body.style.backgroundColor = 'Canvas' // axe-core takes a page without one for white, in the dark too
const root = document.querySelector('#root')
if (root !== null) createRoot(root).render(e(StrictMode, {}, e(HeadwayProvider, { client }, e(Job))))
