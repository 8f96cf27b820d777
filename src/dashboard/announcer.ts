// What a screen reader hears: changes of state at once, progress each tenth of the way and at most every 10 s.

import { isTerminal } from '../protocol/states.ts'
import type { JobView } from '../protocol/messages.ts'
import { h, setText } from './dom.ts'
import { describe } from './progress-bar.ts'
import { STATE_WORDS, conditions } from './words.ts'

const QUIET_MS = 10_000
const STEP_PERCENT = 10

export interface Announcer {
  element: HTMLElement
  update (job: JobView): void
}

/** @param now a clock in ms */
export function createAnnouncer (now: () => number): Announcer {
  const element = h('p', { class: 'unseen', role: 'status', 'aria-live': 'polite' })
  let situation = ''
  let step = -1
  let saidAt = -Infinity
  return {
    element,
    update (job) {
      const current = [STATE_WORDS[job.state], ...conditions(job)].join(', ')
      const currentStep = Math.floor(job.percent_complete / STEP_PERCENT)
      const changed = current !== situation
      if (!changed && (currentStep === step || now() - saidAt < QUIET_MS)) return
      situation = current
      step = currentStep
      saidAt = now()
      setText(element, isTerminal(job.state) || changed ? `${current}. ${describe(job)}` : describe(job))
    }
  }
}
