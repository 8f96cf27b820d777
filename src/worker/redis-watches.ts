// All jobs that one worker watches straight in Redis: one subscriber connection, made with the first of them, and a look at every
// job each 2 s. A silent channel proves nothing, and a user's pause must not be missed.

import type { Connections, Log } from '../engine/connections.ts'
import { createFeed } from '../engine/feed.ts'
import type { OwnFeed } from '../engine/feed.ts'
import type { Keys } from '../engine/keys.ts'
import { createReadPosition } from '../engine/positions.ts'
import type { ReadPosition } from '../engine/positions.ts'
import { createReads } from '../engine/reads.ts'
import type { Reads } from '../engine/reads.ts'
import { createRedisWatch } from './redis-watch.ts'
import type { RedisWatch } from './redis-watch.ts'
import type { JobNews, JobWatch } from './transport.ts'

export interface RedisWatchesParams {
  connections: Connections
  /** Resolves when the deployment is known. */
  keys: Promise<Keys>
  log: Log
  /** Between two looks. */
  poll_ms?: number | undefined
}

export interface RedisWatches {
  watch (tenant: string, job: string, tell: (news: JobNews) => void): JobWatch
  close (): void
}

const POLL_MS = 2_000
/** What Redis has published already comes on another connection: so long it may take to arrive before it counts as missed. */
const ARRIVAL_MS = 50

export function createRedisWatches ({ connections, keys, log, poll_ms: pollMs = POLL_MS }: RedisWatchesParams): RedisWatches {
  const watches = new Set<RedisWatch>()
  let parts: Promise<{ feed: OwnFeed, reads: Reads, readPosition: ReadPosition }> | undefined
  let timer: NodeJS.Timeout | undefined
  let lastTrouble = ''
  let closed = false

  function onTrouble (error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (closed || message === lastTrouble) return
    lastTrouble = message
    log.warn({ event: 'watch_failed', err: error }, `jobs cannot be watched in Redis right now, tried again: ${message}`)
  }

  function open (): NonNullable<typeof parts> {
    parts ??= keys.then(found => {
      const common = { connections, keys: found }
      const feed = createFeed({ ...common, log })
      feed.onInterrupted(() => { for (const watch of watches) watch.recheck() })
      if (closed) feed.stop()
      else void feed.start()
      scheduleLook()
      return { feed, reads: createReads(common), readPosition: createReadPosition(common) }
    })
    return parts
  }

  function scheduleLook (): void {
    if (!closed) timer = setTimeout(() => { void look().finally(scheduleLook) }, pollMs).unref()
  }

  async function look (): Promise<void> {
    const { readPosition } = await open()
    await Promise.all([...watches].map(async watch => {
      try {
        const stored = await readPosition(watch.tenant, watch.job_id)
        setTimeout(() => watch.compare(stored), ARRIVAL_MS).unref()
      } catch (error) {
        onTrouble(error)
      }
    }))
  }

  return {
    watch (tenant, jobId, tell) {
      let made: RedisWatch | undefined
      let over = false
      const askedAt = performance.now()
      const opened = open().then(({ feed, reads }) => {
        if (over || closed) return
        made = createRedisWatch({ tenant, job_id: jobId, asked_at: askedAt, feed, reads, tell, onTrouble })
        watches.add(made)
        return made.ready
      })
      opened.catch(onTrouble)
      return {
        ready: opened,
        close () {
          over = true
          if (made === undefined) return
          watches.delete(made)
          made.close()
        }
      }
    },

    close () {
      closed = true
      clearTimeout(timer)
      for (const watch of watches) watch.close()
      watches.clear()
      parts?.then(({ feed }) => feed.stop(), () => {})
    }
  }
}
