// One `npm start` a project folder at a time: whoever listens on the folder's Unix socket is the one. The kernel lets
// go of it when the process dies, so neither a crash nor a reused pid leaves a wrong answer behind.

import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Until another one's answer. */
const ANSWER_WITHIN_MS = 1000

export interface OnlyOnce {
  /** Told to whoever else tries. */
  announce (text: string): void
  release (): void
}

/** @returns the hold on `folder`, or what the process that has it announced */
export async function holdFolder (folder: string): Promise<OnlyOnce | { taken: string }> {
  // A socket's path may have about 100 characters; a project's folder may be deeper.
  const path = join(tmpdir(), `headway-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}.sock`)
  const other = await ask(path)
  if (other !== null) return { taken: other }
  rmSync(path, { force: true }) // nobody answers: left by a process that was killed
  let text = 'starting'
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end(text)
  })
  await listen(server, path)
  server.unref()
  return {
    announce (line) { text = line },
    release () { server.close() }
  }
}

function ask (path: string): Promise<string | null> {
  return new Promise(resolve => {
    const socket = connect(path)
    let heard = ''
    socket.setTimeout(ANSWER_WITHIN_MS, () => { socket.end(); resolve(heard) })
    socket.on('data', chunk => { heard += chunk.toString('utf8') })
    socket.on('end', () => { resolve(heard) })
    socket.on('error', () => { resolve(null) })
  })
}

function listen (server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => { resolve() })
  })
}
