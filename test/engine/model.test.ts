// The reducer against its model: thousands of random sequences on real Redis, everything compared after every drain.
// Holds H1, H2, H3, H4, H5, H10, H14 and H15 of the contract.
//
// HEADWAY_MODEL_RUNS: sequences of each kind and topology (default 300; `npm run test:full` takes 3,000 new ones).
// HEADWAY_MODEL_SEED: other ones.

import fc from 'fast-check'
import t from 'tap'
import { createEngine } from '../../src/engine/engine.ts'
import type { Engine, EngineSettings } from '../../src/engine/engine.ts'
import { onEachTopology, randomPrefix, type Topology } from '../support/topology.ts'
import { JOB_STATES } from '../../src/protocol/states.ts'
import type { ModelSettings } from './model/facts.ts'
import { listen } from './model/listener.ts'
import { play } from './model/play.ts'
import { steps } from './model/steps.ts'
import { createWorld } from './model/world.ts'

const FULL = process.env['HEADWAY_TEST_FULL'] !== undefined
const RUNS = Number(process.env['HEADWAY_MODEL_RUNS'] ?? (FULL ? 3000 : 300))
/** The same sequences each time, so that a red run is somebody's change; the full test looks for new ones. */
const SEED = process.env['HEADWAY_MODEL_SEED'] ?? (FULL ? undefined : '20261123')
const PARTITIONS = 8
const LOG_EVENTS_MAX = 60

/** Short enough that every timer fires within a sequence. */
const TIMERS = { control_timeout_ms: 4_000, stall_after_ms: 3_000, abandon_after_ms: 30_000, retention_ms: 6_000, items_max: 4 }
const OUTBOX_BYTES = { none: 0, open: 1_000_000_000, tight: 1 }

/** A generator that no longer gets here proves little. */
const SHOULD_REACH = [
  ...'SLlTtDFqscfkxrp', ...JOB_STATES, 'applied', 'repeated', 'ignored', 'rejected', 'gaps', 'timers',
  'unknown_job', 'invalid_transition', 'job_ended', 'job_exists', 'job_finished', 'too_many_items', 'wrong_partition'
]

t.setTimeout(120_000 + RUNS * 1_000)

async function startEngine (topology: Topology, prefix: string, settings: Partial<EngineSettings>): Promise<Engine> {
  const engine = createEngine({ redis_url: topology.url, prefix, partitions: PARTITIONS, settings })
  await engine.start({ drain: false })
  return engine
}

await onEachTopology(t, async (t, topology) => {
  for (const outbox of ['none', 'open', 'tight'] as const) {
    await t.test(`random sequences, outbox ${outbox}`, async (t) => {
      const prefix = randomPrefix()
      // When a finished job that waits for the persister looks again is no rule: outbox.test.ts has what matters of it.
      const timers = outbox === 'none' ? TIMERS : { ...TIMERS, retention_ms: 3_600_000 }
      const settings: ModelSettings = { ...timers, outbox }
      const engineSettings = { ...timers, log_events_max: LOG_EVENTS_MAX, outbox_bytes_max: OUTBOX_BYTES[outbox] }
      const engines: Engine[] = []
      t.teardown(() => Promise.all(engines.map((engine) => engine.stop())))
      for (let n = 0; n < 2; n++) engines.push(await startEngine(topology, prefix, engineSettings))
      const world = createWorld(3, PARTITIONS)
      const listener = await listen(topology, engines[0] as Engine, world)
      const reached = new Set<string>()
      await fc.assert(
        fc.asyncProperty(steps(world.jobs.length), (sequence) => play(sequence, {
          engines,
          redis: topology.redis,
          flushScripts: topology.flushScripts,
          listener,
          reached,
          world,
          settings,
          log_events_max: LOG_EVENTS_MAX
        })),
        { numRuns: RUNS, interruptAfterTimeLimit: 600_000, ...(SEED === undefined ? {} : { seed: Number(SEED) }) }
      )
      const missed = [...SHOULD_REACH, ...outbox === 'none' ? ['gone'] : []].filter((name) => !reached.has(name))
      t.same(missed, [], `${RUNS} sequences reached every kind of event, state and refusal`)
    })
  }
})
