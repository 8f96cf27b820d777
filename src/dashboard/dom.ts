// Elements without a framework. Text goes in as text nodes only, never as markup, whatever a title holds.

type Attributes = Record<string, string | number | boolean | null>
type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void }
export type Content = Node | string | null

/**
 * @param attributes null and false leave one out, true sets it empty
 * @param content strings become text; null is left out
 */
export function h<K extends keyof HTMLElementTagNameMap> (
  tag: K, attributes: Attributes = {}, content: readonly Content[] = [], handlers: Handlers = {}
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value)
  for (const [name, handler] of Object.entries(handlers)) element.addEventListener(name, handler as EventListener)
  element.append(...content.filter(part => part !== null))
  return element
}

/** For drawings; attributes as in {@link h}. */
export function svg (tag: string, attributes: Attributes = {}, content: readonly Element[] = []): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value)
  element.append(...content)
  return element
}

export function setAttribute (element: Element, name: string, value: string | number | boolean | null): void {
  if (value === null || value === false) element.removeAttribute(name)
  else element.setAttribute(name, value === true ? '' : String(value))
}

/** Leaves the node alone when nothing changes: no needless work for the browser, nor for a screen reader. */
export function setText (element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
