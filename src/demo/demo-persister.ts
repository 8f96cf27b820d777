// The persister of the demo: what happens goes into the local Supabase.

import type { Child, Children } from './children.ts'
import { keepRunning } from './kept-child.ts'

export interface DemoPersisterOptions {
  headway: string
  /** REDIS_URL, and where to write. */
  env: Record<string, string>
  log_file: string
  children: Children
  say: (line: string) => void
  stopping: () => boolean
}

/** It waits for what it needs by itself. */
export function startDemoPersister ({ headway, env, log_file: file, children, say, stopping }: DemoPersisterOptions): void {
  const launch = (): Child => children.start({
    name: 'persister',
    command: process.execPath,
    args: [headway, 'persister'],
    env: { HEADWAY_INTERNAL_HOST: '127.0.0.1', HEADWAY_INTERNAL_PORT: '0', ...env },
    log_file: file
  })
  keepRunning({ child: launch(), launch, title: 'The persister', meanwhile: 'what it has not written waits in Redis', log_file: file, say, stopping })
}
