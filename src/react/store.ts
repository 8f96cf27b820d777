// A watch as React's useSyncExternalStore wants it: opened by the first subscriber, closed after the last, and however many
// messages come, told once a frame. Rendering on the server opens nothing.

export interface Watched<V> {
  subscribe (listener: () => void): () => void
  getSnapshot (): V
  close (): void
}

export interface Store<V> {
  subscribe: (listener: () => void) => () => void
  getSnapshot: () => V
}

/** Where there are no frames, and in tabs that nobody sees. */
const FRAME_MS = 16

export function createStore<V> (open: () => Watched<V>, empty: V): Store<V> {
  const listeners = new Set<() => void>()
  let watched: Watched<V> | null = null
  let shown = empty
  let planned: (() => void) | null = null

  function show (): void {
    planned = null
    if (watched === null || watched.getSnapshot() === shown) return
    shown = watched.getSnapshot()
    for (const listener of [...listeners]) listener()
  }

  return {
    subscribe (listener) {
      // React's strict mode subscribes twice with the same function.
      const own = (): void => listener()
      listeners.add(own)
      if (watched === null) {
        watched = open()
        watched.subscribe(() => { planned ??= onFrame(show) })
        planned ??= onFrame(show)
      }
      return () => {
        listeners.delete(own)
        if (listeners.size > 0) return
        planned?.()
        planned = null
        watched?.close()
        watched = null
      }
    },
    getSnapshot: () => shown
  }
}

/** @returns how to call it off */
function onFrame (callback: () => void): () => void {
  if (typeof requestAnimationFrame === 'undefined' || document.hidden) {
    const timer = setTimeout(callback, FRAME_MS)
    return () => clearTimeout(timer)
  }
  const frame = requestAnimationFrame(callback)
  return () => cancelAnimationFrame(frame)
}
