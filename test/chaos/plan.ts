// What a seed stands for: the jobs with the fate of every item, who watches what, and what must come out. The same seed gives the
// same plan; the moments at which a machine runs it differ, which is why a failed seed is run again more than once.

import type { Counters, Expected } from './record.ts'

/**
 * auto: ends by itself with its last item · told: the worker says completed · failing: the worker says failed ·
 * counted: no items, absolute counters · canceled: by a user, half-way · open: never ends, its last items stay in processing
 */
export const JOB_KINDS = ['auto', 'told', 'open', 'counted', 'failing', 'canceled'] as const
export type JobKind = typeof JOB_KINDS[number]
export type Fate = 'completed' | 'failed' | 'skipped' | 'retried' | 'open'

export interface PlannedItem { id: string, fate: Fate, percents: number[] }
export interface PlannedJob {
  id: string
  kind: JobKind
  items: PlannedItem[]
  /** Items done when a user pauses, then resumes; null = nobody does. */
  pause_at: number | null
  cancel_at: number | null
}
export interface Plan {
  jobs: PlannedJob[]
  /** The job that each client watches. */
  clients: string[]
  gateways: number
  /** The time that the items of a job are spread over. */
  work_ms: number
  /** Bytes of each item's result and error: makes volume. */
  bulk_bytes: number
}

export interface Scale { quick: boolean, fat: boolean }

export type Random = () => number

/** Reports of one item between its start and its end. */
const PERCENTS_MAX = 4
const CLIENTS_MIN = 24
/** Items of a job, from and to. A fat one's events are more than any socket's buffers hold. */
const SIZES = {
  lean: { quick: [30, 50], whole: [120, 200] },
  fat: { quick: [500, 600], whole: [900, 1_000] }
} as const

/** mulberry32 */
export function randomOf (seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A whole number from `from` to `to`, both included. */
export function between (random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1))
}

export function makePlan (seed: number, { quick, fat }: Scale): Plan {
  const random = randomOf(seed)
  const jobs = JOB_KINDS.map((kind, n): PlannedJob => {
    const [from, to] = SIZES[fat ? 'fat' : 'lean'][quick ? 'quick' : 'whole']
    const size = between(random, from, to)
    const percentsMax = fat ? 0 : PERCENTS_MAX
    const items = Array.from({ length: size }, (_, m) => makeItem(random, `i${m}`, percentsMax, kind === 'open' && m >= size - 3))
    return {
      id: `${kind}-${seed}`,
      kind,
      items,
      pause_at: n % 2 === 0 ? Math.floor(size * (0.2 + 0.5 * random())) : null,
      cancel_at: kind === 'canceled' ? Math.floor(size * (0.5 + 0.3 * random())) : null
    }
  })
  const clients = Array.from({ length: quick || fat ? CLIENTS_MIN : between(random, 36, 60) }, (_, n) => jobs[n % jobs.length]?.id ?? '')
  return {
    jobs,
    clients,
    gateways: between(random, 2, 3),
    work_ms: quick ? 3_000 : 9_000,
    bulk_bytes: fat ? 2_000 : 0
  }
}

function makeItem (random: Random, id: string, percentsMax: number, open: boolean): PlannedItem {
  const percents = Array.from({ length: between(random, 0, percentsMax) }, () => between(random, 1, 99)).sort((a, b) => a - b)
  if (open) return { id, fate: 'open', percents: [...percents, 99.5].slice(-2) }
  const dice = random()
  return { id, fate: dice < 0.7 ? 'completed' : dice < 0.8 ? 'failed' : dice < 0.9 ? 'skipped' : 'retried', percents }
}

export function expectedOf ({ id, kind, items }: PlannedJob): Expected {
  const states = { auto: 'completed', told: 'completed', failing: 'failed', counted: 'completed', canceled: 'canceled', open: 'running' } as const
  if (kind === 'canceled') return { job: id, state: 'canceled', counters: null, items_total: items.length, items: {} }
  const count = (...fates: Fate[]): number => items.filter(({ fate }) => fates.includes(fate)).length
  const counters: Counters = {
    items_total: items.length,
    items_completed: count('completed', 'retried'),
    items_failed: count('failed'),
    items_skipped: count('skipped'),
    items_canceled: 0
  }
  const ends = kind === 'counted' ? [] : items.map(item => [item.id, endOf(item)] as const)
  return { job: id, state: states[kind], counters, items_total: items.length, items: Object.fromEntries(ends) }
}

function endOf ({ fate, percents }: PlannedItem): { state: string, attempt: number, percent?: number } {
  if (fate === 'retried') return { state: 'completed', attempt: 2 }
  if (fate === 'open') return { state: 'processing', attempt: 1, percent: percents.at(-1) ?? 0 }
  return { state: fate, attempt: 1 }
}
