// What an item update does: first sight, progress of the same attempt, the next state, the next attempt.

import { ITEM_TARGETS, type ItemState } from '../../../src/protocol/states.ts'
import type { Effect, Item, ItemFacts, ItemLetter, ItemTexts, Job } from './facts.ts'
import { addSample, counted, Refusal, type Cause } from './job.ts'

const LETTERS = { pending: 'q', processing: 's', completed: 'c', failed: 'f', skipped: 'k', canceled: 'x' } as const
const TEXTS: readonly (keyof ItemTexts)[] = ['row_index', 'weight', 'title', 'kind', 'worker', 'error_json', 'result_json']

/** @throws Refusal invalid_transition, too_many_items */
export function updateItem (job: Job, update: ItemFacts, cause: Cause, itemsMax: number): Effect {
  const known = job.items.get(update.id)
  if (known === undefined) {
    if (job.items.size >= itemsMax) throw new Refusal('too_many_items')
    const state = update.state ?? 'pending'
    announce(enter(job, blank(update, cause), state, update, cause), update.id, LETTERS[state], cause)
    return 'applied'
  }
  const attempt = update.attempt ?? known.attempt
  const state = update.state ?? known.state
  if (attempt < known.attempt || (isFinal(known.state) && state === known.state)) return 'repeat'
  if (attempt > known.attempt) {
    if (isFinal(known.state) || state === 'pending') throw new Refusal('invalid_transition', ITEM_TARGETS[known.state])
    return beginAttempt(job, known, attempt, state, update, cause)
  }
  if (state === known.state) return repeatOrProgress(job, known, update, cause)
  if (!ITEM_TARGETS[known.state].includes(state)) throw new Refusal('invalid_transition', ITEM_TARGETS[known.state])
  if (known.state === 'failed') return beginAttempt(job, known, attempt + 1, state, update, cause)
  announce(enter(job, known, state, update, cause), update.id, LETTERS[state], cause)
  return 'applied'
}

function isFinal (state: ItemState): boolean {
  return state === 'completed' || state === 'skipped' || state === 'canceled'
}

function blank (update: ItemFacts, cause: Cause): Item {
  return {
    state: 'pending',
    attempt: update.attempt ?? 1,
    retryable: false,
    percent: 0,
    started: null,
    duration_ms: null,
    created_wall: update.created_wall ?? cause.wall,
    updated_wall: cause.wall,
    truncated: false,
    row_index: null,
    weight: null,
    title: null,
    kind: null,
    worker: null,
    error_json: null,
    result_json: null
  }
}

/** Given fields replace, absent ones stay. @returns whether anything but the time of the update is new */
function merge (item: Item, update: ItemFacts, cause: Cause): boolean {
  const before = JSON.stringify(item)
  for (const key of TEXTS) {
    if (update[key] !== null) Object.assign(item, { [key]: update[key] })
  }
  if (update.percent !== null) item.percent = update.percent
  if (update.truncated !== null) item.truncated = update.truncated
  const changed = JSON.stringify(item) !== before
  item.updated_wall = update.updated_wall ?? cause.wall
  return changed
}

function repeatOrProgress (job: Job, known: Item, update: ItemFacts, cause: Cause): Effect {
  if (known.state !== 'pending' && known.state !== 'processing') return 'repeat'
  const merged = { ...known }
  if (!merge(merged, update, cause)) return 'repeat'
  job.items.set(update.id, merged)
  cause.log({ letter: 'p', ts: cause.wall, cid: cause.cid, id: update.id, item: merged })
  cause.changed()
  return 'applied'
}

function beginAttempt (job: Job, known: Item, attempt: number, state: ItemState, update: ItemFacts, cause: Cause): Effect {
  const item: Item = {
    ...known,
    attempt,
    retryable: false,
    percent: 0,
    started: null,
    duration_ms: null,
    worker: null,
    error_json: null,
    result_json: null
  }
  if (known.state === 'failed' && job.reported.failed !== null) {
    const floor = job.registration.initial.failed + counted(job).failed - 1 // it leaves failed first, whatever comes of it
    job.reported.failed = Math.max(job.reported.failed - 1, floor)
  }
  const letter = state === 'processing' ? 'r' : LETTERS[state]
  announce(enter(job, item, state, update, cause), update.id, letter, cause)
  return 'applied'
}

/** The item in its new state, stored. */
function enter (job: Job, from: Item, state: ItemState, update: ItemFacts, cause: Cause): Item {
  const item: Item = { ...from, state }
  merge(item, update, cause)
  if (state === 'processing') item.started = cause.base
  if (state === 'completed') item.percent = 10_000
  item.retryable = state === 'failed' && update.retryable === true
  if (state !== 'pending' && state !== 'processing') {
    item.duration_ms = update.duration_ms ?? (item.started === null ? null : cause.base - item.started)
    if ((state === 'completed' || state === 'failed') && item.duration_ms !== null) addSample(job, item.duration_ms)
  }
  const before = counted(job).processing
  job.items.set(update.id, item)
  const after = counted(job).processing
  if (after > 0) job.idle_since = null
  else if (before > 0) job.idle_since = cause.base
  return item
}

function announce (item: Item, id: string, letter: ItemLetter, cause: Cause): void {
  cause.log({ letter, ts: cause.wall, cid: cause.cid, id, item })
  cause.changed()
}
