// Instants as people and workers write them. They describe, they never order anything.

import { NUMBER_MAX } from './limits.ts'

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):?(\d\d))?$/
const DAY_MS = 86_400_000
/** From then on years have five digits, and before 1970 remainders are negative: Date knows both. */
const YEAR_10000_MS = 253_402_300_800_000
/** Of the instants asked for last each text is kept: a message names its own about five times, and those of one drain share it. */
const RECENT = 256
const recentMs = new Array<number>(RECENT).fill(-1)
const recentTexts = new Array<string>(RECENT).fill('')
/** 00 to 99. */
const TWO: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))
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

/**
 * ISO 8601 UTC with milliseconds. What is no instant (a foreign worker's column) is 1970: it must not stop a reader.
 * Every message holds several; Date.toISOString made them 6 % of what a gateway does for a message.
 * The date is Howard Hinnant's "civil from days" (chrono-compatible low-level date algorithms): years that begin in March.
 */
export function formatTimestamp (wallMs: number): string {
  if (!(wallMs >= 0 && wallMs < YEAR_10000_MS)) return new Date(Math.abs(wallMs) <= NUMBER_MAX ? wallMs : 0).toISOString()
  const ms = Math.floor(wallMs)
  const place = ms % RECENT
  if (recentMs[place] === ms) return recentTexts[place]!
  const text = format(ms)
  recentMs[place] = ms
  recentTexts[place] = text
  return text
}

function format (wallMs: number): string {
  const days = Math.floor(wallMs / DAY_MS)
  const ofDay = wallMs - days * DAY_MS
  const since0 = days + 719_468 // from 0000-03-01
  const era = Math.floor(since0 / 146_097)
  const dayOfEra = since0 - era * 146_097
  const leapDays = Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  const seconds = Math.floor(ofDay / 1_000)
  const ms = ofDay % 1_000
  const time = `${TWO[Math.floor(seconds / 3_600)]}:${TWO[Math.floor(seconds / 60) % 60]}:${TWO[seconds % 60]}.${ms < 100 ? `0${TWO[ms]}` : ms}`
  return `${year}-${TWO[month]}-${TWO[day]}T${time}Z`
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
