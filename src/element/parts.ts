// The element's inside: what stands in its shadow, and how a view is drawn there.

import type { WatchView } from '../client/index.ts'
import type { JobView } from '../protocol/messages.ts'
import { CONTROL_ACTIONS, CONTROL_TARGETS } from '../protocol/states.ts'
import type { ControlAction } from '../protocol/states.ts'
import { detailText, percentText } from './texts.ts'
import type { Texts } from './texts.ts'

export interface PartsSettings {
  /** Null = the job's title, else its id. */
  label: string | null
  controls: boolean
  lang: string | undefined
}

export interface Parts {
  element: HTMLElement
  draw (view: WatchView, settings: PartsSettings): void
  /** A refusal of a control call; empty = none. */
  complain (text: string): void
}

/** What a screen reader hears: each tenth, and every change of state. */
const STEP_PERCENT = 10

/** @param onControl a button was pressed */
export function createParts (texts: Texts, onControl: (action: ControlAction) => void): Parts {
  const title = make('span', 'title')
  const value = make('span', 'value')
  const done = make('span', 'fill done')
  const failed = make('span', 'fill failed')
  const active = make('span', 'fill active')
  const track = make('div', 'track', [done, failed, active])
  track.setAttribute('role', 'progressbar')
  track.setAttribute('aria-valuemin', '0')
  track.setAttribute('aria-valuemax', '100')
  const state = make('span', 'state')
  const detail = make('span', 'detail')
  const wrong = make('p', 'wrong foot')
  const said = make('p', 'unseen')
  for (const status of [wrong, said]) status.setAttribute('role', 'status')
  const buttons = CONTROL_ACTIONS.map(action => {
    const button = make('button', 'button')
    button.setAttribute('type', 'button')
    button.textContent = texts.actions[action]
    button.addEventListener('click', () => { if (!button.hasAttribute('aria-disabled')) onControl(action) })
    // After the focus has found its next place.
    button.addEventListener('blur', () => { setTimeout(showButtons) })
    return { action, button }
  })
  const bar = make('div', 'buttons')
  const element = make('div', 'base', [make('div', 'row head', [title, value]), track, make('div', 'row foot', [state, detail]), bar, wrong, said])
  let announced = ''
  let offered: readonly ControlAction[] = []

  /** A button that has the focus stays until it has lost it, or a keyboard user would be thrown to the top of the page. */
  function showButtons (): void {
    const shown = buttons.filter(({ action, button }) => {
      const useful = offered.includes(action)
      if (useful) button.removeAttribute('aria-disabled')
      else button.setAttribute('aria-disabled', 'true')
      return useful || button.matches(':focus')
    }).map(({ button }) => button)
    for (const child of [...bar.children]) if (!shown.includes(child as HTMLElement)) child.remove()
    shown.forEach((button, n) => { if (bar.children[n] !== button) bar.insertBefore(button, bar.children[n] ?? null) })
  }

  function drawJob (job: JobView, { lang }: PartsSettings): void {
    const total = Math.max(1, job.items_total)
    const share = (count: number): string => `${Math.min(100, count / total * 100).toFixed(3)}%`
    done.style.inlineSize = job.items_total === 0 ? `${job.percent_complete}%` : share(job.items_completed + job.items_skipped)
    failed.style.inlineSize = share(job.items_failed)
    active.style.inlineSize = share(job.items_processing)
    const percent = percentText(job.percent_complete, lang)
    const words = detailText(job, texts, lang)
    setText(value, percent)
    setText(detail, words)
    track.setAttribute('aria-valuenow', String(Math.floor(job.percent_complete * 10) / 10))
    track.setAttribute('aria-valuetext', `${percent}, ${words}`)
    const step = `${job.state} ${Math.floor(job.percent_complete / STEP_PERCENT)}`
    if (step === announced) return
    if (announced !== '') setText(said, `${texts.states[job.state]}, ${percent}`)
    announced = step
  }

  return {
    element,
    complain: text => setText(wrong, text),
    draw (view, settings) {
      const { job, connection, error } = view
      const name = settings.label ?? job?.title ?? job?.id ?? ''
      setText(title, name)
      track.setAttribute('aria-label', name || texts.connecting)
      if (job !== null) drawJob(job, settings)
      else track.removeAttribute('aria-valuenow') // indeterminate
      const word = error !== null && job === null
        ? error.detail
        : connection === 'reconnecting' ? texts.reconnecting : job === null ? texts.connecting : texts.states[job.state]
      setText(state, word)
      setClass(state, `state ${error !== null ? 'failed' : job?.state ?? ''}`)
      setClass(element, `base ${job?.state ?? ''}`)
      offered = settings.controls && job !== null ? CONTROL_ACTIONS.filter(action => useful(action, job)) : []
      showButtons()
    }
  }
}

function useful (action: ControlAction, job: JobView): boolean {
  const target = CONTROL_TARGETS[action][job.state]
  return target !== null && target !== 'same'
}

function make (tag: string, name: string, children: readonly Node[] = []): HTMLElement {
  const element = document.createElement(tag)
  element.className = name
  element.setAttribute('part', name)
  element.append(...children)
  return element
}

/** Nothing is touched that does not change. */
function setText (element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function setClass (element: Element, name: string): void {
  if (element.className !== name) element.className = name
}
