// From an intent to a concrete event: legal moves of the job as the model foresees it, most of the time.

import { CONTROL_ACTIONS, ITEM_STATES, JOB_STATES, WORKER_TARGETS } from '../../../src/protocol/states.ts'
import type { ControlAction, ItemState, JobState } from '../../../src/protocol/states.ts'
import type { Fact, ItemFacts, Job, Partial4, RegisterFacts } from './facts.ts'
import { jobKey, type Model } from './model.ts'
import type { Intent } from './steps.ts'
import type { World } from './world.ts'

const ITEMS = ['i1', 'i2', 'i:3', 'log', 'o:0', 'a.b-c', 'Z9', 'state']
const TEXTS = ['Introduction', 'a\tb', 'line\nbreak', '100 % %09 %', 'Grüße, 世界 🎬', '"quoted" \\ back', '']
const JSON_TEXTS = ['"boom"', '{"a":[],"b":{}}', '[1,2.50,1e3]', '12345678901234567890', '{"text":"tab\\t and \\u00e4"}', 'true']

/** A seeded stream of choices. */
interface Dice {
  /** 0 to n - 1. */
  roll (n: number): number
  /** True once in n. */
  once (n: number): boolean
  pick<T> (list: readonly T[]): T
}

function createDice (seed: number): Dice {
  let state = seed >>> 0
  const roll = (n: number): number => { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n
  }
  return { roll, once: (n) => roll(n) === 0, pick: (list) => list[roll(list.length)] as (typeof list)[number] }
}

type Sent = Exclude<Fact, { type: 'fault' }>

/** @param foreseen a model that has drained everything appended so far */
export function chooseFact (intent: Intent, world: World, foreseen: Model, nowMs: number): Sent {
  const dice = createDice(intent.dice)
  const stranger = intent.spirit === 'wild' && dice.once(12)
  const { tenant, job } = stranger ? world.stranger : world.jobs[intent.job] as World['stranger']
  const known = foreseen.jobs.get(jobKey(tenant, job))
  const address = { tenant, job, cid: dice.once(3) ? `c-${dice.roll(1000)}` : null }
  if (known === undefined && (intent.spirit !== 'wild' || stranger)) return { ...address, type: 'register', data: registration(dice, nowMs) }
  switch (intent.spirit) {
    case 'work': return { ...address, type: 'item', data: nextItem(dice, known as Job, nowMs) }
    case 'register': return { ...address, type: 'register', data: again(dice, (known as Job).registration, nowMs) }
    case 'state': return { ...address, type: 'state', data: stateRequest(dice, legalTarget(dice, known as Job), nowMs) }
    case 'progress': return { ...address, type: 'progress', data: report(dice, known as Job, nowMs) }
    case 'heartbeat':
      return { ...address, type: 'heartbeat', data: { ack: dice.once(3) ? 'other' : known?.control.id ?? null, worker: dice.once(2) ? 'w1' : null } }
    case 'control':
      return { ...address, type: 'control', data: { action: dice.pick<ControlAction>(['pause', 'resume', 'resume', 'cancel']), reason: text(dice, 4) } }
    default: return wild(dice, address, nowMs)
  }
}

function wild (dice: Dice, address: { tenant: string, job: string, cid: string | null }, nowMs: number): Sent {
  switch (dice.roll(3)) {
    case 0: return { ...address, type: 'state', data: stateRequest(dice, dice.pick([...JOB_STATES, 'rate_limited'] as const), nowMs) }
    case 1: return { ...address, type: 'control', data: { action: dice.pick(CONTROL_ACTIONS), reason: null } }
    default:
      return {
        ...address,
        type: 'item',
        data: {
          ...plainItem(dice, dice.pick(ITEMS), dice.once(4) ? null : dice.pick<ItemState>(ITEM_STATES), nowMs),
          attempt: dice.once(2) ? 1 + dice.roll(3) : null
        }
      }
  }
}

function text (dice: Dice, rarity: number): string | null {
  if (!dice.once(rarity)) return null
  const chosen = dice.once(20) ? 'ä€🎬x'.repeat(90) : dice.pick(TEXTS)
  return chosen === '' ? null : chosen
}

function registration (dice: Dice, nowMs: number): RegisterFacts {
  const initial = dice.once(5)
    ? { completed: dice.roll(3), failed: dice.roll(3), skipped: dice.roll(2), canceled: dice.roll(2) }
    : { completed: 0, failed: 0, skipped: 0, canceled: 0 }
  return {
    items_total: dice.roll(7),
    state: dice.once(3) ? 'pending' : 'running',
    initial,
    rate_limited: dice.once(8),
    deadline_ms: dice.once(3) ? 1 + dice.roll(12_000) : null,
    auto_complete: dice.once(2),
    fail_on_deadline: dice.once(2),
    created_wall: dice.once(2) ? nowMs - dice.roll(10_000) : null,
    title: title(dice),
    job_kind: dice.once(2) ? 'render' : null,
    item_kind: dice.once(3) ? 'page' : 'video',
    concurrency: dice.once(2) ? 1 + dice.roll(8) : null,
    metadata_json: dice.once(3) ? dice.pick(['{}', '{"a":[1,2],"b":"x\\ty"}', '{"n":12345678901234567890}']) : null
  }
}

