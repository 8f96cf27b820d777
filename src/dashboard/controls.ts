// Pause, resume, cancel: each says when it is sent, when Headway has taken it, and when the worker has followed.

import type { ControlResult } from '../client/index.ts'
import type { JobView } from '../protocol/messages.ts'
import { CONTROL_ACTIONS, isTerminal, type ControlAction, type JobState } from '../protocol/states.ts'
import { confirmCancel } from './confirm.ts'
import { h, setAttribute, setText } from './dom.ts'
import { STATE_WORDS, isUseful, readable } from './words.ts'

export interface Controls {
  element: HTMLElement
  /** @param forced the last change of state was a time-out's, not the worker's */
  update (job: JobView, forced: boolean): void
}

/** @throws HeadwayError whose message a user can read */
export type SendControl = (action: ControlAction) => Promise<ControlResult>

const LABELS: Record<ControlAction, string> = { pause: 'Pause', resume: 'Resume', cancel: 'Cancel' }
const WAITING: Record<ControlAction, string> = {
  pause: 'Pause accepted. Items in progress are finishing.',
  resume: 'Resumed.',
  cancel: 'Cancel accepted. Items in progress are finishing.'
}
const DONE: Partial<Record<JobState, string>> = { running: 'Running again', pending: 'Waiting for a worker again' }

export function createControls (send: SendControl): Controls {
  const said = h('p', { class: 'said', role: 'status' })
  let asked: ControlAction | null = null
  let sending = false
  let latest: { job: JobView, forced: boolean } | null = null

  const buttons = CONTROL_ACTIONS.map(action => ({
    action,
    element: h('button', { type: 'button', class: `control ${action}`, hidden: true }, [LABELS[action]], {
      click: () => { void ask(action) }
    })
  }))
  const element = h('div', { class: 'controls' }, [h('div', { class: 'buttons' }, buttons.map(one => one.element)), said])

  async function ask (action: ControlAction): Promise<void> {
    if (sending || latest === null || !isUseful(action, latest.job.state)) return
    if (action === 'cancel' && !await confirmCancel()) return
    sending = true
    say(`Sending ${action}…`, 'waiting')
    show()
    try {
      await send(action)
      asked = action
      if (latest !== null) follow(latest)
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), 'wrong')
    }
    sending = false
    show()
  }

  function say (text: string, tone: 'waiting' | 'good' | 'wrong'): void {
    setText(said, text)
    setAttribute(said, 'class', `said ${tone}`)
  }

  /** From the acknowledgement of the request to that of the worker. */
  function follow ({ job, forced }: { job: JobView, forced: boolean }): void {
    if (asked === null) return
    if (arrived(asked, job.state)) {
      const how = forced ? ', by time-out: the worker did not answer' : job.reason === null ? '' : `: ${readable(job.reason)}`
      say(`${DONE[job.state] ?? STATE_WORDS[job.state]}${how}.`, forced ? 'wrong' : 'good')
      asked = null
    } else if (job.state === 'pausing' || job.state === 'canceling') {
      say(job.control.acknowledged ? `${WAITING[asked]} The worker has confirmed.` : WAITING[asked], 'waiting')
    } else {
      say(WAITING[asked], 'waiting')
    }
  }

  function show (): void {
    for (const { action, element: button } of buttons) {
      const useful = latest !== null && isUseful(action, latest.job.state)
      // A focused button stays until it loses focus, or a keyboard user would be thrown to the top of the page.
      setAttribute(button, 'hidden', !useful && document.activeElement !== button)
      setAttribute(button, 'aria-disabled', sending || !useful ? 'true' : null)
    }
  }

  for (const { element: button } of buttons) button.addEventListener('blur', () => { queueMicrotask(show) })

  return {
    element,
    update (job, forced) {
      latest = { job, forced }
      follow(latest)
      show()
    }
  }
}

/** A job may also end before a request of its user arrives. */
function arrived (asked: ControlAction, state: JobState): boolean {
  if (isTerminal(state)) return true
  return asked === 'resume' ? state === 'running' || state === 'pending' : asked === 'pause' && state === 'paused'
}
