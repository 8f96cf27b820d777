// Bounded waiting on a condition. The only place of the tests that lets time pass: everything else waits on events or through here.

import { setTimeout as pause } from 'node:timers/promises'

export interface UntilOptions {
  /** Give up after this long, ms. */
  timeout_ms?: number
  /** Time between two looks, ms. */
  interval_ms?: number
  /** What was waited for; stands in the error. */
  what?: string
}

/**
 * Calls `look` until it gives something truthy, and gives that back.
 * An error of `look` counts as "not yet" and becomes the cause when time is up.
 * @throws Error when `timeout_ms` (10,000) has passed
 */
export async function until<T> (look: () => T | Promise<T>, options: UntilOptions = {}): Promise<NonNullable<T>> {
  const { timeout_ms: timeoutMs = 10_000, interval_ms: intervalMs = 10, what = look.toString() } = options
  const end = performance.now() + timeoutMs
  let cause: unknown
  do {
    try {
      const found = await look()
      if (found) return found
      cause = undefined
    } catch (error) {
      cause = error
    }
    await pause(intervalMs)
  } while (performance.now() < end)
  throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause })
}
