// The custom element: its attributes say what is watched, its shadow shows it. The class is made on demand, so that a server
// may import this file; a call registers it, so that a bundler may drop what nobody calls.

import { EMPTY_VIEW, HeadwayError } from '../client/index.ts'
import type { Client, JobWatch, WatchView } from '../client/index.ts'
import { createAging } from '../protocol/aged.ts'
import type { ControlAction } from '../protocol/states.ts'
import { createParts } from './parts.ts'
import { STYLE } from './style.ts'
import { TEXTS } from './texts.ts'
import type { Texts } from './texts.ts'

export interface HeadwayProgressOptions {
  /** Default: headway-progress. */
  name?: string
  /** What is absent stays English. */
  texts?: Partial<Texts>
}

export interface HeadwayProgressElement extends HTMLElement {
  /** Another one than that of defineHeadwayProgress; watches anew. */
  client: Client
  /** What it shows. */
  readonly view: WatchView
}

/** Times run on between two messages. */
const TICK_MS = 1000
const ATTRIBUTES = ['job', 'label', 'controls', 'wait-ms']

/**
 * Registers the element, once a page: again under the same name it does nothing.
 * @returns its class; null where there are no custom elements (on a server)
 */
export function defineHeadwayProgress (client: Client, options: HeadwayProgressOptions = {}): (new () => HeadwayProgressElement) | null {
  const { name = 'headway-progress' } = options
  const texts = { ...TEXTS, ...options.texts }
  if (typeof customElements === 'undefined') return null
  const known = customElements.get(name)
  if (known !== undefined) return known as new () => HeadwayProgressElement
  const sheet = new CSSStyleSheet() // allowed by a strict content security policy, unlike <style>
  sheet.replaceSync(STYLE)

  class Progress extends HTMLElement implements HeadwayProgressElement {
    static observedAttributes = ATTRIBUTES
    #client = client
    #watch: JobWatch | null = null
    #aged = createAging()
    #frame = 0
    #ticker: ReturnType<typeof setInterval> | undefined
    #shown: WatchView = EMPTY_VIEW
    #parts = createParts(texts, action => { void this.#control(action) })

    constructor () {
      super()
      const root = this.attachShadow({ mode: 'open' })
      root.adoptedStyleSheets = [sheet]
      root.append(this.#parts.element)
    }

    get view (): WatchView { return this.#shown }
    get client (): Client { return this.#client }
    set client (given: Client) {
      if (given === this.#client) return
      this.#client = given
      if (this.isConnected) this.#begin()
    }

    connectedCallback (): void { this.#begin() }
    disconnectedCallback (): void { this.#end() }

    attributeChangedCallback (attribute: string, before: string | null, now: string | null): void {
      if (!this.isConnected || before === now) return
      if (attribute === 'job' || attribute === 'wait-ms') this.#begin()
      else this.#draw()
    }

    #begin (): void {
      this.#end()
      this.#shown = EMPTY_VIEW
      this.#parts.complain('')
      const job = this.getAttribute('job')
      if (job) {
        const waitMs = Number(this.getAttribute('wait-ms') ?? 0)
        this.#watch = this.#client.watch(job, waitMs > 0 ? { wait_ms: waitMs } : {})
        this.#watch.subscribe(() => this.#plan())
        this.#shown = this.#watch.getSnapshot()
        this.#ticker = setInterval(() => this.#draw(), TICK_MS)
      }
      this.#draw()
    }

    #end (): void {
      cancelAnimationFrame(this.#frame)
      this.#frame = 0
      clearInterval(this.#ticker)
      this.#watch?.close()
      this.#watch = null
    }

    /** However many messages come, it is drawn once a frame. */
    #plan (): void {
      if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#show())
    }

    #show (): void {
      this.#frame = 0
      if (this.#watch === null) return
      const wasOver = this.#shown.connection === 'ended'
      this.#shown = this.#watch.getSnapshot()
      this.#draw()
      this.dispatchEvent(new CustomEvent('headway-change', { detail: this.#shown, bubbles: true, composed: true }))
      if (this.#shown.connection !== 'ended' || wasOver) return
      this.dispatchEvent(new CustomEvent('headway-end', { detail: this.#shown.job, bubbles: true, composed: true }))
    }

    #draw (): void {
      const lang = this.closest('[lang]')?.getAttribute('lang') || undefined
      const { job } = this.#shown
      const now = job === null ? this.#shown : { ...this.#shown, job: this.#aged(job) }
      this.#parts.draw(now, { label: this.getAttribute('label'), controls: this.hasAttribute('controls'), lang })
    }

    async #control (action: ControlAction): Promise<void> {
      const job = this.getAttribute('job')
      if (!job) return
      this.#parts.complain('')
      try {
        await this.#client.control(job, action)
      } catch (error) {
        this.#parts.complain(error instanceof HeadwayError ? error.message : String(error))
      }
    }
  }

  customElements.define(name, Progress)
  return Progress
}
