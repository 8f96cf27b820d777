// How many things that were kept for later are kept at most, and for how long. The oldest goes first.

export interface Shelf {
  /** Again for the same key: it counts from now. @param drop called when its time is up, or its place is needed */
  put: (key: object, drop: () => void) => void
  take: (key: object) => void
}

interface Kept { since: number, drop: () => void }

/** @param keep_ms 0 = nothing is kept */
export function createShelf ({ keep_ms: keepMs, count_max: countMax }: { keep_ms: number, count_max: number }): Shelf {
  /** Oldest first. */
  const kept = new Map<object, Kept>()
  let timer: NodeJS.Timeout | undefined

  function sweep (): void {
    clearTimeout(timer)
    timer = undefined
    const until = performance.now() - keepMs
    for (const [key, { since, drop }] of kept) {
      if (since > until && kept.size <= countMax) {
        timer = setTimeout(sweep, since - until).unref()
        return
      }
      kept.delete(key)
      drop()
    }
  }

  return {
    put (key, drop) {
      if (keepMs === 0) return drop()
      kept.delete(key)
      kept.set(key, { since: performance.now(), drop })
      if (kept.size > countMax) sweep()
      else timer ??= setTimeout(sweep, keepMs).unref()
    },
    take (key) { kept.delete(key) }
  }
}
