// The persister put together: an engine and a sink in, lanes over the partitions that it holds. Any number may run.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Engine, Log } from '../engine/engine.ts'
import { watchBacklog } from './backlog.ts'
import { createDeliver } from './deliver.ts'
import { createHolder } from './holder.ts'
import { createInbound } from './inbound.ts'
import { createLane } from './lane.ts'
import { createMeters, type Meters } from './meters.ts'
import { createRebuild } from './rebuild.ts'
import { DEFAULT_PERSISTER_SETTINGS, type PersisterSettings } from './settings.ts'
import type { Sink } from './sink.ts'

export interface PersisterOptions {
  /** Started. */
  engine: Pick<Engine, 'outbox' | 'leases' | 'restore' | 'partitions' | 'keys' | 'submit'>
  sink: Sink
  log: Log
  settings?: Partial<PersisterSettings>
  /** Whether what apps write is taken, if the sink has an inbox. Default true. */
  inbound?: boolean
}

export interface Persister {
  readonly meters: Meters
  /** Resolves once it works; a sink that is away does not keep it. */
  start (): Promise<void>
  /** At once: what is not written is read again by the next persister. Idempotent. */
  stop (): Promise<void>
}

export function createPersister ({ engine, sink, log, settings: given, inbound = true }: PersisterOptions): Persister {
  const settings: PersisterSettings = { ...DEFAULT_PERSISTER_SETTINGS, ...given }
  const meters = createMeters()
  const stopping = new AbortController()
  const stop = stopping.signal
  const name = randomBytes(6).toString('hex')
  const holder = createHolder({ leases: engine.leases, name, partitions: engine.partitions, lease_ms: settings.lease_ms, meters, log })
  const rebuild = createRebuild({
    sink,
    restore: engine.restore,
    partitionOf: (tenant, id) => engine.keys.job(tenant, id).partition,
    meters,
    log,
    timeout_ms: settings.timeout_ms,
    configuration_retry_ms: settings.configuration_retry_ms,
    stop
  })
  const count = Math.min(settings.lanes, engine.partitions)
  const lanes = Array.from({ length: count }, (_, lane) => createLane({
    outbox: engine.outbox,
    rebuild,
    deliver: createDeliver({ sink, settings, log, meters, stop }),
    settings,
    meters,
    log,
    partitions: () => holder.mine().filter(partition => partition % count === lane),
    stop
  }))
  const inbox = inbound ? sink.inbox : undefined
  const leads = (): boolean => holder.mine().includes(0)
  const inwards = inbox === undefined ? null : createInbound({ inbox, engine, settings, meters, log, leads, stop })
  let running: Promise<unknown> = Promise.resolve()
  let stopped: Promise<void> | undefined

  async function maintain (): Promise<void> {
    while (!stop.aborted) {
      try {
        const signal = AbortSignal.any([stop, AbortSignal.timeout(settings.timeout_ms * 4)])
        await sink.maintain(signal)
        await inbox?.maintain(signal)
      } catch (error) {
        if (!stop.aborted) log.warn({ event: 'maintain_failed', reason: error instanceof Error ? error.message : '' }, 'the sink was not tidied up; the next time tries again')
      }
      // With some jitter, or all replicas would come at once.
      await delay(settings.maintain_interval_ms * (0.75 + Math.random() / 2), undefined, { signal: stop }).catch(() => {})
    }
  }

  return {
    meters,
    async start () {
      await holder.start()
      const { backlog_interval_ms: intervalMs } = settings
      const backlog = watchBacklog({ outbox: engine.outbox, meters, partitions: holder.mine, interval_ms: intervalMs, stop })
      running = Promise.all([...lanes.map(lane => lane.run()), inwards?.run(), backlog, maintain()])
      log.info({ event: 'persister_started', name, sink: sink.name, lanes: count }, `writes to ${sink.name}`)
    },
    stop () {
      stopped ??= (async () => {
        stopping.abort(new Error('the persister stops'))
        await running
        await holder.stop()
        await sink.stop()
      })()
      return stopped
    }
  }
}
