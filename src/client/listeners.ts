// A set of listeners of which none can silence another.

export interface Listeners<A extends unknown[]> {
  call (...args: A): void
  /** The same function may listen twice. @returns how to stop it */
  add (listener: (...args: A) => void): () => void
}

/** @param report gets what a listener throws */
export function createListeners<A extends unknown[]> (report: (error: unknown) => void): Listeners<A> {
  const listeners = new Set<(...args: A) => void>()
  return {
    call (...args) {
      for (const listener of [...listeners]) {
        try {
          listener(...args)
        } catch (error) {
          report(error)
        }
      }
    },
    add (listener) {
      const own = (...args: A): void => listener(...args)
      listeners.add(own)
      return () => { listeners.delete(own) }
    }
  }
}
