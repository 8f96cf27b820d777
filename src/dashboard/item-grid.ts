// All items of a job, a shape each, on a canvas as large as what is seen of it: 100,000 scroll like 100. To the keyboard and
// to assistive technology it is a list box of which only the chosen option exists.

import type { ItemView } from '../protocol/messages.ts'
import type { ItemState } from '../protocol/states.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount, formatDuration } from './format.ts'
import { describeDetail } from './item-row.ts'
import { drawItem, readPalette } from './item-shapes.ts'
import type { Palette } from './item-shapes.ts'
import { createItemStore } from './item-store.ts'
import type { ItemPage } from './item-table.ts'
import { ITEM_STATE_WORDS } from './words.ts'

export interface ItemGrid {
  element: HTMLElement
  /**
   * @param seen items that the worker has reported
   * @param rest what the others are; null = waiting
   */
  update (total: number, seen: number, rest: ItemState | null): void
  hear (item: ItemView): void
  /** The past has changed: everything is read again. */
  forget (): void
  stop (): void
}

const GAP = 4
/** Few items are drawn large. */
const CELLS: readonly [upTo: number, cell: number][] = [[300, 22], [2000, 16], [Infinity, 12]]

export function createItemGrid (load: (place: number, limit: number) => Promise<ItemPage>): ItemGrid {
  const canvas = h('canvas', { 'aria-hidden': 'true' })
  const option = h('div', { id: 'grid-item', class: 'chosen', role: 'option', 'aria-selected': 'true', hidden: true })
  // The canvas sticks to what is seen of the space, so it has to be in it.
  const space = h('div', { class: 'space', role: 'presentation' }, [canvas, option])
  const box = h('div', { class: 'grid', tabindex: 0, role: 'listbox', 'aria-label': 'All items. Arrow keys choose one.' }, [space])
  const told = h('p', { class: 'chosen-item note', 'aria-live': 'off' }, ['Point at an item, or move with the arrow keys.'])
  const element = h('div', {}, [box, told])
  const store = createItemStore(load, plan)
  let palette: Palette | null = null
  let frame = 0
  let chosen = -1
  let unreported: ItemState | null = null

  const dark = matchMedia('(prefers-color-scheme: dark)')
  const recolour = (): void => { palette = null; plan() }
  const resized = new ResizeObserver(plan)
  dark.addEventListener('change', recolour)
  resized.observe(box)
  box.addEventListener('scroll', plan, { passive: true })
  box.addEventListener('keydown', onKey)
  for (const type of ['pointermove', 'click'] as const) box.addEventListener(type, event => choose(placeUnder(event), false))

  const stateOf = (place: number): ItemState | null => store.stateAt(place) ?? unreported

  function layout () {
    const cell = CELLS.find(([upTo]) => store.total <= upTo)?.[1] ?? 12
    const pitch = cell + GAP
    const columns = Math.max(1, Math.floor((box.clientWidth + GAP) / pitch))
    return { cell, pitch, columns, height: Math.ceil(store.total / columns) * pitch }
  }

  function plan (): void {
    if (frame === 0) frame = requestAnimationFrame(draw)
  }

  function draw (): void {
    frame = 0
    const { cell, pitch, columns, height: whole } = layout()
    space.style.setProperty('height', `${whole}px`)
    const [width, height] = [box.clientWidth, box.clientHeight]
    if (width === 0 || height === 0) return
    const scale = devicePixelRatio
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale)
      canvas.height = Math.round(height * scale)
      canvas.style.setProperty('width', `${width}px`)
      canvas.style.setProperty('height', `${height}px`)
    }
    const pen = canvas.getContext('2d')
    if (pen === null) return
    palette ??= readPalette()
    pen.setTransform(scale, 0, 0, scale, 0, 0)
    pen.clearRect(0, 0, width, height)
    const firstRow = Math.floor(box.scrollTop / pitch)
    const from = firstRow * columns
    const to = Math.min(store.total, from + (Math.ceil(height / pitch) + 1) * columns)
    for (let place = from; place < to; place++) {
      const y = Math.floor(place / columns) * pitch - box.scrollTop
      const x = place % columns * pitch
      drawItem(pen, { state: stateOf(place), percent: store.percentAt(place), x, y, size: cell, palette })
    }
    store.want(from, to)
    if (chosen >= 0) tell()
  }

  function placeUnder ({ clientX, clientY }: MouseEvent): number {
    const { pitch, columns } = layout()
    const { left, top } = box.getBoundingClientRect()
    const column = Math.floor((clientX - left) / pitch)
    return column < columns ? Math.floor((clientY - top + box.scrollTop) / pitch) * columns + column : -1
  }

  function choose (place: number, scroll: boolean): void {
    if (place < 0 || place >= store.total || (place === chosen && !scroll)) return
    chosen = place
    const { pitch, columns, height } = layout()
    const top = Math.floor(place / columns) * pitch
    if (scroll) space.style.setProperty('height', `${height}px`) // before its first frame there is nowhere to scroll to
    if (scroll && top < box.scrollTop) box.scrollTop = top
    else if (scroll && top + pitch > box.scrollTop + box.clientHeight) box.scrollTop = top + pitch - box.clientHeight
    tell()
    plan()
  }

  function tell (): void {
    const { cell, pitch, columns } = layout()
    const words = describe(chosen)
    setText(told, words)
    setAttribute(option, 'hidden', null)
    setAttribute(option, 'aria-label', words)
    setAttribute(option, 'aria-posinset', chosen + 1)
    setAttribute(option, 'aria-setsize', store.total)
    setAttribute(box, 'aria-activedescendant', option.id)
    option.style.setProperty('width', `${cell + 4}px`)
    option.style.setProperty('height', `${cell + 4}px`)
    option.style.setProperty('transform', `translate(${chosen % columns * pitch - 2}px, ${Math.floor(chosen / columns) * pitch - 2}px)`)
  }

  function describe (place: number): string {
    const item = store.itemAt(place)
    const state = stateOf(place)
    if (item === null) return `Item ${formatCount(place + 1)} of ${formatCount(store.total)}: ${state === null ? 'not reported yet' : ITEM_STATE_WORDS[state]}`
    const facts = [ITEM_STATE_WORDS[item.state]]
    if (item.state === 'processing') facts.push(`${Math.floor(item.percent_complete)} %`)
    if (item.attempt > 1) facts.push(`try ${item.attempt}`)
    if (item.duration_ms !== null) facts.push(formatDuration(item.duration_ms))
    const detail = describeDetail(item)
    if (detail !== '') facts.push(detail)
    return `${item.title ?? item.id}: ${facts.join(' · ')}`
  }

  function onKey (event: KeyboardEvent): void {
    const { columns, pitch } = layout()
    const page = Math.max(1, Math.floor(box.clientHeight / pitch)) * columns
    const steps: Record<string, number> = {
      ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity
    }
    const step = steps[event.key]
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const from = chosen < 0 && Number.isFinite(step) ? 0 : chosen + step
    choose(Math.max(0, Math.min(store.total - 1, from)), true)
  }

  return {
    element,
    update (total, seen, rest) {
      if (rest !== unreported) plan()
      unreported = rest
      store.resize(total, seen)
    },
    hear: item => store.hear(item),
    forget: () => store.forget(),
    stop () {
      cancelAnimationFrame(frame)
      dark.removeEventListener('change', recolour)
      resized.disconnect()
    }
  }
}
