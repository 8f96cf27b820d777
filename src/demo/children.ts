// The processes that `npm start` adds. Each leads a process group of its own, so that a Ctrl-C in the terminal reaches
// the parent only and they stop in order; guard.sh ends them when the parent dies without stopping them.

import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** From SIGTERM to SIGKILL. */
const KILL_AFTER_MS = 4000

export interface ChildOptions {
  /** For messages. */
  name: string
  command: string
  args: readonly string[]
  env?: Record<string, string>
  /** File that takes what it prints, appended. */
  log_file: string
  /** Written to its standard input, then closed; absent = empty. */
  input?: string
  cwd?: string
  /** Another user, when this one is root. */
  uid?: number
  gid?: number
  /** What ends it in good order; absent = SIGTERM. */
  stop_signal?: NodeJS.Signals
  /** An IPC channel to the child, for `send` and `on('message')`. */
  ipc?: boolean
}

export interface Child {
  readonly name: string
  readonly process: ChildProcess
  /** Resolves when it has ended: how, in words such as `code 1` or `signal SIGKILL`. Never rejects. */
  readonly ended: Promise<string>
  /** SIGTERM or what it wants, then SIGKILL; resolves when it has ended. */
  stop (): Promise<void>
}

export interface Children {
  start (options: ChildOptions): Child
  /** A folder that is removed when this process dies before it has stopped the children; else whoever made it does. */
  guardFolder (folder: string): void
  /** Stops what is left, newest first, one after the other. */
  stop (): Promise<void>
  /** SIGKILL to everything, at once. */
  kill (): void
}

export function createChildren (): Children {
  const running = new Set<Child>()
  const guard = spawn('/bin/sh', [fileURLToPath(new URL('guard.sh', import.meta.url))], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true
  })
  guard.unref()
  guard.stdin.on('error', () => {}) // a guard that was killed guards nothing; the normal way to stop still works

  function start (options: ChildOptions): Child {
    const log = createWriteStream(options.log_file, { flags: 'a' })
    const child = launch(options, log)
    const pid = child.pid
    if (pid !== undefined) guard.stdin.write(`+ ${pid}\n`)
    const ended = new Promise<string>(resolve => {
      child.once('error', error => { resolve(error.message) })
      child.once('close', (code, signal) => { resolve(signal === null ? `code ${code}` : `signal ${signal}`) })
    })
    const entry: Child = { name: options.name, process: child, ended, stop: () => terminate(child, ended, options.stop_signal) }
    running.add(entry)
    void ended.then(() => {
      running.delete(entry)
      log.end()
      if (pid !== undefined) guard.stdin.write(`- ${pid}\n`)
    })
    return entry
  }

  return {
    start,
    guardFolder (folder) { guard.stdin.write(`d ${folder}\n`) },
    async stop () {
      for (const child of [...running].reverse()) await child.stop()
      guard.stdin.end()
    },
    kill () {
      for (const child of running) signalGroup(child.process, 'SIGKILL')
    }
  }
}

function launch (options: ChildOptions, log: WriteStream): ChildProcess {
  const { cwd, uid, gid } = options
  const account = uid === undefined || gid === undefined ? {} : { uid, gid }
  const child = spawn(options.command, options.args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...account,
    stdio: options.ipc === true ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    detached: true
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(options.input ?? '')
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  return child
}

async function terminate (child: ChildProcess, ended: Promise<string>, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  signalGroup(child, signal)
  const timer = setTimeout(() => { signalGroup(child, 'SIGKILL') }, KILL_AFTER_MS)
  await ended
  clearTimeout(timer)
}

function signalGroup (child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    child.kill(signal) // the group is gone or not ours to signal; the child alone then
  }
}
