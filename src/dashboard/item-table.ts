// Items of a job: the last ones as they change, or all of one state by pages.

import { ITEM_STATES, type ItemState } from '../protocol/states.ts'
import type { ItemView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { createItemRow, type ItemRow } from './item-row.ts'
import { ITEM_STATE_WORDS } from './words.ts'

export interface ItemPage { items: ItemView[], next_cursor: string | null }

/** @param state null = all of them */
export type LoadItems = (state: ItemState | null, cursor: string | null) => Promise<ItemPage>

export interface ItemTable {
  element: HTMLElement
  /** The items last heard of; shown while that view is chosen. */
  update (latest: readonly ItemView[]): void
}

type View = 'latest' | 'all' | ItemState
/** The latest that are shown, and moved on every change. */
const LATEST_MAX = 50
/** A page holds 50; more rows than this only make the browser slow. */
const ROWS_MAX = 1000

export function createItemTable (load: LoadItems): ItemTable {
  const rows = new Map<string, ItemRow>()
  const body = h('tbody')
  const empty = h('p', { class: 'empty' })
  const more = h('button', { type: 'button', class: 'more', hidden: true }, ['Show more'], { click: () => { void loadPage() } })
  let view: View = 'latest'
  let given: readonly ItemView[] = []
  let latest: readonly ItemView[] = []
  let cursor: string | null = null
  let turn = 0

  const choices = (['latest', ...ITEM_STATES, 'all'] as const).map(choice => ({
    choice,
    element: h('button', { type: 'button', 'aria-pressed': choice === 'latest' ? 'true' : 'false' }, [label(choice)], {
      click: () => { choose(choice) }
    })
  }))
  const element = h('div', { class: 'table' }, [
    h('div', { class: 'choices', role: 'group', 'aria-label': 'Which items' }, choices.map(one => one.element)),
    h('table', {}, [h('thead', {}, [headings()]), body]),
    empty,
    more
  ])

  function choose (choice: View): void {
    view = choice
    cursor = null
    for (const one of choices) setAttribute(one.element, 'aria-pressed', one.choice === choice ? 'true' : 'false')
    clear()
    if (view === 'latest') showLatest()
    else void loadPage()
  }

  function clear (): void {
    rows.clear()
    body.replaceChildren()
    setText(empty, '')
    setAttribute(more, 'hidden', true)
  }

  /** Rows are kept and moved: what does not change is not touched. */
  function showLatest (): void {
    const wanted = new Set(latest.map(item => item.id))
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue
      row.element.remove()
      rows.delete(id)
    }
    let place = body.firstElementChild
    for (const item of latest) {
      const row = rowOf(item)
      if (row.element === place) place = place.nextElementSibling
      else body.insertBefore(row.element, place)
    }
    setText(empty, latest.length === 0 ? 'No items yet. They appear here as the worker reports them.' : '')
  }

  async function loadPage (): Promise<void> {
    const mine = ++turn
    setAttribute(more, 'aria-disabled', 'true')
    try {
      const page = await load(view === 'latest' || view === 'all' ? null : view, cursor)
      if (mine !== turn || view === 'latest') return
      for (const item of page.items) body.append(rowOf(item).element)
      cursor = page.next_cursor
      setText(empty, rows.size === 0 && cursor === null ? 'No items in this state.' : '')
      setAttribute(more, 'hidden', cursor === null || rows.size >= ROWS_MAX)
    } catch (error) {
      setText(empty, error instanceof Error ? error.message : String(error))
    } finally {
      setAttribute(more, 'aria-disabled', null)
    }
  }

  function rowOf (item: ItemView): ItemRow {
    let row = rows.get(item.id)
    if (row === undefined) {
      row = createItemRow()
      rows.set(item.id, row)
    }
    row.update(item)
    return row
  }

  return {
    element,
    update (items) {
      if (items === given) return
      given = items
      latest = items.slice(0, LATEST_MAX)
      if (view === 'latest') showLatest()
    }
  }
}

function label (choice: View): string {
  return choice === 'latest' ? 'Latest' : choice === 'all' ? 'All' : ITEM_STATE_WORDS[choice]
}

function headings (): HTMLElement {
  const names = ['#', 'Item', 'State', 'Progress', 'Time', 'Result']
  return h('tr', {}, names.map(name => h('th', { scope: 'col' }, [name])))
}
