// All jobs that one worker watches over HTTP: a stream each, and what replies to its reports say besides.

import type { Log } from '../engine/connections.ts'
import { errorOf } from './http-answers.ts'
import { readStream } from './http-stream.ts'
import { createHttpWatch } from './http-watch.ts'
import type { HttpWatch } from './http-watch.ts'
import type { JobControl, JobNews, JobWatch } from './transport.ts'

export interface HttpWatchesParams {
  base: URL
  request: (tenant: string, path: string, init: { method: string }) => Promise<Response>
  authorization: (tenant: string) => Promise<Record<string, string>>
  log: Log
}

export interface HttpWatches {
  watch (tenant: string, job: string, tell: (news: JobNews) => void): JobWatch
  /** A reply told how a job stands. */
  hint (tenant: string, job: string, control: JobControl): void
  close (): void
}

export function createHttpWatches ({ base, request, authorization, log }: HttpWatchesParams): HttpWatches {
  const watches = new Map<string, Set<HttpWatch>>()
  let lastTrouble = ''
  let closed = false

  function onTrouble (error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (closed || message === lastTrouble) return
    lastTrouble = message
    log.warn({ event: 'watch_failed', err: error }, `jobs cannot be watched at ${base.host} right now: ${message}`)
  }

  async function get<T> (tenant: string, path: string): Promise<T> {
    const response = await request(tenant, path, { method: 'GET' })
    if (!response.ok) throw errorOf(response.url, response.status, await response.text())
    return await response.json() as T
  }

  return {
    watch (tenant, jobId, tell) {
      const key = `${tenant}/${jobId}`
      const made = createHttpWatch({
        job_id: jobId,
        asked_at: performance.now(),
        get: path => get(tenant, path),
        async stream (path, signal, onOpen, onEvent) {
          const url = new URL(path, base)
          const refused = await readStream({ url, headers: await authorization(tenant), signal, onOpen, onEvent })
          // 204: the job had ended at the position asked for.
          if (refused !== null && refused.status !== 204) throw errorOf(url.href, refused.status, refused.body)
        },
        tell,
        onTrouble
      })
      const those = watches.get(key) ?? new Set()
      watches.set(key, those.add(made))
      return {
        ready: made.ready,
        close () {
          made.close()
          those.delete(made)
          if (those.size === 0) watches.delete(key)
        }
      }
    },

    hint (tenant, job, control) {
      for (const watch of watches.get(`${tenant}/${job}`) ?? []) watch.hint(control)
    },

    close () {
      closed = true
      for (const those of watches.values()) for (const watch of those) watch.close()
      watches.clear()
    }
  }
}
