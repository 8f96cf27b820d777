// The channels that this process hears, whatever they are about: one subscriber client, many listeners a channel. Plain pub/sub, or
// sharded on a Cluster. Who was confirmed once stays subscribed, through reconnects and through a client that is made anew.

import type { Cluster, Redis } from 'ioredis'
import { createDeferred } from '../protocol/ponyfills.ts'
import type { Connections, Log, RedisClient } from './connections.ts'
import { readMessages } from './message-reader.ts'

export interface Subscription {
  /** Redis has confirmed: whatever is published from then on reaches the listener. */
  confirmed: Promise<unknown>
  leave: () => void
}

export interface Channels {
  /** Stays even when confirming fails: for those that look after themselves. @param decode runs once a message */
  add<M> (name: string, decode: (text: string) => M, listener: (message: M) => void): Subscription
  /** Resolves once confirmed, with leave; leaves by itself when that fails. */
  subscribe<M> (name: string, decode: (text: string) => M, listener: (message: M) => void): Promise<() => void>
  /** Messages may be missing, everything is subscribed again. */
  onInterrupted (listener: () => void): () => void
  /** Something may have been missed without a connection being lost: waits until all is subscribed, then says so. */
  mend (): void
  /** The connection is not to be trusted: another client, the same channels. */
  rebuild (): void
  /** Cluster: the primary that the subscriber takes for the owner of a slot; empty = it knows none. */
  ownerOf (slot: number): string
  refreshOwners (): void
  stop (): void
}

export interface ChannelsParams {
  connections: Connections
  log: Log
  /** Names nobody publishes on, one for each slot that has channels: confirmed on the way, they tell that what was asked before is done. */
  fences: string[]
  /** Before a client that ended, or that could not subscribe again, is replaced. */
  retry_ms: number
}

interface Channel {
  decode: (text: string) => unknown
  listeners: Set<(message: never) => void>
  /** Settles with the last command about this channel, so that commands keep their order. */
  confirmed: Promise<unknown>
}

export function createChannels ({ connections, log, fences, retry_ms }: ChannelsParams): Channels {
  const sharded = connections.topology === 'cluster'
  const channels = new Map<string, Channel>()
  const interrupted = new Set<() => void>()
  let retry: NodeJS.Timeout | undefined
  let stopped = false
  let replaced = createDeferred()
  let client = attach()

  function attach (): RedisClient {
    const attached = connections.open({ maxRetriesPerRequest: null })
    let ready = 0
    attached.on(sharded ? 'smessage' : 'message', hear)
    if (!sharded) readMessages(attached as Redis, hear)
    // On a Cluster the event comes with every new map of slots: what a primary published while it took a slot over reached nobody here.
    attached.on(sharded ? 'subscribersReady' : 'ready', () => {
      if (ready++ > 0 && attached === client) void mend()
    })
    attached.once('end', () => {
      if (attached !== client || stopped) return
      log.warn({ event: 'feed_ended' }, 'the subscriber connection ended for good; another one is made')
      rebuildSoon()
    })
    return attached
  }

  function hear (name: string, text: string): void {
    const channel = channels.get(name)
    if (channel === undefined) return
    let message: unknown
    try {
      message = channel.decode(text)
    } catch (error) {
      log.error({ event: 'feed_unreadable', channel: name, err: error }, 'a message of a channel cannot be read: is a newer gateway running?')
      return
    }
    for (const listener of channel.listeners) listener(message as never)
  }

  function interrupt (): void {
    for (const listener of interrupted) listener()
  }

  /** What waited on a client that was replaced is asked of the new one. */
  async function tell (name: string, subscribing: boolean): Promise<void> {
    for (;;) {
      const used = client
      try {
        if (sharded) await (subscribing ? (used as Cluster).ssubscribe(name) : (used as Cluster).sunsubscribe(name))
        else await (subscribing ? (used as Redis).subscribe(name) : (used as Redis).unsubscribe(name))
        return
      } catch (error) {
        if (used === client && used.status === 'end') await replaced.promise
        if (stopped || used === client) throw error
      }
    }
  }

  function then (channel: Channel, step: () => Promise<void> | undefined): Promise<unknown> {
    channel.confirmed = channel.confirmed.catch(() => {}).then(step)
    channel.confirmed.catch(() => {}) // told to whoever waits for it
    return channel.confirmed
  }

  /** ioredis subscribes again when a connection is back, and does not say when that is done; commands of a connection keep their order. */
  async function mend (): Promise<void> {
    const mended = client
    try {
      await Promise.all(fences.map(async (name) => {
        await tell(name, true)
        await tell(name, false)
      }))
    } catch (error) {
      if (mended !== client || stopped) return
      log.warn({ event: 'feed_not_mended', err: error }, 'channels could not be subscribed again; the subscriber connection is replaced')
      rebuildSoon()
      return
    }
    if (mended === client && !stopped) interrupt()
  }

  function rebuild (): void {
    if (stopped) return
    clearTimeout(retry)
    const old = client
    const fresh = client = attach()
    old.disconnect()
    replaced.resolve()
    replaced = createDeferred()
    const asked = [...channels].map(([name, channel]) => then(channel, () => channel.listeners.size > 0 ? tell(name, true) : undefined))
    Promise.all(asked).then(() => {
      if (fresh === client && !stopped) interrupt()
    }, (error: unknown) => {
      if (fresh !== client || stopped) return
      log.warn({ event: 'feed_not_rebuilt', err: error }, 'channels could not be subscribed on a new connection; trying again')
      rebuildSoon()
    })
  }

  function rebuildSoon (): void {
    clearTimeout(retry)
    retry = setTimeout(rebuild, retry_ms * (0.5 + Math.random()))
  }

  function add<M> (name: string, decode: (text: string) => M, listener: (message: M) => void): Subscription {
    const channel: Channel = channels.get(name) ?? { decode, listeners: new Set(), confirmed: Promise.resolve() }
    channels.set(name, channel)
    channel.listeners.add(listener)
    if (channel.listeners.size === 1) void then(channel, () => tell(name, true)).catch(() => {})
    const leave = (): void => {
      if (!channel.listeners.delete(listener) || channel.listeners.size > 0) return
      void then(channel, async () => {
        if (channel.listeners.size > 0) return
        try {
          await tell(name, false)
        } finally {
          if (channel.listeners.size === 0) channels.delete(name)
        }
      }).catch(() => {})
    }
    return { confirmed: channel.confirmed, leave }
  }

  return {
    add,
    async subscribe (name, decode, listener) {
      const { confirmed, leave } = add(name, decode, listener)
      try {
        await confirmed
      } catch (error) {
        leave()
        throw error
      }
      return leave
    },
    onInterrupted (listener) {
      interrupted.add(listener)
      return () => { interrupted.delete(listener) }
    },
    mend () { void mend() },
    rebuild,
    ownerOf: (slot) => sharded ? (client as Cluster).slots[slot]?.[0] ?? '' : '',
    refreshOwners () { if (sharded) (client as Cluster).refreshSlotsCache() },
    stop () {
      stopped = true
      replaced.resolve()
      clearTimeout(retry)
      interrupted.clear()
    }
  }
}
