// An instant as the viewer reads it, in the viewer's time zone; in UTC for who points at it.

import { h, setAttribute, setText } from './dom.ts'
import { formatInstant } from './format.ts'

/** @param iso null = not yet */
export function showInstant (element: HTMLElement, iso: string | null): void {
  setText(element, formatInstant(iso))
  setAttribute(element, 'datetime', iso)
  setAttribute(element, 'title', iso === null ? null : `${iso.replace('T', ' ').replace('Z', '')} UTC`)
}

export function createInstant (iso: string | null): HTMLElement {
  const element = h('time')
  showInstant(element, iso)
  return element
}
