// One item as a row of the table.

import type { ItemView } from '../protocol/messages.ts'
import { h, setAttribute, setText } from './dom.ts'
import { formatBytes, formatDuration } from './format.ts'
import { ITEM_STATE_WORDS } from './words.ts'

/** Longer results stand in the cell's title. */
const DETAIL_CHARACTERS_MAX = 120

export interface ItemRow {
  element: HTMLElement
  update (item: ItemView): void
}

export function createItemRow (): ItemRow {
  const number = h('td', { class: 'number' })
  const title = h('td', { class: 'title' })
  const state = h('span', { class: 'item-state' })
  const again = h('span', { class: 'again' })
  const fill = h('span', { class: 'fill' })
  const meter = h('div', { class: 'meter', role: 'img' }, [fill])
  const time = h('td', { class: 'time' })
  const detail = h('td', { class: 'detail' })
  const element = h('tr', {}, [number, title, h('td', {}, [state, again]), h('td', {}, [meter]), time, detail])
  let shown: ItemView | null = null

  return {
    element,
    update (item) {
      if (item === shown) return
      shown = item
      setText(number, item.row_index === null ? '' : String(item.row_index))
      setText(title, item.title ?? item.id)
      setAttribute(title, 'title', item.title ?? item.id)
      setAttribute(element, 'class', item.state)
      setText(state, item.state === 'failed' && item.retryable ? 'Will be retried' : ITEM_STATE_WORDS[item.state])
      setText(again, item.attempt > 1 ? `try ${item.attempt}` : '')
      fill.style.setProperty('width', `${item.percent_complete}%`)
      setAttribute(meter, 'aria-label', `${Math.floor(item.percent_complete)} %`)
      setText(time, item.duration_ms === null ? '' : formatDuration(item.duration_ms))
      const words = describeDetail(item)
      setText(detail, words.length > DETAIL_CHARACTERS_MAX ? `${words.slice(0, DETAIL_CHARACTERS_MAX)}…` : words)
      setAttribute(detail, 'title', words.length > DETAIL_CHARACTERS_MAX ? words : null)
    }
  }
}

/** Errors and results are any JSON: a text as it is, an object by its message or its fields. */
export function describeDetail (item: ItemView): string {
  const value = item.state === 'failed' ? item.error : item.result
  if (value === null || value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  if ('message' in value && typeof value.message === 'string') return value.message
  return Object.entries(value).map(([name, field]) => describeField(name, field)).join(' · ')
}

/** `bytes_in: 18234` → `17.8 KiB in`; others by name and value. */
function describeField (name: string, field: unknown): string {
  if (name.startsWith('bytes_') && typeof field === 'number') return `${formatBytes(field)} ${name.slice('bytes_'.length)}`
  return `${name.replaceAll('_', ' ')} ${typeof field === 'object' ? JSON.stringify(field) : String(field)}`
}
