// A few threads that compress, each one file at a time.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { CompressOutcome, CompressTask, ThreadMessage } from './compress.ts'

export interface CompressPool {
  readonly threads: number
  /**
   * Takes a free thread; the caller never has more than `threads` tasks out.
   *
   * @param progress gets the percent done, 0–100, now and then
   * @returns null when the pool was stopped before the end
   */
  run (task: CompressTask, progress: (percent: number) => void): Promise<CompressOutcome | null>
  /** Ends the threads and what they are at. */
  stop (): Promise<void>
}

export function createCompressPool (threads: number): CompressPool {
  const all = Array.from({ length: threads }, () => new Worker(new URL('compress.ts', import.meta.url)))
  const free = [...all]
  let stopped = false
  for (const thread of all) thread.setMaxListeners(20)

  return {
    threads,
    async run (task, progress) {
      if (stopped) return null
      const thread = free.pop()
      if (thread === undefined) throw new Error(`all ${threads} threads are at work`)
      const outcome = await runOn(thread, task, progress)
      free.push(thread)
      return outcome
    },
    async stop () {
      stopped = true
      await Promise.all(all.map(async thread => await thread.terminate()))
    }
  }
}

async function runOn (thread: Worker, task: CompressTask, progress: (percent: number) => void): Promise<CompressOutcome | null> {
  const over = new AbortController()
  const exit = once(thread, 'exit', { signal: over.signal }).then(() => null, () => null)
  const outcome = new Promise<CompressOutcome>((resolve, reject) => {
    thread.on('message', hear)
    thread.once('error', reject)
    over.signal.addEventListener('abort', () => {
      thread.off('message', hear)
      thread.off('error', reject)
    })
    function hear (message: ThreadMessage): void {
      if ('outcome' in message) resolve(message.outcome)
      else progress(message.percent)
    }
  })
  thread.postMessage(task)
  try {
    return await Promise.race([outcome, exit])
  } finally {
    over.abort()
  }
}
