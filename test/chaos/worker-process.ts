// A worker of a run as a process of its own, so that it can die. Its parent tells it what to do and hears how far it is; when
// the parent is gone, so is the worker.

import { randomOf, type Plan } from './plan.ts'
import { recall } from './recall.ts'
import { work } from './workers.ts'

/** What it is told first. Anything after it means: stop. */
export interface Assignment {
  plan: Plan
  redis_url: string
  gateway_urls: string[]
  token: string
  /** It goes on where another one died. */
  replaces: boolean
  seed: number
}

export type WorkerWord = { job: string, items: number } | { refused: string[] }

const say = (word: WorkerWord): void => { if (process.connected) process.send?.(word) }

async function begin ({ plan, redis_url, gateway_urls: urls, token, replaces, seed }: Assignment): Promise<void> {
  const random = randomOf(seed)
  let over = false
  process.on('message', () => { over = true })
  const stopped = (): boolean => over
  const url = (): string => urls[Math.floor(random() * urls.length)] ?? ''
  const refused = await work({
    plan,
    redis_url,
    onDone: (job, items) => say({ job, items }),
    stopped,
    ...(replaces ? { recall: job => recall({ job, url, token, stopped }) } : {})
  })
  say({ refused })
  process.disconnect()
}

process.once('message', (assignment: Assignment) => { void begin(assignment) })
process.once('disconnect', () => process.exit())
