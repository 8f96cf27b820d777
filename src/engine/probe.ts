// A silent channel proves nothing: a connection may be dead, or subscribed to nothing, and look as before. So this process publishes
// to itself and waits for the echo. Knows nothing of clients; feed.ts says which channels stand for which connections.

export interface ProbeTimes {
  /** Between two rounds. */
  interval_ms: number
  /** An echo that is later than this after Redis took the message does not come any more. */
  echo_ms: number
}

export const DEFAULT_PROBE: ProbeTimes = { interval_ms: 2000, echo_ms: 2000 }

export interface ProbeParams extends ProbeTimes {
  /** Channels to ask in this round: one for each connection. */
  targets: () => string[]
  publish: (channel: string, text: string) => Promise<unknown>
  /** Redis took the message and these channels did not bring it. */
  onDeaf: (channels: string[]) => void
}

export interface Probe {
  /** Resolves with the first round. */
  start (): Promise<void>
  /** Begins the next round now, unless one is under way. */
  hurry (): void
  /** A message of one of the channels. */
  heard (text: string): void
  /** The newest round's echo came on every connection, or Redis did not take the message: then it is away, which others tell. */
  hearing (): boolean
  stop (): void
}

type Verdict = 'heard' | 'deaf' | 'away'

export function createProbe ({ interval_ms, echo_ms, targets, publish, onDeaf }: ProbeParams): Probe {
  const awaited = new Map<string, (verdict: Verdict) => void>()
  let nonce = 0
  let hearing = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  async function ask (channel: string): Promise<Verdict> {
    const text = `1e\t${++nonce}`
    const echo = new Promise<Verdict>((resolve) => awaited.set(text, resolve))
    let patience: NodeJS.Timeout | undefined
    try {
      await publish(channel, text)
      if (stopped) return 'away'
      // When this process was held up, the echo may lie in the socket: it is read before the immediate runs.
      patience = setTimeout(() => setImmediate(() => awaited.get(text)?.('deaf')), echo_ms).unref()
      return await echo
    } catch {
      return 'away'
    } finally {
      clearTimeout(patience)
      awaited.delete(text)
    }
  }

  async function round (): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const asked = targets()
    const verdicts = await Promise.all(asked.map(ask))
    if (stopped) return
    hearing = !verdicts.includes('deaf')
    if (!hearing) onDeaf(asked.filter((_, at) => verdicts[at] === 'deaf'))
    timer = setTimeout(() => { void round() }, interval_ms).unref() // a worker that only listens may end
  }

  return {
    start: round,
    hurry () { if (timer !== undefined) void round() },
    heard (text) { awaited.get(text)?.('heard') },
    hearing: () => hearing,
    stop () {
      stopped = true
      clearTimeout(timer)
      timer = undefined
      for (const end of awaited.values()) end('away')
    }
  }
}
