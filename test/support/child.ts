// A child process that cannot outlive the test: it is killed when this process exits, by whatever way that can be seen.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const FATAL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface GuardedChild {
  readonly pid: number
  /** What it has written so far, at most the last 16 KiB. */
  output (): string
  /** True until the process has ended. */
  running (): boolean
  /** Sends the signal and resolves when the process is gone. Idempotent. */
  end (signal?: NodeJS.Signals): Promise<void>
}

export interface ChildOptions {
  cwd?: string
  /** Another user, when this one is root. */
  uid?: number
  gid?: number
}

/** @throws Error when the command cannot be started at all */
export async function spawnGuarded (command: string, args: readonly string[], options: ChildOptions = {}): Promise<GuardedChild> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  await once(child, 'spawn')
  let output = ''
  const keep = (chunk: Buffer): void => { output = (output + chunk.toString()).slice(-16_384) }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)

  const running = (): boolean => child.exitCode === null && child.signalCode === null
  const killNow = (): void => { if (running()) child.kill('SIGKILL') }
  // A signal that nobody hears ends the process without its `exit` event, and the child would stay.
  const exit = (): void => process.exit(1)
  const unguard = (): void => {
    process.off('exit', killNow)
    for (const signal of FATAL_SIGNALS) process.off(signal, exit)
    process.setMaxListeners(process.getMaxListeners() - 1)
  }
  // One listener a child is meant here, so the warning about leaks is moved out of the way.
  process.setMaxListeners(process.getMaxListeners() + 1)
  process.on('exit', killNow)
  for (const signal of FATAL_SIGNALS) process.on(signal, exit)
  child.once('exit', unguard)

  return {
    pid: child.pid as number,
    output: () => output,
    running,
    async end (signal = 'SIGTERM') {
      if (!running()) return
      const gone = once(child, 'exit')
      child.kill(signal)
      // A stopped or stuck child does not hear a polite signal.
      const timer = setTimeout(killNow, 5_000)
      await gone
      clearTimeout(timer)
    }
  }
}
