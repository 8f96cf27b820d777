// Items settled over time, in slices that double when there are too many of them: a day costs what a minute costs. Pure.

export interface RateSeries {
  /** So many items were settled at that time, ms. */
  add (atMs: number, count: number): void
  /** Time goes on though nothing is settled. */
  reach (atMs: number): void
  /**
   * Seconds since 1970 and items per minute, oldest first, without the slice that is still being filled. Where little is settled a point
   * stands for several slices: an item a second would else be a row of spikes between 0 and 120.
   */
  data (): [number[], number[]]
}

const SLICE_MS = 1000
const SLICES_MAX = 180
/** A point has so many items, on average, */
const POINT_ITEMS = 5
/** unless fewer points than these would be left. */
const POINTS_MIN = 10

export function createRateSeries (): RateSeries {
  let sliceMs = SLICE_MS
  let counts = new Map<number, number>()
  let first = Infinity
  let last = -Infinity

  function reach (atMs: number): void {
    if (!Number.isFinite(atMs)) return
    first = Math.min(first, atMs)
    last = Math.max(last, atMs)
    while (Math.floor(last / sliceMs) - Math.floor(first / sliceMs) >= SLICES_MAX) {
      sliceMs *= 2
      const halved = new Map<number, number>()
      for (const [slice, count] of counts) halved.set(Math.floor(slice / 2), (halved.get(Math.floor(slice / 2)) ?? 0) + count)
      counts = halved
    }
  }

  return {
    reach,
    add (atMs, count) {
      reach(atMs)
      if (!Number.isFinite(atMs)) return
      const slice = Math.floor(atMs / sliceMs)
      counts.set(slice, (counts.get(slice) ?? 0) + count)
    },
    data () {
      const times: number[] = []
      const rates: number[] = []
      if (first > last) return [times, rates]
      const [from, to] = [Math.floor(first / sliceMs), Math.floor(last / sliceMs)]
      const settled = [...counts.values()].reduce((sum, count) => sum + count, 0)
      const wide = Math.max(1, Math.min(Math.ceil(POINT_ITEMS * (to - from) / Math.max(1, settled)), Math.floor((to - from) / POINTS_MIN)))
      for (let slice = from; slice + wide <= to; slice += wide) {
        let count = 0
        for (let n = 0; n < wide; n++) count += counts.get(slice + n) ?? 0
        times.push(slice * sliceMs / 1000)
        rates.push(count * 60_000 / (wide * sliceMs))
      }
      return [times, rates]
    }
  }
}
