// Keeps a stream of a job's events open until the job is over: behind the last event heard, on whichever gateway answers.

import { setTimeout as delay } from 'node:timers/promises'
import { HeadwayError } from '../protocol/errors.ts'
import { WAIT_MS_MAX } from '../protocol/limits.ts'
import type { StreamEvent } from '../protocol/event-stream.ts'

/**
 * One stream. Resolves when it has ended.
 * @throws HeadwayError what the server says; any other error: the line broke
 */
export type OpenStream = (path: string, signal: AbortSignal, onOpen: () => void, onEvent: (event: StreamEvent) => void) => Promise<void>

export interface LineParams {
  path: string
  stream: OpenStream
  /** Cursor to go on from; null = from a snapshot. */
  since: () => string | null
  onEvent: (event: StreamEvent) => void
  /** The job is not there; it is waited for. */
  onUnknown: () => void
  /** Tried again. */
  onFailure: (error: unknown) => void
  /** Not tried again: no other token is to be had. */
  onRefused: (error: HeadwayError) => void
  isOver: () => boolean
}

export interface Line {
  /** Events can be heard now. */
  readonly open: boolean
  /** What is heard cannot be trusted: another stream, from `since`. */
  reopen (): void
  close (): void
}

const RETRY_MS = { min: 100, max: 5_000 }

export function createLine ({ path, stream, since, onEvent, onUnknown, onFailure, onRefused, isOver }: LineParams): Line {
  let current = new AbortController()
  const closing = new AbortController()
  let open = false

  async function listen (): Promise<void> {
    // A job that is not there yet is told at once, and waited for then.
    for (let [failures, waitMs] = [0, 0]; !closing.signal.aborted; waitMs = WAIT_MS_MAX) {
      const { signal } = current = new AbortController()
      failures++
      try {
        const cursor = since()
        await stream(`${path}?wait_ms=${waitMs}${cursor === null ? '' : `&since=${cursor}`}`, signal, () => { open = true }, event => {
          failures = 0
          if (event.type === 'error') throw new Error(event.data)
          onEvent(event)
        })
        if (isOver()) return
      } catch (error) {
        if (closing.signal.aborted) return
        if (error instanceof HeadwayError && error.code === 'unknown_job') {
          failures = 0
          onUnknown()
        } else if (error instanceof HeadwayError && !error.temporary && error.code !== 'token_expired') {
          return onRefused(error)
        } else if (!signal.aborted) {
          open = false
          onFailure(error)
        }
      } finally {
        open = false
      }
      const most = Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** Math.min(failures, 10))
      await delay(most / 2 + Math.random() * most / 2, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  void listen()
  return {
    get open () { return open },
    reopen () { current.abort() },
    close () {
      closing.abort()
      current.abort()
    }
  }
}
