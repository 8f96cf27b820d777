// Random sequences of steps, for fast-check. A step says in what spirit something happens; what exactly is chosen when it runs,
// by the state that the job will be in (see choose.ts), so that most of it is legal and deep states are reached.

import fc from 'fast-check'

export type Spirit = 'work' | 'state' | 'progress' | 'heartbeat' | 'control' | 'register' | 'wild' | 'fault'

export interface Intent {
  /** Index into the world's jobs. */
  job: number
  spirit: Spirit
  /** Seed of every further choice. */
  dice: number
}

export type Numbering = 'none' | 'next' | 'same' | 'gap'

export type Step =
  | { op: 'append', packed: boolean, intents: Intent[], wait_ms: number, producer: number, numbering: Numbering, asks: boolean }
  | { op: 'drain', wait_ms: number, events_max: number, drainers: number }
  | { op: 'flush_scripts' }
  | { op: 'tear', job: number, part: 'hash' | 'agenda' | 'meta' }
  | { op: 'rewind', entries: number }
  | { op: 'read_outbox', also_dirty: boolean }

const dice = fc.integer({ min: 0, max: 0x7fffffff })

const intent = (jobs: number): fc.Arbitrary<Intent> => fc.record({
  job: fc.nat({ max: jobs - 1 }).map((n) => n % 3 === 2 ? n : n % 2), // a few jobs get most of the events
  spirit: fc.oneof(
    { weight: 12, arbitrary: fc.constant<Spirit>('work') },
    { weight: 4, arbitrary: fc.constant<Spirit>('state') },
    { weight: 2, arbitrary: fc.constant<Spirit>('progress') },
    { weight: 2, arbitrary: fc.constant<Spirit>('heartbeat') },
    { weight: 3, arbitrary: fc.constant<Spirit>('control') },
    { weight: 1, arbitrary: fc.constant<Spirit>('register') },
    { weight: 2, arbitrary: fc.constant<Spirit>('wild') },
    { weight: 1, arbitrary: fc.constant<Spirit>('fault') }
  ),
  dice
})

const wait = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 900 }) },
  { weight: 4, arbitrary: fc.integer({ min: 901, max: 4_900 }) },
  { weight: 1, arbitrary: fc.integer({ min: 4_990, max: 60_000 }) } // nobody drained: the service clock stands
)

const append = (jobs: number): fc.Arbitrary<Step> => fc.record({
  op: fc.constant('append' as const),
  packed: fc.boolean(),
  intents: fc.array(intent(jobs), { minLength: 1, maxLength: 6 }),
  wait_ms: wait,
  producer: fc.nat({ max: 1 }),
  numbering: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Numbering>('none') },
    { weight: 8, arbitrary: fc.constant<Numbering>('next') },
    { weight: 1, arbitrary: fc.constant<Numbering>('same') },
    { weight: 1, arbitrary: fc.constant<Numbering>('gap') }
  ),
  asks: fc.boolean()
})

const drain: fc.Arbitrary<Step> = fc.record({
  op: fc.constant('drain' as const),
  wait_ms: wait,
  events_max: fc.oneof(fc.constant(256), fc.integer({ min: 1, max: 12 })),
  drainers: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(3) })
})

const disturbance = (jobs: number): fc.Arbitrary<Step> => fc.oneof(
  fc.record({ op: fc.constant('flush_scripts' as const) }),
  fc.record({ op: fc.constant('tear' as const), job: fc.nat({ max: jobs - 1 }), part: fc.constantFrom('hash' as const, 'agenda' as const, 'meta' as const) }),
  fc.record({ op: fc.constant('rewind' as const), entries: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ op: fc.constant('read_outbox' as const), also_dirty: fc.boolean() })
)

export function steps (jobs: number): fc.Arbitrary<Step[]> {
  return fc.array(fc.oneof(
    { weight: 12, arbitrary: append(jobs) },
    { weight: 7, arbitrary: drain },
    { weight: 1, arbitrary: disturbance(jobs) }
  ), { minLength: 1, maxLength: 40, size: 'max' })
}
