// Channels of jobs: one subscriber client, many listeners a channel. Plain pub/sub, or sharded on a Cluster.

import type { Connections, Log } from './connections.ts'
import type { Keys } from './keys.ts'
import { decodeMessage } from './packed.ts'
import type { FeedMessage } from './packed.ts'

export type FeedListener = (message: FeedMessage) => void

export interface Feed {
  /** Resolves once Redis has confirmed: whatever is published from then on reaches the listener. */
  subscribe (tenant: string, id: string, listener: FeedListener): Promise<() => void>
  /** The subscriber connection was lost and is back: messages may be missing, every watched job is to be read again. */
  onInterrupted (listener: () => void): () => void
}

interface Channel {
  listeners: Set<FeedListener>
  /** Settles with the last command about this channel, so that commands keep their order. */
  confirmed: Promise<unknown>
}

export function createFeed ({ connections, keys, log }: { connections: Connections, keys: Keys, log: Log }): Feed {
  const sharded = connections.topology === 'cluster'
  const client = connections.open({ maxRetriesPerRequest: null })
  const channels = new Map<string, Channel>()
  const interrupted = new Set<() => void>()
  let ready = 0

  const interrupt = (): void => {
    for (const listener of interrupted) listener()
  }
  client.on(sharded ? 'smessage' : 'message', (name: string, text: string) => {
    const channel = channels.get(name)
    if (channel === undefined) return
    let message: FeedMessage
    try {
      message = decodeMessage(text)
    } catch (error) {
      log.error({ event: 'feed_unreadable', channel: name, err: error }, 'a message of a job\'s channel cannot be read: is a newer gateway running?')
      return
    }
    for (const listener of channel.listeners) listener(message)
  })
  client.on('ready', () => {
    if (ready++ > 0) interrupt()
  })
  if (sharded) {
    for (const event of ['+node', '-node', 'subscriberConnected']) client.on(event, () => { if (ready > 0) interrupt() })
  }

  return {
    async subscribe (tenant, id, listener) {
      const name = keys.job(tenant, id).key
      const channel = channels.get(name) ?? { listeners: new Set(), confirmed: Promise.resolve() }
      channels.set(name, channel)
      channel.listeners.add(listener)
      if (channel.listeners.size === 1) {
        channel.confirmed = channel.confirmed.catch(() => {}).then(() => sharded ? client.ssubscribe(name) : client.subscribe(name))
      }
      const leave = (): void => {
        if (!channel.listeners.delete(listener) || channel.listeners.size > 0) return
        channel.confirmed = channel.confirmed.catch(() => {}).then(async () => {
          if (channel.listeners.size > 0) return
          channels.delete(name)
          await (sharded ? client.sunsubscribe(name) : client.unsubscribe(name))
        })
        channel.confirmed.catch(() => {})
      }
      try {
        await channel.confirmed
      } catch (error) {
        leave()
        throw error
      }
      return leave
    },
    onInterrupted (listener) {
      interrupted.add(listener)
      return () => { interrupted.delete(listener) }
    }
  }
}
