// Free TCP ports. The kernel chooses them; all are held until the last is known, so one call never gives the same twice.

import { createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'

/** Another process may still take one before it is used: who binds it must be ready to try again. */
export async function freePorts (count: number): Promise<number[]> {
  const servers: Server[] = []
  for (let n = 0; n < count; n++) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
