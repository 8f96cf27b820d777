// JSON from outside. Depth is bounded before parsing: 14 KB of `[` parse well and then break whoever walks or writes them.

import { isUtf8 } from 'node:buffer'
import { HeadwayError } from '../protocol/errors.ts'
import { JSON_DEPTH_MAX } from '../protocol/limits.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** @throws HeadwayError invalid_utf8, too_deep or malformed_json */
export function parseJson (bytes: Buffer, depthMax: number = JSON_DEPTH_MAX): unknown {
  if (!isUtf8(bytes)) throw new HeadwayError('invalid_utf8', 'The body is not valid UTF-8; send JSON encoded in UTF-8.')
  if (depthExceeds(bytes, depthMax)) {
    throw new HeadwayError('too_deep', `The JSON is nested more than ${depthMax} levels deep; flatten it.`)
  }
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new HeadwayError('malformed_json', `The text is not JSON: ${(cause as Error).message}`, { cause })
  }
}

export function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// On bytes: in UTF-8 the bytes of quotes and brackets are never part of another character.
function depthExceeds (bytes: Buffer, max: number): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) quoted = !quoted
    else if (quoted) at += byte === BACKSLASH ? 1 : 0
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > max) return true
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--
  }
  return false
}
