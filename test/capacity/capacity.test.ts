// The calculator: its arithmetic on cases small enough to be done by hand, that more load never needs less, what it refuses, and that
// docs/capacity.md says what it prints.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { FIGURES, figure } from '../../src/capacity/figures.ts'
import { DEFAULT_LOAD, faultOf, planFor, type Load } from '../../src/capacity/plan.ts'
import { settings } from '../../src/config/schema.ts'
import { figuresText, TABLE_LOADS, tableText } from '../../src/capacity/report.ts'

const HEADWAY = fileURLToPath(new URL('../../src/cli/headway.ts', import.meta.url))
const docs = readFileSync(new URL('../../docs/capacity.md', import.meta.url), 'utf8')

function capacity (...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [HEADWAY, 'capacity', ...args], { encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '' } })
  return { status, stdout, stderr }
}

t.test('by hand', async t => {
  const load: Load = {
    watchers: 1_000, watchers_per_job: 10, events_per_watcher_per_s: 10, events_per_s: 1_000, jobs: 100, sending: 'alone', outage_minutes: 1
  }
  const plan = planFor(load)
  t.equal(plan.deliveries_per_s, 1_000 * 10 * 2)
  // 20,000 × 5.5 µs = 0.11; 100 jobs × 1 gateway × 10 × 49.4 µs = 0.049: one gateway at 0.6 does it
  t.equal(plan.gateways, 2)
  const used = Object.fromEntries(plan.uses.map(one => [one.part, one.used]))
  t.ok(Math.abs((used['gateway CPU'] ?? 0) - (0.11 + 100 * 2 * 10 * 49.4e-6) / 1.2) < 1e-9)
  t.equal(used['gateway sockets'], 500 / 20_000)
  // Beside the 1,000 events: 1,000 that the second gateway hears too, and two gateways that look at 8 partitions every 300 ms.
  t.ok(Math.abs((used['Redis CPU'] ?? 0) - (0.108 + 1_000 * figure('hearing_us') / 1e6 + 2 * 8 / 0.3 * figure('sweep_us') / 1e6) / 0.6) < 1e-9)
  t.equal(plan.sweep_interval_ms, Number(settings().find(({ name }) => name === 'HEADWAY_SWEEP_INTERVAL_MS')?.fallback))
  t.equal(plan.shards, 1)
  t.equal(plan.shard_bytes, 100 * figure('job_bytes') + 1_000 * 60 * figure('outbox_bytes') * 3)
  t.equal(plan.persisters, 2, 'one may die')
  t.equal(plan.uses[0]?.part, 'Redis CPU')
  t.equal(planFor({ ...load, outage_minutes: 0 }).persisters, 0)
})

t.test('many gateways look less often each, so that Redis does not pay for each of them', async t => {
  const load: Load = {
    watchers: 1_000_000, watchers_per_job: 20, events_per_watcher_per_s: 2, events_per_s: 100_000, jobs: 200_000, sending: 'batched', outage_minutes: 0
  }
  const { gateways, sweep_interval_ms: interval, partitions, shards } = planFor(load)
  t.ok(gateways > 100)
  t.ok(gateways * 1_000 / interval <= figure('sweeps_per_s'))
  t.ok(partitions * figure('sweeps_per_s') * figure('sweep_us') / 1e6 / shards < 0.05, 'a twentieth of a core of each primary at most')
})

t.test('nothing is planned beyond its bound, and more load never needs less', async () => {
  const loads = fc.record({
    watchers: fc.integer({ min: 1, max: 1_000_000 }),
    events_per_s: fc.integer({ min: 1, max: 200_000 }),
    events_per_watcher_per_s: fc.integer({ min: 0, max: 10 }),
    watchers_per_job: fc.integer({ min: 1, max: 1_000 }),
    jobs: fc.integer({ min: 1, max: 1_000_000 }),
    sending: fc.constantFrom('batched', 'alone', 'scattered') as fc.Arbitrary<Load['sending']>,
    outage_minutes: fc.integer({ min: 0, max: 120 })
  })
  fc.assert(fc.property(loads, load => {
    const plan = planFor(load)
    const more = planFor({ ...load, watchers: load.watchers * 2, events_per_s: load.events_per_s * 2, jobs: load.jobs * 2 })
    // What rounding to whole processes leaves may be a hair above one.
    const isPowerOfTwo = Number.isInteger(Math.log2(plan.partitions))
    return plan.uses.every(({ used }) => used <= 1 + 1e-9) && isPowerOfTwo && plan.partitions >= plan.shards &&
      more.gateways >= plan.gateways && more.shards >= plan.shards && more.persisters >= plan.persisters
  }), { numRuns: 300 })
})

t.test('the guide says what the calculator prints, and every figure has its source', async t => {
  t.ok(docs.includes(tableText()), 'the table: headway capacity --table')
  t.same(TABLE_LOADS.map(faultOf), TABLE_LOADS.map(() => null), 'each row can be')
  for (const [name, { unit, source, kind }] of Object.entries(FIGURES)) {
    t.ok(source.length > 3 && unit.length > 3, name)
    if (kind !== 'chosen') t.match(source, /benchmarks\.md|engine\.md|npm run bench/, `${name} was measured somewhere`)
  }
  t.ok(docs.includes(figuresText()), 'the figures: headway capacity --figures')
})

t.test('the command', async t => {
  const { status, stdout } = capacity('--watchers', '100000', '--events', '100000', '--jobs', '100000')
  t.equal(status, 0)
  t.match(stdout, /gateways +\d+[\s\S]*Redis +a Cluster of \d+ primaries[\s\S]*persisters +\d+[\s\S]*breaks first[\s\S]*Arithmetic/)
  const { load, plan } = JSON.parse(capacity('--json').stdout) as { load: Load, plan: object }
  t.same(load, DEFAULT_LOAD)
  t.same(plan, JSON.parse(JSON.stringify(planFor(DEFAULT_LOAD))))
  t.equal(capacity('--table').stdout, `${tableText()}\n`)
  t.match(capacity('--watchers', '1000000', '--events', '10'), { status: 2, stderr: /100000 events a second, and there are only 10/ })
  t.match(capacity('--watchers', '10000', '--jobs', '10'), { status: 2, stderr: /watch 500 jobs, and there are only 10/ })
  t.match(capacity('--watchers', 'many'), { status: 2, stderr: /--watchers many must be a whole number/ })
  t.match(capacity('--sending', 'fast'), { status: 2, stderr: /none of batched, alone, scattered/ })
  t.match(capacity('10000'), { status: 2, stderr: /takes no arguments/ })
})
