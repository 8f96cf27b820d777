// Sockets that do not keep the process alive: a worker that has nothing else to do ends.

import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { AbstractConnector, Cluster, Redis, type RedisOptions } from 'ioredis'

/**
 * For the nodes of a Cluster. It makes connections that nobody outside hears of (one a primary, for its channels), and some of those
 * come into being while it is being closed; so each is let loose where it is made.
 */
class LooseConnector extends AbstractConnector {
  readonly #options: RedisOptions

  constructor (options: unknown) {
    const known = options as RedisOptions
    super(known.disconnectTimeout ?? 0)
    this.#options = known
  }

  override async connect (): Promise<Socket> {
    const { host = 'localhost', port = 6379, tls } = this.#options
    this.connecting = true
    await new Promise(process.nextTick) // as ioredis itself: who asks listens first
    if (!this.connecting) throw new Error('closed before it was connected')
    const stream = tls === undefined ? connectTcp({ host, port }) : connectTls({ host, port, ...tls as ConnectionOptions })
    stream.once('error', error => { this.firstError = error })
    this.stream = stream
    return stream.unref()
  }
}

/** What a Cluster gives to the connections it makes. */
export const LOOSE_NODES: Pick<RedisOptions, 'Connector'> = { Connector: LooseConnector }

/** A single Redis and Sentinel tell of each of their sockets. */
export function letLoose (client: Redis | Cluster): void {
  if (client instanceof Redis) client.on('connect', () => { (client.stream as Socket).unref() })
}
