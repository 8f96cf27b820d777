// One encoded message, made once a gateway and shared by every socket that gets it: the one place that knows how a message
// looks on the wire, and so the seam for other formats.

import type { JobMessage, ServerMessage, SnapshotData } from '../protocol/messages.ts'
import { isTerminal, JOB_STATES } from '../protocol/states.ts'

const FINAL: ReadonlySet<string> = new Set(JOB_STATES.filter(isTerminal).map(state => `job.${state}`))

/** Of a job's message, for those that have to know it without reading the text. */
export interface FrameHead {
  type: string
  seq: number
  /** Of a snapshot; null = that of the messages before. */
  epoch: number | null
  /** Nothing of the job follows it. */
  final: boolean
}

export interface Frame {
  /** The JSON text, as server-sent events carry it. */
  readonly text: string
  /** A whole WebSocket text frame, made at first need: for many sockets. */
  readonly bytes: Buffer
  /** Length of these bytes. */
  readonly size: number
  /** The last seq that a client knows before it; null = none is needed: a snapshot, or no message of a job. */
  readonly before_seq: number | null
  readonly head: FrameHead | null
  /** Puts these bytes among others, for one socket. @returns where they end */
  writeTo: (into: Buffer, at: number) => number
}

class TextFrame implements Frame {
  readonly text: string
  readonly before_seq: number | null
  readonly head: FrameHead | null
  readonly #length: number
  #bytes: Buffer | null = null

  constructor (text: string, beforeSeq: number | null, head: FrameHead | null) {
    this.text = text
    this.before_seq = beforeSeq
    this.head = head
    this.#length = Buffer.byteLength(text)
  }

  get size (): number {
    return headerSize(this.#length) + this.#length
  }

  get bytes (): Buffer {
    if (this.#bytes === null) {
      const bytes = Buffer.allocUnsafe(this.size)
      this.writeTo(bytes, 0)
      this.#bytes = bytes
    }
    return this.#bytes
  }

  writeTo (into: Buffer, at: number): number {
    if (this.#bytes !== null) return at + this.#bytes.copy(into, at)
    const from = writeHeader(into, at, this.#length)
    return from + into.write(this.text, from)
  }
}

/** Events advance the seq, progress carries one that is reached, and a snapshot needs none. */
export function jobFrame (message: JobMessage): Frame {
  const { type, seq } = message
  const snapshot = type === 'job.snapshot' ? message.data as SnapshotData : null
  const epoch = snapshot?.epoch ?? null
  const final = snapshot === null ? FINAL.has(type) : isTerminal(snapshot.job.state)
  const before = type.endsWith('.progress') ? seq : seq - 1
  return new TextFrame(JSON.stringify(message), epoch === null ? before : null, { type, seq, epoch, final })
}

export function plainFrame (message: ServerMessage | string): Frame {
  return new TextFrame(typeof message === 'string' ? message : JSON.stringify(message), null, null)
}

/** Bytes before the payload. */
function headerSize (length: number): number {
  return length < 126 ? 2 : length < 65_536 ? 4 : 10
}

/** RFC 6455 §5.2: final text frame, not masked, as servers send. @returns where the payload begins */
function writeHeader (bytes: Buffer, at: number, length: number): number {
  const size = headerSize(length)
  bytes[at] = 0x81
  if (size === 2) {
    bytes[at + 1] = length
  } else if (size === 4) {
    bytes[at + 1] = 126
    bytes.writeUInt16BE(length, at + 2)
  } else {
    bytes[at + 1] = 127
    bytes.writeBigUInt64BE(BigInt(length), at + 2)
  }
  return at + size
}
