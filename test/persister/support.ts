// An engine with an outbox, events for it, and what the sink should hold at the end.

import { setImmediate } from 'node:timers/promises'
import type { Test } from 'tap'
import { createEngine, type Engine, type EngineSettings } from '../../src/engine/engine.ts'
import { createPersister, type Persister } from '../../src/persister/persister.ts'
import type { PersisterSettings } from '../../src/persister/settings.ts'
import type { Sink } from '../../src/persister/sink.ts'
import type { MemorySink } from './memory-sink.ts'
import type { WorkerEvent } from '../../src/protocol/worker-events.ts'
import { randomPrefix } from '../support/topology.ts'

export const QUICK: Partial<PersisterSettings> = {
  interval_ms: 5, retry_first_ms: 1, retry_max_ms: 5, configuration_retry_ms: 5, lease_ms: 300, backlog_interval_ms: 10, timeout_ms: 5_000
}

export interface EngineOptions { partitions?: number, prefix?: string, drain?: boolean, settings?: Partial<EngineSettings> }

export async function startEngine (t: Test, url: string, options: EngineOptions = {}): Promise<Engine> {
  const { partitions = 2, prefix = randomPrefix(), drain = true, settings: given = {} } = options
  const settings = { outbox_bytes_max: 50_000_000, sweep_interval_ms: 10, ...given }
  const engine = createEngine({ redis_url: url, prefix, partitions, settings })
  t.teardown(() => engine.stop())
  await engine.start({ drain })
  return engine
}

export interface Spoken { event: string, fields: object, message: string }

export function startPersister (
  t: Test, engine: Engine, sink: Sink, settings: Partial<PersisterSettings> = {}, spoken: Spoken[] = []
): Persister {
  const say = (fields: object, message: string): void => {
    spoken.push({ event: (fields as { event?: string }).event ?? '', fields, message })
  }
  const log = { debug: say, info: say, warn: say, error: say }
  const persister = createPersister({ engine, sink, log, settings: { ...QUICK, ...settings } })
  t.teardown(() => persister.stop())
  return persister
}

export function register (job: string, items: number, tenant = 'acme'): WorkerEvent {
  return { type: 'job.register', tenant, job, data: { items_total: items, state: 'running', title: `Job ${job}`, auto_complete: true } }
}

export function item (job: string, id: string, state: 'processing' | 'completed' | 'failed', tenant = 'acme', more: object = {}): WorkerEvent {
  return { type: 'item.update', tenant, job, data: { id, state, ...more } }
}

/** A job from its registration to its end: with n items, 2n + 3 events are logged, the states included. */
export async function runJob (engine: Engine, job: string, items: number, tenant = 'acme'): Promise<void> {
  await engine.append([register(job, items, tenant)])
  for (let n = 0; n < items; n++) {
    await engine.append([item(job, `i${n}`, 'processing', tenant), item(job, `i${n}`, 'completed', tenant)])
    await setImmediate()
  }
}

/** Drains until nothing is left, by hand. */
export async function drainAll (engine: Engine, now_ms = 0): Promise<void> {
  for (let partition = 0; partition < engine.partitions; partition++) {
    while ((await engine.drain(partition, { now_ms })).more);
  }
}

/** The seqs of each job in order: 1, 2, 3 … up to the row's, or what is wrong. */
export function faultsOfHistory (sink: Pick<MemorySink, 'jobs' | 'events'>): string[] {
  const faults: string[] = []
  const seqs = new Map<string, number[]>()
  for (const row of sink.events.values()) {
    const key = `${row.tenant_id}/${row.job_id}`
    seqs.set(key, [...seqs.get(key) ?? [], row.seq])
  }
  for (const [key, row] of sink.jobs) {
    const found = (seqs.get(key) ?? []).sort((a, b) => a - b)
    const wanted = Array.from({ length: row.seq }, (_, n) => n + 1)
    if (found.join() !== wanted.join()) faults.push(`${key} has ${found.join()} of ${row.seq}`)
  }
  return faults
}
