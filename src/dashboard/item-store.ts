// States of all items of a job by their place, a byte each, filled by pages as somebody looks and kept right by the events
// that follow. The whole items are kept for the last pages looked at only.

import type { ItemState } from '../protocol/states.ts'
import { ITEM_STATES } from '../protocol/states.ts'
import type { ItemView } from '../protocol/messages.ts'
import type { ItemPage } from './item-table.ts'

export interface ItemStore {
  /** Places there are: declared or seen. */
  readonly total: number
  /** Null = not looked at yet, or not reported by the worker. */
  stateAt (place: number): ItemState | null
  percentAt (place: number): number
  itemAt (place: number): ItemView | null
  /** @param seen items that the job has reported; they have the first places */
  resize (total: number, seen: number): void
  /** Reads what is missing of these places. */
  want (from: number, to: number): void
  /** An item's event. */
  hear (item: ItemView): void
  /** Events were missed, or all open items were canceled: everything is read again as it is looked at. */
  forget (): void
}

export const PAGE_ITEMS = 500
const PAGES_KEPT = 20
const RETRY_MS = 1000

/**
 * @param load a page that begins at a place
 * @param onChange something that may be visible has changed
 */
export function createItemStore (load: (place: number, limit: number) => Promise<ItemPage>, onChange: () => void): ItemStore {
  let states = new Uint8Array(0)
  let percents = new Uint8Array(0)
  let total = 0
  let seen = 0
  let generation = 0
  /** Places loaded of each page. */
  const loaded = new Map<number, number>()
  const whole = new Map<number, ItemView[]>()
  const places = new Map<string, number>()
  /** Events that came while a page was read: they are newer than it. */
  let meanwhile: Map<string, ItemView> | null = null
  let wanted: [from: number, to: number] = [0, 0]

  function set (place: number, item: ItemView): void {
    if (place >= states.length) return
    states[place] = 1 + ITEM_STATES.indexOf(item.state)
    percents[place] = item.percent_complete
    const page = whole.get(Math.floor(place / PAGE_ITEMS))
    if (page !== undefined) page[place % PAGE_ITEMS] = item
  }

  function missing (): number | null {
    const last = Math.min(wanted[1], seen - 1)
    for (let page = Math.floor(wanted[0] / PAGE_ITEMS); page * PAGE_ITEMS <= last; page++) {
      const there = Math.min(PAGE_ITEMS, seen - page * PAGE_ITEMS)
      if ((loaded.get(page) ?? 0) < there || !whole.has(page)) return page
    }
    return null
  }

  async function read (): Promise<void> {
    const page = missing()
    if (page === null || meanwhile !== null) return
    const mine = generation
    meanwhile = new Map()
    try {
      const { items } = await load(page * PAGE_ITEMS, PAGE_ITEMS)
      if (mine === generation) keep(page, items)
    } catch {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS)) // the connection is told of elsewhere
    }
    meanwhile = null
    onChange()
    void read()
  }

  function keep (page: number, items: ItemView[]): void {
    whole.delete(page)
    whole.set(page, [])
    for (const old of whole.keys()) {
      if (whole.size <= PAGES_KEPT) break
      whole.delete(old)
    }
    loaded.set(page, items.length)
    seen = Math.max(seen, page * PAGE_ITEMS + items.length)
    grow(seen)
    items.forEach((item, n) => {
      const place = page * PAGE_ITEMS + n
      places.set(item.id, place)
      set(place, meanwhile?.get(item.id) ?? item)
    })
  }

  function grow (size: number): void {
    total = Math.max(total, size)
    if (size <= states.length) return
    const [oldStates, oldPercents] = [states, percents]
    const room = Math.max(size, states.length * 2)
    states = new Uint8Array(room)
    percents = new Uint8Array(room)
    states.set(oldStates)
    percents.set(oldPercents)
  }

  return {
    get total () { return total },
    stateAt: place => ITEM_STATES[(states[place] ?? 0) - 1] ?? null,
    percentAt: place => percents[place] ?? 0,
    itemAt: place => whole.get(Math.floor(place / PAGE_ITEMS))?.[place % PAGE_ITEMS] ?? null,
    resize (nextTotal, nextSeen) {
      const size = Math.max(nextTotal, nextSeen)
      if (size === total && nextSeen === seen) return
      seen = Math.max(seen, nextSeen)
      grow(size)
      total = Math.max(size, seen)
      onChange()
    },
    want (from, to) {
      wanted = [from, to]
      void read()
    },
    hear (item) {
      meanwhile?.set(item.id, item)
      const place = places.get(item.id)
      if (place === undefined) return // read when somebody looks there
      set(place, item)
      onChange()
    },
    forget () {
      generation++
      loaded.clear()
      whole.clear()
      onChange()
    }
  }
}
