// A process that is started again when it dies, as an orchestrator would.

import { setTimeout as delay } from 'node:timers/promises'
import type { Child } from './children.ts'

const RESTART_AFTER_MS = 1000
/** Then it is not an accident any more. */
const RESTARTS_MAX = 20

export interface KeptChildOptions {
  child: Child
  /** Starts another one. */
  launch: () => Child
  /** For messages. */
  title: string
  /** What is said of the others when it has died. */
  meanwhile: string
  log_file: string
  say: (line: string) => void
  /** True when its end is wanted. */
  stopping: () => boolean
}

export function keepRunning (options: KeptChildOptions, restartsLeft = RESTARTS_MAX): void {
  const { child, launch, title, meanwhile, log_file: file, say, stopping } = options
  void child.ended.then(async how => {
    if (stopping()) return
    if (restartsLeft === 0) return say(`${title} ended with ${how} once more and stays down; see ${file}`)
    say(`${title} ended with ${how}; ${meanwhile}, this one starts again`)
    await delay(RESTART_AFTER_MS)
    if (!stopping()) keepRunning({ ...options, child: launch() }, restartsLeft - 1)
  })
}
