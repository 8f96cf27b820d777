// Reads server-sent events from the body of a fetch, whatever pieces it comes in.

export interface StreamEvent {
  /** `message` unless the server named it. */
  type: string
  data: string
  /** Last one given; the empty text when none was. */
  id: string
}

/**
 * @param onComment told of lines that only keep the connection open
 * @param onRetry told when the server names the time to come back, ms
 * @returns how to feed it text, which calls `onEvent` for each event that is complete
 */
export function createEventParser (
  onEvent: (event: StreamEvent) => void, onComment: () => void, onRetry: (ms: number) => void = () => {}
): (text: string) => void {
  let rest = ''
  let type = ''
  let id = ''
  let data: string[] = []

  function take (line: string): void {
    if (line === '') {
      if (data.length > 0) onEvent({ type: type || 'message', data: data.join('\n'), id })
      type = ''
      data = []
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return onComment()
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') data.push(value)
    else if (name === 'event') type = value
    else if (name === 'id') id = value
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) onRetry(Number(value))
  }

  return text => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  }
}
