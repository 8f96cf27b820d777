// How many things that were kept for later are kept at most, how many bytes of them, and for how long. The oldest goes first.

export interface Shelf {
  /** Again for the same key: it counts from now. @param drop called when its time is up, or its place is needed */
  put: (key: object, bytes: number, drop: () => void) => void
  /** It weighs as much now; what is not there weighs nothing. */
  weigh: (key: object, bytes: number) => void
  take: (key: object) => void
}

export interface ShelfOptions {
  /** 0 = nothing is kept. */
  keep_ms: number
  count_max: number
  bytes_max: number
}

interface Kept { since: number, bytes: number, drop: () => void }

export function createShelf ({ keep_ms: keepMs, count_max: countMax, bytes_max: bytesMax }: ShelfOptions): Shelf {
  /** Oldest first. */
  const kept = new Map<object, Kept>()
  let weight = 0
  let timer: NodeJS.Timeout | undefined

  function take (key: object): void {
    weight -= kept.get(key)?.bytes ?? 0
    kept.delete(key)
  }

  const full = (): boolean => kept.size > countMax || weight > bytesMax

  function sweep (): void {
    clearTimeout(timer)
    timer = undefined
    const until = performance.now() - keepMs
    for (const [key, { since, drop }] of kept) {
      if (since > until && !full()) {
        timer = setTimeout(sweep, since - until).unref()
        return
      }
      take(key)
      drop()
    }
  }

  return {
    put (key, bytes, drop) {
      if (keepMs === 0) return drop()
      take(key)
      kept.set(key, { since: performance.now(), bytes, drop })
      weight += bytes
      if (full()) sweep()
      else timer ??= setTimeout(sweep, keepMs).unref()
    },
    weigh (key, bytes) {
      const one = kept.get(key)
      if (one === undefined) return
      weight += bytes - one.bytes
      one.bytes = bytes
      if (full()) sweep()
    },
    take
  }
}
