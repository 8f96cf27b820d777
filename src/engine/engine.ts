// The engine put together: what gateways, the persister and tests call. It alone knows Redis.

import { connect, NO_LOG } from './connections.ts'
import type { Connections, Log, Topology } from './connections.ts'
import { createDrain } from './drain.ts'
import type { DrainOptions, DrainResult } from './drain.ts'
import { createDrained, type Drained } from './drained.ts'
import { createDrainer } from './drainer.ts'
import type { Drainer } from './drainer.ts'
import { createFeed } from './feed.ts'
import type { Feed, OwnFeed } from './feed.ts'
import { createIdempotency } from './idempotency.ts'
import type { Idempotency } from './idempotency.ts'
import { createIngest } from './ingest.ts'
import type { Ingest } from './ingest.ts'
import { createKeys } from './keys.ts'
import type { Keys } from './keys.ts'
import { createLeases } from './leases.ts'
import type { Leases } from './leases.ts'
import { createListJobs } from './list.ts'
import type { ListJobs } from './list.ts'
import { createOutbox } from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { createRestore } from './restore.ts'
import type { Restore } from './restore.ts'
import { agreeOnPartitions, createPartition } from './partitions.ts'
import type { ProbeTimes } from './probe.ts'
import { createReads } from './reads.ts'
import type { Reads } from './reads.ts'
import { DEFAULT_SETTINGS } from './settings.ts'
import type { EngineSettings } from './settings.ts'
import { createTickets } from './tickets.ts'
import type { Tickets } from './tickets.ts'

export type { Log, Topology } from './connections.ts'
export type { DrainOptions, DrainResult, DrainWord } from './drain.ts'
export type { Drained } from './drained.ts'
export type { BatchResult, SubmitOptions, SubmitResult } from './ingest.ts'
export type { JobPage, ListedJob } from './list.ts'
export type { Leases } from './leases.ts'
export type { DirtyJob, Outbox, OutboxEntry, OutboxRead } from './outbox.ts'
export type { EngineJob, FeedMessage, TenantChange } from './packed.ts'
export type { ItemPage, ItemQuery, JobQuery, JobRead, LogRead } from './reads.ts'
export type { Restore } from './restore.ts'
export type { EngineSettings } from './settings.ts'

export interface EngineOptions {
  /** redis://, rediss://; a comma-separated list is a Cluster; redis+sentinel://h1:p,h2:p/<name of the primary> */
  redis_url: string
  /** Default hw. Without braces. */
  prefix?: string
  /** A power of two, fixed with the first start. Default: what is stored; for a new deployment 8, on a Cluster 64. */
  partitions?: number
  settings?: Partial<EngineSettings>
  log?: Log
  /** How often this process listens whether it hears itself. */
  probe?: Partial<ProbeTimes>
}

export interface Engine extends Reads, Ingest, Feed, Idempotency, Tickets {
  /** For the persister. */
  readonly outbox: Outbox
  readonly leases: Leases
  readonly restore: Restore
  readonly topology: Topology
  /** Known after start(). */
  readonly partitions: number
  readonly keys: Keys
  /** There is a sink, so a persister is to empty the outbox. */
  readonly writes_outbox: boolean
  readonly connections: Connections
  listJobs: ListJobs
  /** A partition has another epoch: Redis has lost writes, and jobs in which nothing happens are not told of anywhere. */
  onEpoch (listener: (partition: number) => void): () => void
  partitionOf (tenant: string, id: string): number
  /** One call of the reducer, nothing besides. */
  drain (partition: number, options?: DrainOptions): Promise<DrainResult>
  /** What this process's own drains have done so far; a copy. */
  drained (): Drained
  /** Of each of them, as it ends; before start() too. */
  onDrained (listener: (result: DrainResult) => void): void
  /** @param options drain: false = never drains by itself, except for submit() */
  start (options?: { drain?: boolean }): Promise<void>
  /** Idempotent. */
  stop (): Promise<void>
  /** Whether Redis answers within 2 s. */
  ping (): Promise<boolean>
}

