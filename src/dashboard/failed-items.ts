// Failed items with their errors, each in full, read by pages as somebody looks and kept up to date while the job runs.

import type { ItemView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount } from './format.ts'
import { createInstant } from './instant.ts'
import { describeDetail } from './item-row.ts'
import type { ItemPage } from './item-table.ts'
import { createVirtualList } from './virtual-list.ts'

export interface FailedItems {
  element: HTMLElement
  /** @param count as the job says */
  update (count: number): void
  /** An item's event. */
  hear (item: ItemView): void
  /** Somebody looks, or not any more. */
  show (visible: boolean): void
  stop (): void
}

/** More are told by their number: ten thousand errors are read by a program, not by a person. */
const FAILURES_MAX = 10_000
/** Read at once; how many of a page have failed is not known before. */
const PAGE_ITEMS = 500
const WANTED = 100
const RETRY_MS = 1000

export function createFailedItems (load: (cursor: string | null, limit: number) => Promise<ItemPage>): FailedItems {
  const failures: ItemView[] = []
  const places = new Map<string, number>()
  const list = createVirtualList<ItemView>('failures', 'Failed items', rowOf, () => { void read() })
  const note = h('p', { class: 'empty' })
  const element = h('div', {}, [list.element, note])
  setAttribute(list.element, 'hidden', true)
  let cursor: string | null = null
  let started = false
  let complete = false
  let reading = false
  let count = 0

  function put (item: ItemView): void {
    const place = places.get(item.id)
    if (place !== undefined) failures[place] = item
    else if (failures.length < FAILURES_MAX) places.set(item.id, failures.push(item) - 1)
  }

  /** It is tried again. */
  function drop (id: string): void {
    const place = places.get(id)
    if (place === undefined) return
    failures.splice(place, 1)
    places.clear()
    failures.forEach((item, n) => places.set(item.id, n))
  }

  /** A filtered page may be empty and yet have a next one. */
  async function read (): Promise<void> {
    if (reading || complete || !started) return
    reading = true
    const wanted = failures.length + WANTED
    try {
      do {
        const page = await load(cursor, PAGE_ITEMS)
        page.items.forEach(put)
        cursor = page.next_cursor
      } while (cursor !== null && failures.length < Math.min(wanted, FAILURES_MAX))
      complete = cursor === null || failures.length >= FAILURES_MAX
    } catch {
      // The connection is told of elsewhere.
      setTimeout(() => { void read() }, RETRY_MS)
    }
    reading = false
    show()
  }

  function show (): void {
    list.update(failures)
    if (count === 0 && failures.length === 0) return setText(note, 'Nothing has failed.')
    const untold = complete && failures.length < count ? count - failures.length : 0
    setText(note, untold === 0 ? '' : `${formatCount(untold)} ${failures.length === 0 ? '' : 'more '}are told by their number only.`)
  }

  return {
    element,
    hear (item) {
      if (item.state !== 'failed') drop(item.id)
      else if (started) put(item)
      else return
      list.update(failures)
    },
    update (failed) {
      count = failed
      show()
    },
    show (visible) {
      if (!visible) return
      if (started) return list.update(failures)
      started = true
      void read()
    },
    stop () {
      started = false
      list.stop()
    }
  }
}

function rowOf (item: ItemView): HTMLElement {
  const words = describeDetail(item)
  const facts = [item.row_index === null ? null : `#${item.row_index}`, item.attempt > 1 ? `try ${item.attempt}` : null, item.retryable ? 'will be retried' : null]
  return h('li', {}, [
    h('div', { class: 'head' }, [
      h('span', { class: 'item-state title' }, [item.title ?? item.id]),
      h('span', { class: 'note' }, [facts.filter(fact => fact !== null).join(' · '), ' ', createInstant(item.updated_at)])
    ]),
    h('pre', {}, [words === '' ? 'No error was given.' : `${words}${item.truncated ? ' … (cut)' : ''}`])
  ])
}