/** Short enough never to be cut: how texts are cut is the packer's matter. */
function title (dice: Dice): string | null {
  const chosen = dice.pick(TEXTS)
  return chosen === '' || dice.once(2) ? null : chosen
}

function again (dice: Dice, first: RegisterFacts, nowMs: number): RegisterFacts {
  const same: RegisterFacts = { ...first, state: dice.pick(['pending', 'running']), created_wall: nowMs }
  return dice.once(3) ? { ...same, items_total: first.items_total + 1 } : same
}

function legalTarget (dice: Dice, job: Job): JobState | 'rate_limited' {
  if (dice.once(4)) return 'rate_limited'
  if (dice.once(2)) return 'running'
  const targets = WORKER_TARGETS[job.state]
  return targets.length === 0 || dice.once(6) ? dice.pick(JOB_STATES) : dice.pick(targets)
}

function stateRequest (dice: Dice, state: JobState | 'rate_limited', nowMs: number): (Fact & { type: 'state' })['data'] {
  const retryAt = state === 'rate_limited' && dice.once(2) ? nowMs + dice.roll(8_000) : null
  return { state, resume: dice.once(3), retry_at_wall: retryAt, reason: text(dice, 3) }
}

function report (dice: Dice, job: Job, nowMs: number): (Fact & { type: 'progress' })['data'] {
  const maybe = (): number | null => dice.once(3) ? dice.roll(6) : null
  const reported: Partial4 = { completed: maybe(), failed: maybe(), skipped: maybe(), canceled: maybe() }
  const limited = dice.once(4) ? dice.once(2) : null
  return {
    items_total: dice.once(5) ? job.items_total + dice.roll(3) : null,
    reported,
    rate_limited: limited,
    retry_at_wall: limited === true && dice.once(2) ? nowMs + dice.roll(8_000) : null
  }
}

/** The next thing a worker would say about one of its items; now and then it says something again. */
function nextItem (dice: Dice, job: Job, nowMs: number): ItemFacts {
  const id = dice.pick(ITEMS.slice(0, Math.max(2, Math.min(ITEMS.length, job.items_total + 1))))
  const item = job.items.get(id)
  if (item === undefined) return plainItem(dice, id, dice.pick([null, 'pending', 'processing', 'processing', 'processing', 'completed'] as const), nowMs)
  switch (item.state) {
    case 'pending': return plainItem(dice, id, dice.pick(['processing', 'processing', 'pending', 'skipped', 'canceled'] as const), nowMs)
    case 'processing':
      return plainItem(dice, id, dice.pick(['completed', 'completed', 'completed', 'failed', 'failed', 'processing', null, 'skipped', 'canceled'] as const), nowMs)
    case 'failed':
      return { ...plainItem(dice, id, dice.pick(['processing', 'processing', 'processing', 'failed', 'completed'] as const), nowMs), attempt: attemptAfter(dice, item.attempt) }
    default: return { ...plainItem(dice, id, item.state, nowMs), attempt: dice.once(4) ? item.attempt + 1 : null }
  }
}

function attemptAfter (dice: Dice, attempt: number): number | null {
  return dice.pick([null, null, attempt + 1, attempt + 1, attempt, Math.max(1, attempt - 1)])
}

function plainItem (dice: Dice, id: string, state: ItemState | null, nowMs: number): ItemFacts {
  const settles = state !== null && state !== 'pending' && state !== 'processing'
  return {
    id,
    state,
    attempt: null,
    retryable: dice.once(state === 'failed' ? 2 : 12) ? true : dice.once(10) ? false : null,
    percent: dice.once(3) ? dice.roll(10_001) : null,
    duration_ms: settles && dice.once(4) ? dice.roll(20_000) : null,
    created_wall: dice.once(5) ? nowMs - dice.roll(10_000) : null,
    updated_wall: dice.once(3) ? nowMs - dice.roll(1_000) : null,
    truncated: null,
    row_index: dice.once(3) ? dice.roll(50) : null,
    weight: dice.once(6) ? dice.pick([1, 2.5, 0.125]) : null,
    title: title(dice),
    kind: dice.once(6) ? 'short' : null,
    worker: dice.once(5) ? 'w1' : null,
    error_json: state === 'failed' && dice.once(2) ? dice.pick(JSON_TEXTS) : null,
    result_json: state === 'completed' && dice.once(2) ? dice.pick(JSON_TEXTS) : null
  }
}
