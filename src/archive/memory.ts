// What was read a moment ago, and what is being read right now: whoever asks for the same gets the same, and the database is asked
// once. A page that a thousand browsers open costs one query.

import { createHash } from 'node:crypto'
import { HeadwayError } from '../protocol/errors.ts'
import type { Reader } from './database.ts'

export interface MemoryOptions {
  keep_ms: number
  /** That there is nothing is remembered for less time: it may come. */
  keep_nothing_ms: number
  /** Beyond either the oldest goes. */
  entries_max: number
  bytes_max: number
  /** Different reads at once; beyond it they are refused as overloaded. */
  reads_max: number
}

export interface Memory {
  /** @param name of what is read; the reader belongs to it, as each may see something else. Faults are not remembered. */
  get<T> (name: readonly unknown[], reader: Reader, read: () => Promise<T>): Promise<T>
}

interface Kept { value: unknown, until: number, bytes: number }

export function createMemory (options: MemoryOptions): Memory {
  const { keep_ms: keepMs, keep_nothing_ms: nothingMs, entries_max: entriesMax, bytes_max: bytesMax, reads_max: readsMax } = options
  /** Oldest first. */
  const kept = new Map<string, Kept>()
  const reading = new Map<string, Promise<unknown>>()
  let bytes = 0

  function drop (key: string): void {
    bytes -= kept.get(key)?.bytes ?? 0
    kept.delete(key)
  }

  function keep (key: string, value: unknown): void {
    drop(key)
    const size = key.length + JSON.stringify(value).length
    kept.set(key, { value, until: performance.now() + (isNothing(value) ? nothingMs : keepMs), bytes: size })
    bytes += size
    for (const oldest of kept.keys()) {
      if (kept.size <= entriesMax && bytes <= bytesMax) return
      drop(oldest)
    }
  }

  return {
    async get<T> (name: readonly unknown[], reader: Reader, read: () => Promise<T>): Promise<T> {
      const key = JSON.stringify([whoseOf(reader), ...name.map(part => part ?? null)])
      const found = kept.get(key)
      if (found !== undefined && performance.now() < found.until) return found.value as T
      const begun = reading.get(key)
      if (begun !== undefined) return await begun as T
      if (reading.size >= readsMax) throw new HeadwayError('overloaded', `This gateway reads ${readsMax} things from the database already; repeat the request in a moment.`)
      // Kept before it is no read any more: who asks in between would read again.
      const promise = read().then(value => {
        keep(key, value)
        return value
      }).finally(() => reading.delete(key))
      reading.set(key, promise)
      return await promise
    }
  }
}

function isNothing (value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0)
}

/** A user's own rules may show less than the tenant has. No token is kept. */
function whoseOf ({ tenant_id: tenant, user_token: token }: Reader): string {
  return token === null ? tenant : `${tenant} ${createHash('sha256').update(token).digest('base64url')}`
}
