// The items of a job in three ways: all as a grid, as a table, and those that failed.

import type { Client, JobWatch } from '../client/index.ts'
import { h } from './dom.ts'
import type { ItemView, JobView } from '../protocol/messages.ts'
import type { ItemState } from '../protocol/states.ts'
import { createFailedItems } from './failed-items.ts'
import { formatCount } from './format.ts'
import { createItemGrid } from './item-grid.ts'
import { createItemTable } from './item-table.ts'
import type { ItemPage } from './item-table.ts'
import { createTabs } from './tabs.ts'

export interface ItemsCard {
  element: HTMLElement
  update (job: JobView, items: readonly ItemView[], seen: number): void
  stop (): void
}

export function createItemsCard (client: Client, watch: JobWatch): ItemsCard {
  const over = new AbortController()
  async function page (state: ItemState | null, cursor: string | null, limit = 50): Promise<ItemPage> {
    const query = { state: state ?? undefined, cursor: cursor ?? undefined, limit }
    const { data, next_cursor: next } = await client.listItems(watch.job_id, query, { signal: over.signal })
    return { items: data, next_cursor: next }
  }
  // The cursor of a page of items is the place it begins at.
  const grid = createItemGrid((place, limit) => page(null, place === 0 ? null : String(place), limit))
  const table = createItemTable((state, cursor) => page(state, cursor))
  const failed = createFailedItems((cursor, limit) => page('failed', cursor, limit))
  const tabs = createTabs('Items', [
    { name: 'grid', label: 'Grid', panel: grid.element },
    { name: 'table', label: 'Table', panel: table.element },
    { name: 'failed', label: 'Failures', panel: failed.element, onShow: visible => failed.show(visible) }
  ])
  const element = h('section', { class: 'card items', 'aria-label': 'Items' }, [
    h('div', { class: 'head' }, [h('h2', {}, ['Items']), tabs.element]), tabs.panels
  ])

  watch.onMessage(({ type, data }) => {
    if (type === 'job.snapshot' || type === 'job.canceled') return grid.forget()
    if (type.startsWith('job.')) return
    grid.hear(data as ItemView)
    failed.hear(data as ItemView)
  })

  return {
    element,
    update (job, items, seen) {
      grid.update(job.items_total, seen, job.state === 'canceled' ? 'canceled' : null)
      table.update(items)
      failed.update(job.items_failed)
      tabs.count('failed', job.items_failed === 0 ? '' : formatCount(job.items_failed))
    },
    stop () {
      over.abort()
      grid.stop()
      failed.stop()
    }
  }
}
