// One field of a worker's event into one packed column. Null and absent are the same: an empty column.

import { HeadwayError } from './errors.ts'
import { ID_PATTERN } from './ids.ts'
import { JSON_DEPTH_MAX, METADATA_BYTES_MAX, NUMBER_MAX, TEXT_BYTES_MAX } from './limits.ts'
import { cutText, escapeText, isLonger } from './text.ts'
import { parseTimestamp } from './timestamp.ts'

type Column = string | number

/** @throws HeadwayError invalid_field, always */
export function refuseField (event: string, field: string, value: unknown, must: string): never {
  throw new HeadwayError('invalid_field', `${event}: ${field} must be ${must}; it is ${show(value)}`)
}

export function idColumn (event: string, field: string, value: unknown): string {
  if (typeof value !== 'string' || !ID_PATTERN.test(value)) refuseField(event, field, value, `an id (${ID_PATTERN.source})`)
  return value
}

export function wholeColumn (event: string, field: string, value: unknown, min = 0): Column {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= NUMBER_MAX) return value
  return refuseField(event, field, value, `a whole number, ${min} or more`)
}

export function numberColumn (event: string, field: string, value: unknown, min = -NUMBER_MAX): Column {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' && value >= min && value <= NUMBER_MAX) return value
  return refuseField(event, field, value, min === 0 ? 'a finite number, 0 or more' : 'a finite number')
}

/** Hundredths of a percent. */
export function percentColumn (event: string, field: string, value: unknown): Column {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number' && value >= 0 && value <= 100) return Math.round(value * 100)
  return refuseField(event, field, value, 'a number from 0 to 100')
}

export function flagColumn (event: string, field: string, value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'boolean') return value ? '1' : '0'
  return refuseField(event, field, value, 'true or false')
}

export function timeColumn (event: string, field: string, value: unknown): Column {
  if (value === undefined || value === null) return ''
  return parseTimestamp(value) ?? refuseField(event, field, value, 'an ISO 8601 time or ms since 1970')
}

export function wordColumn (event: string, field: string, value: unknown, words: readonly string[]): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string' && words.includes(value)) return value
  return refuseField(event, field, value, `one of ${words.join(', ')}`)
}

/** Unescaped: the caller cuts and escapes. */
export function textField (event: string, field: string, value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : refuseField(event, field, value, 'text')
}

export function textColumn (event: string, field: string, value: unknown, bytesMax: number): string {
  if (value === undefined || value === null) return ''
  return escapeText(cutText(textField(event, field, value), bytesMax))
}

/** JSON text of a value that only passes through, unescaped, and whether it had to be cut. */
export function cutJson (event: string, field: string, value: unknown): { json: string, cut: boolean } {
  if (typeof value === 'string') {
    const text = cutText(value, TEXT_BYTES_MAX)
    return { json: JSON.stringify(text), cut: text.length < value.length }
  }
  const json = toJson(event, field, value)
  if (!isLonger(json, TEXT_BYTES_MAX)) return { json, cut: false }
  return { json: JSON.stringify(cutText(json, TEXT_BYTES_MAX)), cut: true }
}

export function metadataColumn (event: string, value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'object' || Array.isArray(value)) refuseField(event, 'metadata', value, 'an object')
  const json = toJson(event, 'metadata', value)
  if (!json.startsWith('{')) refuseField(event, 'metadata', value, 'an object') // a toJSON of its own
  if (isLonger(json, METADATA_BYTES_MAX)) refuseField(event, 'metadata', json, `at most ${METADATA_BYTES_MAX} bytes of JSON`)
  return escapeText(json)
}

/** Levels of nesting in valid JSON text; 0 for a plain value. Counted in the text, so that no depth can exhaust a stack. */
export function jsonDepth (json: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < json.length; i++) {
    const unit = json.charCodeAt(i)
    if (unit === 0x22) {
      i = stringEnd(json, i)
    } else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > deepest) deepest = depth
    } else if (unit === 0x7d || unit === 0x5d) {
      depth--
    }
  }
  return deepest
}

function stringEnd (json: string, from: number): number {
  let i = from + 1
  while (i < json.length && json.charCodeAt(i) !== 0x22) i += json.charCodeAt(i) === 0x5c ? 2 : 1
  return i
}

/** The event's data is the first level, so a value in it may have one level less. */
function toJson (event: string, field: string, value: unknown): string {
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep(event, field, cause)
    throw new HeadwayError('invalid_field', `${event}: ${field} has no JSON form; remove cycles and big integers`, { cause })
  }
  if (json === undefined) return refuseField(event, field, typeof value, 'a value with a JSON form')
  if (jsonDepth(json) >= JSON_DEPTH_MAX) throw tooDeep(event, field)
  return json
}

function tooDeep (event: string, field: string, cause?: unknown): HeadwayError {
  return new HeadwayError('too_deep', `${event}: ${field} nests deeper than ${JSON_DEPTH_MAX - 1} levels; flatten it`, { cause })
}

function show (value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(cutText(value, 64))
  if (value !== null && typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}
