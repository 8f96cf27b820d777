// When a client of a run comes back: at the moment that the gateway named, else after a random time that grows with the tries.

const RECONNECT_MS = { base: 100, max: 2_000 }

export function reconnectMs (code: number, reason: string, tries: number): number {
  const named = code === 1012 ? parsed(reason)['reconnect_after_ms'] as number | undefined : undefined
  return named ?? Math.random() * Math.min(RECONNECT_MS.max, RECONNECT_MS.base * 2 ** tries)
}

function parsed (text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}
