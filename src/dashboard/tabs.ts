// Tabs as the ARIA practices want them: one is reached by Tab, the others by the arrow keys.

import { h, setAttribute, setText } from './dom.ts'

export interface Tab {
  name: string
  label: string
  panel: HTMLElement
  /** It is looked at, or not any more. */
  onShow?: (visible: boolean) => void
}

export interface Tabs {
  element: HTMLElement
  panels: HTMLElement
  /** A number behind a tab's label; empty = none. */
  count (name: string, text: string): void
}

export function createTabs (label: string, tabs: readonly Tab[]): Tabs {
  const counts = new Map(tabs.map(({ name }) => [name, h('span', { class: 'count' })]))
  const buttons = tabs.map(({ name, label: text }, n) => h('button', {
    type: 'button', role: 'tab', id: `tab-${name}`, 'aria-controls': `panel-${name}`
  }, [text, counts.get(name) ?? null], { click: () => choose(n), keydown: event => onKey(event, n) }))
  const panels = tabs.map(({ name, panel }) =>
    h('div', { role: 'tabpanel', id: `panel-${name}`, 'aria-labelledby': `tab-${name}` }, [panel]))

  function choose (which: number): void {
    tabs.forEach(({ onShow }, n) => {
      const chosen = n === which
      const button = buttons[n] as HTMLElement
      setAttribute(button, 'aria-selected', chosen ? 'true' : 'false')
      setAttribute(button, 'tabindex', chosen ? null : -1)
      setAttribute(panels[n] as HTMLElement, 'hidden', !chosen)
      onShow?.(chosen)
    })
  }

  function onKey (event: KeyboardEvent, at: number): void {
    const to: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }
    const next = to[event.key]
    if (next === undefined) return
    event.preventDefault()
    choose(next % tabs.length)
    buttons[next % tabs.length]?.focus()
  }

  choose(0)
  return {
    element: h('div', { class: 'choices', role: 'tablist', 'aria-label': label }, buttons),
    panels: h('div', {}, panels),
    count (name, text) {
      const element = counts.get(name)
      if (element !== undefined) setText(element, text)
    }
  }
}
