// A WebSocket constructor for supabase-js that can be ended for good. Its own disconnect() does not: a client that is just about to
// come back comes back all the same, for ever, and each call leaves a timer of 10 s behind. Here the sockets are closed by hand, and
// what the library opens afterwards is a socket that never does anything.

export interface Transport {
  /** For `realtime.transport` of createClient. */
  readonly constructor: typeof WebSocket
  /** For `realtime.reconnectAfterMs`: the last timer of an ended client fires at once. */
  reconnectAfterMs (tries: number): number
  /** Idempotent. */
  end (): void
}

const RECONNECT_MS = [1_000, 2_000, 5_000, 10_000]

export function createTransport (reconnectMs: readonly number[] = RECONNECT_MS): Transport {
  const open = new Set<WebSocket>()
  let ended = false

  function Socket (address: string | URL, protocols?: string | string[]): object {
    if (ended) return { readyState: WebSocket.CLOSED, bufferedAmount: 0, send () {}, close () {} }
    const socket = new WebSocket(address, protocols)
    open.add(socket)
    socket.addEventListener('close', () => { open.delete(socket) })
    return socket
  }

  return {
    constructor: Socket as unknown as typeof WebSocket,
    reconnectAfterMs: (tries) => ended ? 0 : reconnectMs[Math.min(tries, reconnectMs.length) - 1] ?? 0,
    end () {
      ended = true
      for (const socket of open) socket.close()
    }
  }
}
