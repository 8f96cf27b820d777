// One encoded message, made once a gateway and shared by every socket that gets it: the one place that knows how a message
// looks on the wire, and so the seam for other formats.

import type { JobMessage, ServerMessage } from '../protocol/messages.ts'

export interface Frame {
  /** The JSON text, as server-sent events carry it. */
  readonly text: string
  /** A whole WebSocket text frame, made at first need. */
  readonly bytes: Buffer
  /** The last seq that a client knows before it; null = none is needed: a snapshot, or no message of a job. */
  readonly before_seq: number | null
}

class TextFrame implements Frame {
  readonly text: string
  readonly before_seq: number | null
  #bytes: Buffer | null = null

  constructor (text: string, beforeSeq: number | null) {
    this.text = text
    this.before_seq = beforeSeq
  }

  get bytes (): Buffer {
    this.#bytes ??= frameBytes(this.text)
    return this.#bytes
  }
}

/** Events advance the seq, progress carries one that is reached, and a snapshot needs none. */
export function jobFrame (message: JobMessage): Frame {
  const before = message.type.endsWith('.progress') ? message.seq : message.seq - 1
  return new TextFrame(JSON.stringify(message), message.type === 'job.snapshot' ? null : before)
}

export function plainFrame (message: ServerMessage | string): Frame {
  return new TextFrame(typeof message === 'string' ? message : JSON.stringify(message), null)
}

/** RFC 6455 §5.2: final text frame, not masked, as servers send. */
function frameBytes (text: string): Buffer {
  const length = Buffer.byteLength(text)
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const bytes = Buffer.allocUnsafe(head + length)
  bytes[0] = 0x81
  if (head === 2) {
    bytes[1] = length
  } else if (head === 4) {
    bytes[1] = 126
    bytes.writeUInt16BE(length, 2)
  } else {
    bytes[1] = 127
    bytes.writeBigUInt64BE(BigInt(length), 2)
  }
  bytes.write(text, head)
  return bytes
}
