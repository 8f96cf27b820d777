// What a benchmark asks of the machine: a core for the server and one for everybody else, enough open files, CPU and memory
// of a process. Linux only.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const SERVER_CORE = '0'
const OTHERS_CORE = '1'
/** USER_HZ of every Linux that Node runs on. */
const TICK_US = 10_000
const PIN_TRIES = 5

let pinned = false

/**
 * Moves this process, and so its future children, to the second core.
 * @param files open files that each process may need
 */
export function prepareMachine (files: number, say: (line: string) => void): void {
  // Again when it fails: one of this process's threads may have ended while it was at it.
  for (let tries = 0; !pinned && tries < PIN_TRIES && availableParallelism() >= 2; tries++) {
    try {
      execFileSync('taskset', ['-a', '-p', '-c', OTHERS_CORE, String(process.pid)], { stdio: 'ignore' })
      pinned = true
    } catch {}
  }
  if (!pinned) say('  nothing is pinned: this needs taskset and two cores; figures will spread')
  const soft = softLimit()
  if (soft >= files) return
  try {
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:${Math.max(files, hardLimit())}`], { stdio: 'ignore' })
  } catch {
    throw new Error(`this needs ${files} open files, the limit is ${soft}: raise it (ulimit -n ${files}, perhaps as root)`)
  }
}

function limits (): string[] {
  return /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.slice(1) ?? []
}
function softLimit (): number { return numberOf(limits()[0]) }
function hardLimit (): number { return numberOf(limits()[1]) }
function numberOf (limit: string | undefined): number { return limit === 'unlimited' ? Infinity : Number(limit ?? 0) }

/** The command line that runs a program on the server's core. */
export function onServerCore (command: string, args: readonly string[]): [string, string[]] {
  return pinned ? ['taskset', ['-c', SERVER_CORE, command, ...args]] : [command, [...args]]
}

/** CPU of a process with all its threads, µs, in steps of 10 ms. */
export function cpuUs (pid: number): number {
  // The name in parentheses may hold spaces.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

export function rssBytes (pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) * 1024
}

/** How long the core of generator, publisher and Redis has been busy, by whomever, µs: full, it is the limit of a measure. */
export function othersCoreUs (): number {
  const line = readFileSync('/proc/stat', 'utf8').split('\n').find((one) => one.startsWith(`cpu${OTHERS_CORE} `)) ?? ''
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').slice(1).map(Number)
  return [user, nice, system, irq, softirq, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * TICK_US
}
