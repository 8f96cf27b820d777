// A wire that can be cut: a TCP proxy that passes everything on, until it is told to hold it back or to reset who is connected.

import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Proxy {
  readonly port: number
  /** Nothing passes any more, and nobody is told: what is sent stands in buffers. New connections are taken and get nothing. */
  stall (): void
  /** What stood goes on. */
  pass (): void
  /** RST to both ends of every connection. */
  reset (): void
  close (): void
}

export async function startProxy (target: number): Promise<Proxy> {
  const pairs = new Set<[Socket, Socket]>()
  let stalled = false
  const server = createServer(near => {
    const far = connect({ host: '127.0.0.1', port: target })
    const pair: [Socket, Socket] = [near, far]
    pairs.add(pair)
    for (const [from, to] of [pair, [far, near]] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => { if (!to.write(chunk)) from.pause() })
      to.on('drain', () => { if (!stalled) from.resume() })
      from.on('end', () => to.end())
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (stalled) from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const each = (act: (socket: Socket) => void): void => { for (const pair of [...pairs]) pair.forEach(act) }
  return {
    port: (server.address() as AddressInfo).port,
    stall () {
      stalled = true
      each(socket => socket.pause())
    },
    pass () {
      stalled = false
      each(socket => socket.resume())
    },
    // libuv does not reset what is being shut down, and Node would keep its handle for ever.
    reset () { each(socket => { if (socket.writableEnded) socket.destroy(); else socket.resetAndDestroy() }) },
    close () {
      each(socket => socket.destroy())
      server.close()
    }
  }
}
