// A plan as text, and plans as the table of docs/capacity.md.

import { FIGURES, figure } from './figures.ts'
import { DEFAULT_LOAD, planFor, SWEEP_INTERVAL_MS, type Load, type Plan } from './plan.ts'

/** The rows of the table. */
export const TABLE_LOADS: Load[] = [
  { ...DEFAULT_LOAD, watchers: 10_000, events_per_s: 1_000, jobs: 5_000 },
  { ...DEFAULT_LOAD, watchers: 10_000, events_per_s: 10_000, jobs: 10_000 },
  { ...DEFAULT_LOAD, watchers: 100_000, events_per_s: 10_000, jobs: 50_000 },
  { ...DEFAULT_LOAD, watchers: 100_000, events_per_s: 100_000, jobs: 100_000, outage_minutes: 10 },
  { ...DEFAULT_LOAD, watchers: 1_000_000, events_per_s: 100_000, jobs: 200_000, outage_minutes: 10 },
  { ...DEFAULT_LOAD, watchers: 1_000_000, events_per_s: 100_000, jobs: 200_000, outage_minutes: 0, sending: 'alone' }
]

export function planText (load: Load, plan: Plan): string {
  const { watchers, events_per_s: events, sending, outage_minutes: outage, jobs } = load
  const outbox = events * outage * 60 * figure('outbox_bytes')
  return [
    `${count(watchers)} watchers, ${count(load.watchers_per_job)} of each job, who see ${load.events_per_watcher_per_s} events a second; ${count(events)} events a second, ${sending}; ${count(jobs)} jobs in Redis`,
    '',
    `  gateways    ${count(plan.gateways)}, one of them to spare: ${count(Math.ceil(watchers / plan.gateways))} sockets and ${bytes(plan.gateway_bytes)} each; ` +
      `${count(plan.deliveries_per_s)} deliveries a second`,
    `              when one dies, its watchers are back after ${plan.storm_s < 1 ? 'less than 1' : count(Math.ceil(plan.storm_s))} s`,
    `  Redis       ${plan.shards === 1 ? 'one primary' : `a Cluster of ${count(plan.shards)} primaries`} with a replica each, maxmemory ${bytes(plan.shard_bytes)}; ` +
      `HEADWAY_PARTITIONS=${plan.partitions}${plan.sweep_interval_ms > SWEEP_INTERVAL_MS ? `, HEADWAY_SWEEP_INTERVAL_MS=${plan.sweep_interval_ms}` : ''}`,
    plan.persisters === 0
      ? '  persisters  none: there is no database'
      : `  persisters  ${count(plan.persisters)}; HEADWAY_OUTBOX_BYTES_MAX=${Math.round(outbox)} holds ${outage} minutes without the database`,
    '',
    'How much of each is used, of what is planned for; the first breaks first when all of it grows:',
    ...plan.uses.map(({ part, used, advice }) => `  ${part.padEnd(16)}${percent(used).padStart(6)}  then: ${advice}`),
    '',
    'Arithmetic on measurements of one small machine, not a test at this size: headway capacity --figures tells each with its source.'
  ].join('\n')
}

export function figuresText (): string {
  return Object.entries(FIGURES).map(([name, { value, unit, kind, source }]) => `${name.padEnd(22)}${tidy(value)} ${unit}\n${' '.repeat(22)}${kind}: ${source}`).join('\n')
}

/** @returns a table in Markdown */
export function tableText (loads: readonly Load[] = TABLE_LOADS): string {
  const head = [
    'Watchers', 'Events/s', 'Sent', 'Jobs', 'Deliveries/s', 'Gateways', 'Memory each', 'Redis primaries', 'maxmemory each', 'Persisters', 'Breaks first'
  ]
  const rows = loads.map(load => {
    const plan = planFor(load)
    const persisters = plan.persisters === 0 ? 'no database' : `${count(plan.persisters)} (${load.outage_minutes} min)`
    return [
      count(load.watchers), count(load.events_per_s), load.sending, count(load.jobs), count(plan.deliveries_per_s), count(plan.gateways),
      bytes(plan.gateway_bytes), count(plan.shards), bytes(plan.shard_bytes), persisters, plan.uses[0]?.part ?? ''
    ]
  })
  return [head, head.map((_, at) => at === 2 || at > 8 ? '---' : '---:'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function count (value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

function percent (share: number): string {
  return `${Math.round(share * 100)} %`
}

function bytes (value: number): string {
  return value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.round(value / 1e6)} MB`
}

function tidy (value: number): string {
  return value >= 1000 ? count(value) : String(Math.round(value * 10) / 10)
}
