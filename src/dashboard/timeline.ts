// What happened to the job: changes of state, conditions and its end, newest first.

import type { JobMessage, JobView, StateChangedData } from '../protocol/messages.ts'
import type { JobState } from '../protocol/states.ts'
import { h, setAttribute } from './dom.ts'
import { formatDuration } from './format.ts'
import { createInstant } from './instant.ts'
import { STATE_WORDS, readable } from './words.ts'

export interface Timeline {
  element: HTMLElement
  add (message: JobMessage): void
  /** Its registration stands last; a log that has dropped its beginning still has one. */
  update (job: JobView): void
}

const ENTRIES_MAX = 100
const WORDS: Record<string, [tone: string, text: string]> = {
  'job.rate_limited': ['paused', 'Rate limited'],
  'job.rate_limit_cleared': ['running', 'Rate limit over'],
  'job.stalled': ['paused', 'Stalled: no sign of life from the worker'],
  'job.recovered': ['running', 'The worker is back'],
  'job.deadline_exceeded': ['failed', 'Deadline exceeded'],
  'job.completed': ['completed', 'Completed'],
  'job.canceled': ['canceled', 'Canceled'],
  'job.failed': ['failed', 'Failed']
}

export function createTimeline (): Timeline {
  const list = h('ol', { class: 'timeline' })
  const born = h('li', { class: 'pending', hidden: true })
  list.append(born)
  const element = h('section', { class: 'card', 'aria-label': 'Timeline' }, [h('h2', {}, ['Timeline']), list])
  /** Heard and read from the log: once. */
  const seen = new Map<number, HTMLElement>()
  let created = ''

  return {
    element,
    add (message) {
      const told = describe(message)
      if (told === null || seen.has(message.seq)) return
      const [tone, text, note] = told
      const entry = h('li', { class: tone }, [h('span', { class: 'what' }, [text]), note === '' ? null : h('span', { class: 'why' }, [note]), createInstant(message.ts)])
      const later = [...seen].filter(([seq]) => seq > message.seq).sort(([a], [b]) => a - b)[0]
      if (later === undefined) list.prepend(entry)
      else later[1].after(entry)
      seen.set(message.seq, entry)
      if (seen.size <= ENTRIES_MAX) return
      const oldest = Math.min(...seen.keys())
      seen.get(oldest)?.remove()
      seen.delete(oldest)
    },
    update (job) {
      if (job.created_at === created) return
      created = job.created_at
      setAttribute(born, 'hidden', null)
      born.replaceChildren(h('span', { class: 'what' }, ['Registered']), createInstant(created))
    }
  }
}

/** Null for what does not belong here: items, progress, and the change that a final event tells better. */
function describe (message: JobMessage): [tone: string, text: string, note: string] | null {
  const { type, data } = message as { type: string, data: Record<string, unknown> }
  const reason = typeof data['reason'] === 'string' ? readable(data['reason']) : ''
  if (type === 'job.state_changed') {
    const { new_state: state, forced } = data as unknown as StateChangedData
    if (state === 'completed' || state === 'canceled' || state === 'failed') return null
    return [state, STATE_WORDS[state as JobState] ?? state, [reason, forced ? 'by time-out: the worker did not answer' : ''].filter(text => text !== '').join(', ')]
  }
  const known = WORDS[type]
  if (known === undefined) return null
  const time = data['time_processing_ms']
  const after = type !== 'job.deadline_exceeded' && typeof time === 'number' ? `after ${formatDuration(time)} of work` : ''
  return [...known, [reason, after].filter(text => text !== '').join(', ')]
}
