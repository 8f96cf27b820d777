// What the client takes from its surroundings, each replaceable in tests.

/** The part of the standard WebSocket that is used. */
export interface SocketLike {
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number, reason: string }) => void) | null
  onerror: (() => void) | null
  send (text: string): void
  close (code?: number): void
}

export type SocketFactory = new (url: string, protocols: string[]) => SocketLike

export interface Clock {
  setTimeout (callback: () => void, ms: number): unknown
  clearTimeout (timer: unknown): void
}

export const REAL_CLOCK: Clock = {
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: timer => clearTimeout(timer as ReturnType<typeof setTimeout>)
}

/** Now and then a fresh one: it is asked for before every connection and every HTTP request. */
export type TokenSource = () => string | Promise<string>

/** Tells when trying at once may be worth it; gives back how to stop that. */
export type WakeSource = (wake: () => void) => () => void

/** The network is back, or somebody looks at the page again. Outside of browsers neither is ever told. */
export const REAL_WAKE: WakeSource = wake => {
  const page: Document | undefined = globalThis.document
  const onVisible = (): void => { if (page?.visibilityState === 'visible') wake() }
  globalThis.addEventListener?.('online', wake)
  page?.addEventListener?.('visibilitychange', onVisible)
  return () => {
    globalThis.removeEventListener?.('online', wake)
    page?.removeEventListener?.('visibilitychange', onVisible)
  }
}
