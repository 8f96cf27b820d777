// The load generator (bench/loadgen, C): compiled when its source is newer than what lies in .headway/, then driven by lines.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const SOURCE = join(import.meta.dirname, '../loadgen')
const OUT = join(import.meta.dirname, '../../.headway')

/** Opening thousands of sockets on a busy machine. */
const ANSWER_MS_MAX = 30_000

export interface Count {
  /** Sockets open now; ended by the server or by a broken connection; never ready. */
  open: number
  ended: number
  failed: number
  reconnects: number
  /** Text frames and the bytes of their payloads. */
  frames: number
  bytes: number
  /** Messages that carried the next number of their connection. */
  advanced: number
  lost: number
  repeated: number
  snapshots: number
  /** Snapshots with reset: true. */
  resets: number
  /** The smallest last number of any connection. */
  least: number
  cpu_us: number
  at_ms: number
}

export interface Opened { ready: number, failed: number, ms: number }
export interface Storm { lost_sockets: number, live: number, p50_ms: number, p95_ms: number, max_ms: number }
export type Speech = 'plain' | 'headway' | 'socketio'

export interface LoadGenerator {
  open (from: number, to: number, atOnce?: number): Promise<Opened>
  close (from: number, to: number): Promise<void>
  /** From now on who loses its connection comes back, at that port, with its cursor. */
  resume (port: number, jitterMs: number): Promise<void>
  storm (): Promise<Storm>
  count (): Promise<Count>
  end (): Promise<void>
}

/** @throws Error when there is no compiler */
function build (): string {
  const program = join(OUT, 'loadgen')
  const sources = readdirSync(SOURCE).map((name) => join(SOURCE, name))
  const built = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (sources.every((file) => statSync(file).mtimeMs < built)) return program
  mkdirSync(OUT, { recursive: true })
  try {
    execFileSync('gcc', ['-O2', '-Wall', '-o', program, ...sources.filter((file) => file.endsWith('.c'))], { stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('the load generator needs a C compiler: apt-get install gcc libc6-dev', { cause: error })
  }
  return program
}

export interface LoadOptions {
  port: number
  /** A request path for each connection. */
  paths: readonly string[]
  speech: Speech
  /** What stands before a message's number. */
  marker: '"seq":' | '"n":'
  protocol?: string
}

let started = 0

export async function startLoad ({ port, paths, speech, marker, protocol = '' }: LoadOptions): Promise<LoadGenerator> {
  const program = build()
  const file = join(OUT, `paths-${process.pid}-${started++}.txt`)
  writeFileSync(file, paths.join('\n') + '\n')
  const child = spawn(program, [String(port), file, speech, marker, protocol], { stdio: ['pipe', 'pipe', 'inherit'] })
  const kill = (): void => { child.kill('SIGKILL') }
  process.once('exit', kill)
  await once(child, 'spawn')
  const waiting: { resolve: (line: string) => void, reject: (error: Error) => void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line))
  child.once('exit', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the load generator ended with ${code}`))
  })
  child.stdin.on('error', () => {})

  async function ask<T> (command: string): Promise<T> {
    if (child.exitCode !== null) throw new Error(`the load generator ended with ${child.exitCode}`)
    let timer: NodeJS.Timeout | undefined
    try {
      return JSON.parse(await new Promise<string>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`the load generator did not answer within ${ANSWER_MS_MAX} ms: ${command}`)), ANSWER_MS_MAX)
        waiting.push({ resolve, reject })
        child.stdin.write(command + '\n')
      })) as T
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    open: (from, to, atOnce = 64) => ask(`open ${from} ${to} ${atOnce}`),
    close: async (from, to) => { await ask(`close ${from} ${to}`) },
    resume: async (resumePort, jitterMs) => { await ask(`resume ${resumePort} ${jitterMs}`) },
    storm: () => ask('storm'),
    count: () => ask('count'),
    async end () {
      process.off('exit', kill)
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
  }
}
