// Instants as people and workers write them. They describe, they never order anything.

import { NUMBER_MAX } from './limits.ts'

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):?(\d\d))?$/
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Wall ms of ISO 8601 text or of a number of ms since 1970; what is finer than a ms is cut.
 * Text without a zone is UTC, as Python's datetime.utcnow().isoformat() writes it.
 * @returns null when `value` is neither, or lies before 1970 or beyond 14 digits of ms
 */
export function parseTimestamp (value: unknown): number | null {
  const ms = typeof value === 'number' ? Math.floor(value) : typeof value === 'string' ? isoMs(value) : NaN
  return ms >= 0 && ms <= NUMBER_MAX ? ms : null // NaN compares false
}

/** ISO 8601 UTC with milliseconds. What is no instant (a foreign worker's column) is 1970: it must not stop a reader. */
export function formatTimestamp (wallMs: number): string {
  return new Date(Math.abs(wallMs) <= NUMBER_MAX ? wallMs : 0).toISOString()
}

function isoMs (text: string): number {
  const match = ISO.exec(text)
  if (match === null) return NaN
  const [, yearText, monthText, dayText, hourText, minuteText, secondText, fraction = '', sign, zoneHours, zoneMinutes] = match
  const [year, month, day] = [Number(yearText), Number(monthText), Number(dayText)]
  const [hour, minute, second] = [Number(hourText), Number(minuteText), Number(secondText)]
  if (year < 1969 || month < 1 || month > 12 || day < 1 || day > MONTH_DAYS[month - 1]!) return NaN
  if (hour > 23 || minute > 59 || second > 59) return NaN
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  const offsetMinutes = sign === undefined ? 0 : (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === '-' ? -1 : 1)
  return Date.UTC(year, month - 1, day, hour, minute - offsetMinutes, second, ms)
}
