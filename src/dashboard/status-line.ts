// How a job stands, in a badge and its conditions; and whether this page still hears of it.

import type { Connection } from '../client/index.ts'
import type { JobView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { ARCHIVED, STATE_WORDS, conditions } from './words.ts'

export interface StatusLine {
  element: HTMLElement
  update (job: JobView): void
}

export function createStatusLine (): StatusLine {
  const state = h('span', { class: 'state' })
  const extra = h('span', { class: 'conditions' })
  let shown = ''
  return {
    element: h('p', { class: 'status' }, [state, extra]),
    update (job) {
      setText(state, STATE_WORDS[job.state])
      setAttribute(state, 'class', `state ${job.state}`)
      const words = conditions(job)
      if (words.join() === shown) return
      shown = words.join()
      extra.replaceChildren(...words.map(word => h('span', { class: word === ARCHIVED ? 'condition quiet' : 'condition' }, [word])))
    }
  }
}

/** `off` = this page needs no connection at the moment. */
export type ConnectionState = 'off' | 'connecting' | 'live' | 'lost'

export const CONNECTION_STATES: Record<Connection, ConnectionState> = {
  connecting: 'connecting', live: 'live', reconnecting: 'lost', ended: 'off', stopped: 'off', closed: 'off'
}

const CONNECTION_WORDS: Record<ConnectionState, string> = {
  off: '', connecting: 'Connecting…', live: 'Live', lost: 'Connection lost. Reconnecting…'
}

export function showConnection (state: ConnectionState): void {
  const element = document.querySelector('#connection')
  if (element === null) return
  setText(element, CONNECTION_WORDS[state])
  setAttribute(element, 'class', `connection ${state}`)
}
