// Ports that nobody listens on. Another process may take one between the look and the use: who starts the server
// behind it must be ready to hear that it is taken.

import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { DemoError } from './demo-error.ts'

/** Ports looked at above the wanted one. */
const TRIES = 100

/** @returns any port that is free on this host */
export function anyFreePort (host: string): Promise<number> {
  return tryPort(host, 0).then(port => {
    if (port === null) throw new Error(`no free port on ${host}`)
    return port
  })
}

/**
 * @param taken ports that are promised to others already
 * @returns `wanted`, or the next one above it that is free
 */
export async function freePortFrom (host: string, wanted: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = wanted; port < wanted + TRIES && port < 65536; port++) {
    if (!taken.has(port) && await tryPort(host, port) !== null) return port
  }
  throw new DemoError(`no free port from ${wanted} to ${wanted + TRIES - 1} on ${host}`)
}

/** Listens on `wanted`, or the next one above it that is free: nobody can take it in between. */
export async function listenFrom (server: Server, host: string, wanted: number): Promise<void> {
  for (let port = wanted; port < wanted + TRIES; port++) {
    server.listen({ host, port, exclusive: true })
    const problem = await once(server, 'listening').then(() => null, (error: NodeJS.ErrnoException) => error)
    if (problem === null) return
    if (problem.code !== 'EADDRINUSE') throw problem
  }
  throw new DemoError(`no free port from ${wanted} to ${wanted + TRIES - 1} on ${host}`)
}

function tryPort (host: string, port: number): Promise<number | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(null) })
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address()
      server.close(() => { resolve(typeof address === 'object' && address !== null ? address.port : null) })
    })
  })
}
