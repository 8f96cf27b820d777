// The workers of a run as processes: each does some of the jobs, reaches Redis through a wire of its own, and can be killed and
// replaced.

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Plan } from './plan.ts'
import { startProxy, type Proxy } from './proxy.ts'
import type { Assignment, WorkerWord } from './worker-process.ts'

const PROGRAM = fileURLToPath(new URL('./worker-process.ts', import.meta.url))
const WORKERS = 2

export interface WorkerHandle {
  readonly name: string
  /** Between it and Redis. */
  readonly wire: Proxy
  /** SIGKILL; resolves when it is gone, and nothing that it sent is under way any more. */
  kill (): Promise<void>
  /** Another one takes its jobs. */
  replace (): void
}

export interface WorkerPool {
  readonly workers: readonly WorkerHandle[]
  /** Lets all end in peace. @returns what the SDK refused to send */
  stop (): Promise<string[]>
  /** At once. */
  close (): void
}

export interface WorkerPoolParams extends Omit<Assignment, 'replaces' | 'redis_url'> {
  redis_url: string
  onDone: (job: string, items: number) => void
}

export async function startWorkerPool ({ onDone, ...assignment }: WorkerPoolParams): Promise<WorkerPool> {
  const refused: string[] = []
  const children: ChildProcess[] = []
  const { port } = new URL(assignment.redis_url)
  const wires = await Promise.all(Array.from({ length: WORKERS }, () => startProxy(Number(port))))

  function start (n: number, replaces: boolean): void {
    const jobs = assignment.plan.jobs.filter((_, m) => m % WORKERS === n)
    const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.on('message', (word: WorkerWord) => {
      if ('job' in word) onDone(word.job, word.items)
      else refused.push(...word.refused)
    })
    child.on('error', () => {}) // a word to one that is gone
    const plan: Plan = { ...assignment.plan, jobs }
    child.send({ ...assignment, plan, redis_url: `redis://127.0.0.1:${wires[n]?.port}`, replaces } satisfies Assignment)
    children[n] = child
  }
  for (let n = 0; n < WORKERS; n++) start(n, false)

  const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null
  return {
    workers: wires.map((wire, n) => ({
      name: `worker ${n}`,
      wire,
      async kill () {
        const child = children[n] as ChildProcess
        if (isRunning(child)) {
          const gone = once(child, 'exit')
          child.kill('SIGKILL')
          await gone
        }
        wire.reset()
      },
      replace: () => start(n, true)
    })),
    async stop () {
      await Promise.all(children.map(async child => {
        if (!isRunning(child)) return
        const gone = once(child, 'exit')
        child.send('stop')
        await gone
      }))
      return refused
    },
    close () {
      for (const child of children) child.kill('SIGKILL')
      for (const wire of wires) wire.close()
    }
  }
}
