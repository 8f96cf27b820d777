// A list of any length of which only what is seen is in the page. Rows may be of any height: one that was not seen yet is taken
// for as tall as the average of those that were.

import { h, setAttribute } from './dom.ts'

export interface VirtualList<T> {
  element: HTMLElement
  /** The same array may come again with more in it. */
  update (items: readonly T[]): void
  stop (): void
}

/** Rows kept above and below what is seen, in pixels: fast scrolling shows no holes. */
const MARGIN_PX = 400
/** Between two rows; the style sheet has the same. */
const GAP_PX = 10
const FIRST_GUESS_PX = 80

/**
 * @param toRow called again when another object stands at a place
 * @param onEnd the last rows are seen: more may be added
 */
export function createVirtualList<T extends object> (
  name: string, label: string, toRow: (item: T) => HTMLElement, onEnd: () => void
): VirtualList<T> {
  const list = h('ul', { class: name })
  const box = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, [list])
  let items: readonly T[] = []
  /** By place; what is absent was not seen yet. */
  let heights: number[] = []
  let shown = new Map<number, { item: T, row: HTMLElement }>()
  let frame = 0
  let width = 0
  const resized = new ResizeObserver(() => {
    if (box.clientWidth !== width) heights = []
    width = box.clientWidth
    plan()
  })
  resized.observe(box)
  box.addEventListener('scroll', plan, { passive: true })

  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(draw)
  }

  function draw (): void {
    frame = 0
    if (!box.checkVisibility()) return // nobody looks; the observer tells when somebody does
    const measured = heights.filter(height => height > 0)
    const guess = measured.length === 0 ? FIRST_GUESS_PX : measured.reduce((sum, height) => sum + height, 0) / measured.length
    const heightOf = (place: number): number => heights[place] ?? guess
    const [top, bottom] = [box.scrollTop - MARGIN_PX, box.scrollTop + box.clientHeight + MARGIN_PX]
    let from = 0
    let before = 0
    while (from < items.length - 1 && before + heightOf(from) < top) before += heightOf(from++)
    let to = from
    let end = before
    while (to < items.length && end < bottom) end += heightOf(to++)
    let after = 0
    for (let place = to; place < items.length; place++) after += heightOf(place)
    put(from, to)
    list.style.setProperty('padding', `${before}px 0 ${after}px`)
    if (measure()) plan()
    if (to >= items.length) onEnd()
  }

  /** Rows that stay are not touched. */
  function put (from: number, to: number): void {
    const next: typeof shown = new Map()
    for (let place = from; place < to; place++) {
      const item = items[place] as T
      const known = shown.get(place)
      next.set(place, known?.item === item ? known : { item, row: toRow(item) })
    }
    for (const [place, { row }] of shown) if (next.get(place)?.row !== row) row.remove()
    let at = list.firstElementChild
    for (const [place, { row }] of next) {
      if (row === at) at = at.nextElementSibling
      else list.insertBefore(row, at)
      setAttribute(row, 'aria-posinset', place + 1)
      setAttribute(row, 'aria-setsize', items.length)
    }
    shown = next
  }

  /** @returns whether a row is not as tall as it was taken for */
  function measure (): boolean {
    let changed = false
    for (const [place, { row }] of shown) {
      const height = row.offsetHeight + GAP_PX
      if (height === GAP_PX || heights[place] === height) continue
      heights[place] = height
      changed = true
    }
    return changed
  }

  return {
    element: box,
    update (given) {
      items = given
      heights.length = Math.min(heights.length, items.length)
      setAttribute(box, 'hidden', items.length === 0)
      plan()
    },
    stop () {
      cancelAnimationFrame(frame)
      resized.disconnect()
    }
  }
}
