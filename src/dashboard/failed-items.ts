// Failed items with their errors, each in full, read by pages and kept up to date while the job runs.

import type { ItemView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatCount } from './format.ts'
import { createInstant } from './instant.ts'
import { describeDetail } from './item-row.ts'
import type { ItemPage } from './item-table.ts'

export interface FailedItems {
  element: HTMLElement
  /** @param count as the job says */
  update (count: number): void
  /** An item's event. */
  hear (item: ItemView): void
  /** Somebody looks, or not any more. */
  show (visible: boolean): void
}

/** More make the page slow; the grid and the table have all of them. */
const ROWS_MAX = 500

export function createFailedItems (load: (cursor: string | null) => Promise<ItemPage>): FailedItems {
  const rows = new Map<string, HTMLElement>()
  const list = h('ul', { class: 'failures' })
  const note = h('p', { class: 'empty' })
  const more = h('button', { type: 'button', class: 'more', hidden: true }, ['Show more'], { click: () => { void read() } })
  const element = h('div', {}, [list, note, more])
  let cursor: string | null = null
  let started = false
  let reading = false

  function put (item: ItemView): void {
    const row = rowOf(item)
    rows.get(item.id)?.replaceWith(row)
    if (!rows.has(item.id)) list.append(row)
    rows.set(item.id, row)
  }

  /** A filtered page may be empty and yet have a next one. */
  async function read (): Promise<void> {
    if (reading) return
    reading = true
    const wanted = rows.size + 50
    try {
      do {
        const page = await load(cursor)
        page.items.forEach(put)
        cursor = page.next_cursor
      } while (cursor !== null && rows.size < wanted)
      setText(note, '')
    } catch (error) {
      started = rows.size > 0
      setText(note, error instanceof Error ? error.message : String(error))
    }
    reading = false
    setAttribute(more, 'hidden', cursor === null || rows.size >= ROWS_MAX)
  }

  return {
    element,
    hear (item) {
      if (item.state === 'failed') {
        if (started && rows.size < ROWS_MAX) put(item)
      } else {
        rows.get(item.id)?.remove()
        rows.delete(item.id)
      }
    },
    update (count) {
      if (!reading) setText(note, count === 0 ? 'Nothing has failed.' : rows.size > 0 || !started ? '' : `${formatCount(count)} are told by their number only.`)
    },
    show (visible) {
      if (!visible || started) return
      started = true
      void read()
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
