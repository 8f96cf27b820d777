// What is known of a job, folded from its messages. Pure: the page only shows it.

import type { ItemView, JobMessage, JobView } from '../protocol/messages.ts'

/** As many as a snapshot holds. */
export const ITEMS_SHOWN_MAX = 50

export interface Picture {
  job: JobView
  /** Those last heard of, newest first. */
  items: readonly ItemView[]
  /** The last change of state was a time-out's, not the worker's. */
  forced: boolean
}

type ItemMessage = Extract<JobMessage, { data: ItemView }>
type JobLevelMessage = Exclude<JobMessage, ItemMessage>

/** @returns the new picture; null while nothing but events of an unknown job have come */
export function fold (picture: Picture | null, message: JobMessage): Picture | null {
  if (isItemMessage(message)) return picture === null ? null : { ...newer(picture, message), items: withItem(picture.items, message.data) }
  if (message.type === 'job.snapshot') return { job: message.data.job, items: message.data.items, forced: false }
  return picture === null ? null : foldJob(newer(picture, message), message)
}

function newer (picture: Picture, { seq, rev, ts }: JobMessage): Picture {
  return { ...picture, job: { ...picture.job, seq, rev, updated_at: ts } }
}

function foldJob (picture: Picture, message: JobLevelMessage): Picture {
  const { job } = picture
  switch (message.type) {
    case 'job.state_changed':
      return {
        ...picture,
        job: { ...job, state: message.data.new_state, reason: message.data.reason, stalled: false },
        forced: message.data.forced
      }
    case 'job.progress':
      return { ...picture, job: { ...job, ...message.data } }
    case 'job.rate_limited':
      return { ...picture, job: { ...job, rate_limited: true, retry_at: message.data.retry_at } }
    case 'job.rate_limit_cleared':
      return { ...picture, job: { ...job, rate_limited: false, retry_at: null } }
    case 'job.stalled':
    case 'job.recovered':
      return { ...picture, job: { ...job, stalled: message.type === 'job.stalled' } }
    case 'job.deadline_exceeded':
      return { ...picture, job: { ...job, deadline_exceeded: true } }
    case 'job.completed':
    case 'job.canceled':
    case 'job.failed':
      return ended({ ...picture, job: { ...job, ...message.data, ended_at: message.ts } })
    default:
      return picture // v1 only adds: what is unknown here is no fault
  }
}

/** On a canceled job, items that were not settled count as canceled; no event says so for each. */
function ended (picture: Picture): Picture {
  if (picture.job.state !== 'canceled') return picture
  const items = picture.items.map(item => item.state === 'pending' || item.state === 'processing' ? { ...item, state: 'canceled' as const } : item)
  return { ...picture, items }
}

function withItem (items: readonly ItemView[], item: ItemView): readonly ItemView[] {
  const known = items.findIndex(other => other.id === item.id)
  if (known >= 0 && items[known]?.state === item.state) return items.with(known, item) // progress keeps its place
  return [item, ...items.filter(other => other.id !== item.id)].slice(0, ITEMS_SHOWN_MAX)
}

function isItemMessage (message: JobMessage): message is ItemMessage {
  return !message.type.startsWith('job.')
}
