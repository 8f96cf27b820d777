// What gateways and workers hear: the channel of a job, the channels of a tenant, and whether they hear at all.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster } from 'ioredis'
import { createChannels } from './channels.ts'
import type { Connections, Log } from './connections.ts'
import type { Keys } from './keys.ts'
import { decodeMessage, decodeTenantMessage } from './packed.ts'
import type { FeedMessage, TenantChange } from './packed.ts'
import { groupBy } from '../protocol/ponyfills.ts'
import { createProbe, DEFAULT_PROBE } from './probe.ts'
import type { ProbeTimes } from './probe.ts'

export type FeedListener = (message: FeedMessage) => void
export type TenantListener = (change: TenantChange) => void

export interface Feed {
  /** Resolves once Redis has confirmed: whatever is published from then on reaches the listener. */
  subscribe (tenant: string, id: string, listener: FeedListener): Promise<() => void>
  /** The same for every job of a tenant: its new header at each change, without events. In order for each job, not among jobs. */
  subscribeTenant (tenant: string, listener: TenantListener): Promise<() => void>
  /** The subscriber connection was lost and is back: messages may be missing, every watched job is to be read again. */
  onInterrupted (listener: () => void): () => void
  /** What this process last published to itself came back on every subscriber connection, or Redis is away. */
  hearing (): boolean
  /** What was heard is not what the primary says: asks at once whether each connection still hangs on one. */
  doubt (): void
}

export interface OwnFeed extends Feed {
  /** Begins to probe; resolves when it is known whether this process hears. */
  start (): Promise<void>
  stop (): void
}

export function createFeed (params: { connections: Connections, keys: Keys, log: Log, probe?: Partial<ProbeTimes> }): OwnFeed {
  const { connections, keys, log } = params
  const times = { ...DEFAULT_PROBE, ...params.probe }
  const sharded = connections.topology === 'cluster'
  const id = randomUUID()
  const partitions = Array.from({ length: keys.partitions }, (_, n) => n)
  const probed = sharded ? partitions : [0]
  const owners = new Map<number, string>()
  let rounds = 0

  const channels = createChannels({
    connections, log, retry_ms: times.interval_ms, fences: probed.map((n) => keys.probe(n, `${id}:fence`))
  })
  const probe = createProbe({
    ...times,
    targets,
    publish: (name, text) => sharded ? (connections.command as Cluster).spublish(name, text) : connections.command.publish(name, text),
    onDeaf (names) {
      log.warn({ event: 'feed_deaf', channels: names }, 'a message to this process itself did not arrive; the subscriber connection is replaced')
      channels.rebuild()
    }
  })

  /** On a Cluster one partition of each primary, in turn: each round asks every connection, and in time every slot was asked for. */
  function targets (): string[] {
    if (sharded) lookAtOwners()
    const of = groupBy(probed, (n) => owners.get(n) ?? '')
    const round = rounds++
    return [...of.values()].map((those) => keys.probe(those[round % those.length] as number, id))
  }

  /** A slot that has another owner now: what the new one published while it took it over reached nobody. */
  function lookAtOwners (): void {
    const command = connections.command as Cluster
    let moved = false
    let stale = false
    for (const n of partitions) {
      const slot = keys.slot(n)
      const owner = channels.ownerOf(slot)
      const before = owners.get(n)
      moved ||= before !== undefined && before !== owner
      stale ||= owner !== (command.slots[slot]?.[0] ?? '')
      owners.set(n, owner)
    }
    if (stale) {
      channels.refreshOwners()
      command.refreshSlotsCache()
    }
    if (moved) channels.mend()
  }

  return {
    subscribe: (tenant, job, listener) => channels.subscribe(keys.job(tenant, job).key, decodeMessage, listener),
    async subscribeTenant (tenant, listener) {
      const decode = (text: string): TenantChange[] => decodeTenantMessage(text, tenant)
      const hear = (changes: TenantChange[]): void => {
        for (const change of changes) listener(change)
      }
      const asked = await Promise.allSettled(partitions.map((n) => channels.subscribe(keys.tenantPrefix(n) + tenant, decode, hear)))
      const leave = (): void => {
        for (const one of asked) if (one.status === 'fulfilled') one.value()
      }
      const failed = asked.find((one) => one.status === 'rejected')
      if (failed === undefined) return leave
      leave()
      throw failed.reason
    },
    onInterrupted: (listener) => channels.onInterrupted(listener),
    hearing: () => probe.hearing(),
    doubt: () => probe.hurry(),
    async start () {
      const confirmed = probed.map((n) => channels.add(keys.probe(n, id), String, probe.heard).confirmed)
      // Who cannot subscribe is found deaf, and heals, while it runs: a gateway starts all the same.
      const late = new AbortController()
      await Promise.race([Promise.allSettled(confirmed), delay(times.echo_ms, null, { signal: late.signal, ref: false }).catch(() => {})])
      late.abort()
      await probe.start()
    },
    stop () {
      probe.stop()
      channels.stop()
    }
  }
}
