// A Redis of our own for `npm start`: a child on a free port of the loopback interface, with a password, its data in
// an append-only file. The settings stand on its standard input, so that no process list shows the password.

import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Child, Children } from './children.ts'
import { DemoError } from './demo-error.ts'
import { anyFreePort } from './free-port.ts'

const HOST = '127.0.0.1'
const VERSION_MIN = 7
/** To start, and to load what an earlier run left. */
const READY_WITHIN_MS = 15_000
/** A Redis of an earlier run is on its way out for at most this long (see guard.sh). */
const PREDECESSOR_GONE_WITHIN_MS = 8000
const POLL_MS = 50
const PORT_TRIES = 3

export interface PrivateRedis {
  /** With the password. */
  url: string
  port: number
  child: Child
}

export interface PrivateRedisOptions {
  /** Full path of redis-server or valkey-server. */
  program: string
  /** Made when absent; one Redis at a time. */
  data_folder: string
  log_file: string
  children: Children
}

/** @throws DemoError when the program is too old, does not answer in time, or a predecessor holds the folder */
export async function startPrivateRedis (options: PrivateRedisOptions): Promise<PrivateRedis> {
  checkVersion(options.program)
  mkdirSync(options.data_folder, { recursive: true })
  await predecessorGone(options.data_folder)
  for (let attempt = 1; ; attempt++) {
    const port = await anyFreePort(HOST)
    const password = randomBytes(24).toString('hex')
    const child = options.children.start({
      name: 'Redis',
      command: options.program,
      args: ['-'],
      input: settings(port, password, options.data_folder),
      log_file: options.log_file
    })
    const problem = await ready(child, port, password)
    if (problem === null) return { url: `redis://:${password}@${HOST}:${port}`, port, child }
    await child.stop()
    if (attempt === PORT_TRIES) throw new DemoError(`${options.program} on port ${port}: ${problem}; its words are in ${options.log_file}`)
  }
}

function settings (port: number, password: string, folder: string): string {
  const lines = [
    `bind ${HOST}`,
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${JSON.stringify(folder)}`,
    `pidfile ${JSON.stringify(pidFile(folder))}`,
    'daemonize no',
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'hash-max-listpack-value 4096' // a job's chunks and pages stay compact: a third of the memory
  ]
  return lines.join('\n') + '\n'
}

function pidFile (folder: string): string {
  return join(folder, 'redis.pid')
}

function checkVersion (program: string): void {
  const words = execFileSync(program, ['--version'], { encoding: 'utf8' })
  const major = Number(/v=(\d+)/.exec(words)?.[1])
  if (!(major >= VERSION_MIN)) throw new DemoError(`${program} is too old: ${words.trim()}; Headway needs ${VERSION_MIN} or newer`)
}

/** Two servers on one append-only file would spoil it. */
async function predecessorGone (folder: string): Promise<void> {
  for (let waited = 0; ; waited += POLL_MS) {
    const pid = readPid(folder)
    if (pid === null || !isServer(pid)) return
    if (waited >= PREDECESSOR_GONE_WITHIN_MS) throw new DemoError(`a Redis (pid ${pid}) still uses ${folder}; stop it: kill ${pid}`)
    await delay(POLL_MS)
  }
}

function readPid (folder: string): number | null {
  try {
    const pid = Number(readFileSync(pidFile(folder), 'utf8'))
    return Number.isInteger(pid) && pid > 1 ? pid : null
  } catch {
    return null
  }
}

/** A pid from an old file may belong to anything by now. */
function isServer (pid: number): boolean {
  try {
    return /redis|valkey/.test(execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }))
  } catch {
    return false
  }
}

/** @returns null when it answers, else what is wrong */
async function ready (child: Child, port: number, password: string): Promise<string | null> {
  let end: string | null = null
  void child.ended.then(how => { end = how })
  for (let waited = 0; waited < READY_WITHIN_MS; waited += POLL_MS) {
    if (end !== null) return `ended with ${String(end)}`
    if (await answers(port, password)) return null
    await delay(POLL_MS)
  }
  return `did not answer within ${READY_WITHIN_MS} ms`
}

function answers (port: number, password: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: HOST, port }, () => { socket.write(`AUTH ${password}\r\nPING\r\n`) })
    let heard = ''
    const finish = (good: boolean): void => {
      socket.destroy()
      resolve(good)
    }
    socket.setTimeout(1000, () => { finish(false) })
    socket.on('error', () => { finish(false) })
    socket.on('close', () => { finish(false) })
    socket.on('data', chunk => {
      heard += chunk.toString('latin1')
      if (heard.includes('+PONG')) finish(true)
      else if (heard.includes('-LOADING')) finish(false)
    })
  })
}
