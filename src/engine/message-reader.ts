// Messages of a subscriber connection, taken from its bytes before ioredis reads them: for each, ioredis makes arrays, copies and closures
// that cost more than what is done with it. All else (answers, who is subscribed, reconnecting, TLS, Sentinel) stays with ioredis, which
// gets every other value whole. Where its stream is not as expected it keeps all of it, and says `message` as ever.

import type { Redis } from 'ioredis'

const [CR, MINUS, QUESTION, ZERO] = [13, 45, 63, 48]
/** What follows the type of the frame: RESP3 pushes (`>`), RESP2 answers with an array (`*`). */
const MESSAGE = Buffer.from('3\r\n$7\r\nmessage\r\n')
const FRAMES: ReadonlySet<number> = new Set(Buffer.from('>*'))
const LINES: ReadonlySet<number> = new Set(Buffer.from('+-:_#,('))
const TEXTS: ReadonlySet<number> = new Set(Buffer.from('$=!'))
const LISTS: ReadonlySet<number> = new Set(Buffer.from('*>~'))
const MAP = 37
/** The value goes on beyond what has come. */
const UNFINISHED = -1
const NOT_THIS = -2

export type Hear = (channel: string, text: string) => void

/** For this connection and those that replace it. */
export function readMessages (client: Redis, hear: Hear): void {
  // Redis says nothing before it is asked, and nobody has asked yet: the first byte begins a value.
  client.on('connect', () => {
    const { stream } = client
    const theirs = stream.listeners('data') as ((bytes: Buffer) => void)[]
    if (theirs.length === 0) return
    const reader = createReader(hear, bytes => { for (const one of theirs) one.call(stream, bytes) })
    stream.on('data', reader)
    for (const one of theirs) stream.off('data', one)
  })
}

/** @param pass gets all that is no message, in whole values. @returns takes what comes, cut anywhere */
export function createReader (hear: Hear, pass: (bytes: Buffer) => void): (bytes: Buffer) => void {
  let begun: Buffer | null = null

  /** @returns where the message that begins here ends, UNFINISHED or NOT_THIS */
  function message (bytes: Buffer, from: number): number {
    if (!FRAMES.has(bytes[from]!) || !isMessage(bytes, from + 1)) return NOT_THIS
    const channel = lengthAt(bytes, from + 1 + MESSAGE.length)
    if (channel === null) return UNFINISHED
    const text = lengthAt(bytes, channel.end + 2)
    if (text === null || text.end + 2 > bytes.length) return UNFINISHED
    tell(bytes.toString('utf8', channel.from, channel.end), bytes.toString('utf8', text.from, text.end))
    return text.end + 2
  }

  /** As ioredis has it: who fails over a message does not take the connection with it. */
  function tell (channel: string, text: string): void {
    try {
      hear(channel, text)
    } catch (error) {
      process.nextTick(() => { throw error })
    }
  }

  return chunk => {
    const bytes: Buffer = begun === null ? chunk : Buffer.concat([begun, chunk])
    begun = null
    for (let at = 0, end = 0; at < bytes.length; at = end) {
      end = message(bytes, at)
      if (end === NOT_THIS) {
        end = endOf(bytes, at)
        if (end !== UNFINISHED) pass(bytes.subarray(at, end))
      }
      if (end === UNFINISHED) {
        begun = bytes.subarray(at)
        return
      }
    }
  }
}

function isMessage (bytes: Buffer, from: number): boolean {
  for (let n = 0; n < MESSAGE.length; n++) if (bytes[from + n] !== MESSAGE[n]) return false
  return true
}

/** Of a text that begins here with its length. Null = not all of that has come. */
function lengthAt (bytes: Buffer, at: number): { from: number, end: number } | null {
  let length = 0
  for (let n = at + 1; n < bytes.length; n++) {
    if (bytes[n] === CR) return { from: n + 2, end: n + 2 + length }
    length = length * 10 + bytes[n]! - ZERO
  }
  return null
}

/** Where the value that begins here ends. What is no RESP goes to whoever can complain about it. */
function endOf (bytes: Buffer, from: number): number {
  const type = bytes[from]!
  const line = bytes.indexOf('\r\n', from)
  if (line < 0) return UNFINISHED
  if (LINES.has(type)) return line + 2
  const isMap = type === MAP
  if ((!TEXTS.has(type) && !LISTS.has(type) && !isMap) || bytes[from + 1] === QUESTION) return bytes.length
  if (bytes[from + 1] === MINUS) return line + 2
  const size = Number(bytes.toString('latin1', from + 1, line))
  if (TEXTS.has(type)) return line + 2 + size + 2 <= bytes.length ? line + 2 + size + 2 : UNFINISHED
  let end = line + 2
  for (let left = isMap ? 2 * size : size; left > 0; left--) {
    if (end >= bytes.length) return UNFINISHED
    end = endOf(bytes, end)
    if (end === UNFINISHED) return UNFINISHED
  }
  return end
}