interface Parts {
  keys: Keys
  reads: Reads
  ingest: Ingest
  idempotency: Idempotency
  tickets: Tickets
  feed: OwnFeed
  listJobs: ListJobs
  outbox: Outbox
  leases: Leases
  restore: Restore
  drainer: Drainer
  drain: (partition: number, options?: DrainOptions) => Promise<DrainResult>
}

export function createEngine ({ redis_url, prefix = 'hw', partitions, settings, log = NO_LOG, probe = {} }: EngineOptions): Engine {
  const connections = connect(redis_url, log)
  const chosen: EngineSettings = { ...DEFAULT_SETTINGS, ...settings }
  const listeners: ((result: DrainResult) => void)[] = []
  let parts: Parts | undefined
  const started = (): Parts => {
    if (parts === undefined) throw new Error('the engine was not started: call start() first')
    return parts
  }

  function assemble (keys: Keys): Parts {
    const drain = createDrain({ connections, keys, settings: chosen })
    const restore_hold_ms = chosen.outbox_bytes_max > 0 ? chosen.restore_hold_ms : 0
    const onDrained = (result: DrainResult): void => { for (const listener of listeners) listener(result) }
    const { sweep_interval_ms } = chosen
    const drainer = createDrainer({ connections, keys, drain, log, onDrained, sweep_interval_ms, restore_hold_ms })
    return {
      keys,
      drain,
      drainer,
      ingest: createIngest({ connections, keys, drainer }),
      idempotency: createIdempotency({ connections, keys }),
      tickets: createTickets({ connections, keys }),
      reads: createReads({ connections, keys }),
      listJobs: createListJobs({ connections, keys }),
      outbox: createOutbox({ connections, keys, rejected_max: chosen.rejected_max }),
      leases: createLeases({ connections, keys }),
      restore: createRestore({ connections, keys }),
      feed: createFeed({ connections, keys, log, probe })
    }
  }

  return {
    topology: connections.topology,
    writes_outbox: chosen.outbox_bytes_max > 0,
    connections,
    get partitions () { return started().keys.partitions },
    get keys () { return started().keys },
    get outbox () { return started().outbox },
    get leases () { return started().leases },
    get restore () { return started().restore },
    async start ({ drain = true } = {}) {
      const keys = createKeys(prefix, await agreeOnPartitions(connections, prefix, partitions))
      for (let n = 0; n < keys.partitions; n++) await createPartition(connections.command, keys, n)
      if (parts === undefined) {
        parts = assemble(keys)
        await parts.feed.start()
      }
      if (drain) parts.drainer.start()
    },
    async stop () {
      await parts?.drainer.stop()
      parts?.feed.stop()
      connections.close()
    },
    async ping () {
      try {
        return await connections.command.ping() === 'PONG'
      } catch {
        return false
      }
    },
    drained: () => ({ ...(parts?.drainer.drained ?? createDrained()) }),
    onDrained (listener) { listeners.push(listener) },
    onEpoch: (listener) => started().drainer.onEpoch(listener),
    partitionOf: (tenant, id) => started().keys.job(tenant, id).partition,
    drain: (partition, options) => started().drain(partition, options),
    append: (events) => started().ingest.append(events),
    submit: (event, options) => started().ingest.submit(event, options),
    submitAll: (events, options) => started().ingest.submitAll(events, options),
    readJob: (tenant, id, after_seq) => started().reads.readJob(tenant, id, after_seq),
    readItems: (tenant, id, query) => started().reads.readItems(tenant, id, query),
    readLog: (tenant, id, after_seq, events_max) => started().reads.readLog(tenant, id, after_seq, events_max),
    beginOnce: (tenant, key, fingerprint) => started().idempotency.beginOnce(tenant, key, fingerprint),
    issueTicket: (text) => started().tickets.issueTicket(text),
    redeemTicket: (ticket) => started().tickets.redeemTicket(ticket),
    listJobs: (tenant, query) => started().listJobs(tenant, query),
    subscribe: (tenant, id, listener) => started().feed.subscribe(tenant, id, listener),
    subscribeTenant: (tenant, listener) => started().feed.subscribeTenant(tenant, listener),
    onInterrupted: (listener) => started().feed.onInterrupted(listener),
    hearing: () => started().feed.hearing(),
    doubt: () => started().feed.doubt()
  }
}
