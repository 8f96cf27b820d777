// How a gateway that stops lets its clients go: one after the other, spread over the drain window, each told when to come back, so
// that the gateways that stay do not get all of them at once.

import { setTimeout as delay } from 'node:timers/promises'

/** The window has spread clients already; this is for those that leave in one turn of it, ms. */
const RECONNECT_AFTER_MS_MAX = 1_500

export function reconnectAfterMs (): number {
  return Math.ceil(Math.random() * RECONNECT_AFTER_MS_MAX)
}

/** @returns when all have been told */
export async function letGo<T> (all: Iterable<T>, windowMs: number, tell: (one: T) => void): Promise<void> {
  const leaving = [...all].map(one => ({ one, at: Math.random() * windowMs })).sort((a, b) => a.at - b.at)
  const begun = performance.now()
  for (const { one, at } of leaving) {
    const wait = begun + at - performance.now()
    if (wait > 1) await delay(wait)
    tell(one)
  }
}
