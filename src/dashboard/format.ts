// Numbers and times as people read them. All input in ms or ISO 8601; null reads as a dash.

const NONE = '–'
const whole = new Intl.NumberFormat('en')
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

export function formatCount (value: number): string {
  return whole.format(value)
}

/** 51 → `51.0 %`. Cut, not rounded: 100 is said only when it is reached. */
export function formatPercent (value: number): string {
  return `${(Math.floor(value * 10) / 10).toFixed(1)} %`
}

/** `312 ms`, `8.2 s`, `3 min 12 s`, `2 h 5 min`, `4 d 3 h`. */
export function formatDuration (ms: number | null): string {
  if (ms === null) return NONE
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return two(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return two(minutes, 60, 'h', 'min')
  return two(Math.round(minutes / 60), 24, 'd', 'h')
}

/** An estimate, no more exact than it is: whole seconds below ten, steps of five below a minute, then as a duration. */
export function formatEstimate (ms: number | null): string {
  if (ms === null) return NONE
  if (ms < 1000) return ms <= 0 ? '0 s' : 'under 1 s'
  if (ms < 10_000) return `${Math.round(ms / 1000)} s`
  if (ms < 60_000) return `${Math.min(55, Math.round(ms / 5000) * 5)} s`
  return formatDuration(ms < 3_600_000 ? Math.round(ms / 5000) * 5000 : ms)
}

export function formatRate (perMinute: number | null): string {
  if (perMinute === null) return NONE
  return perMinute >= 100 ? formatCount(Math.round(perMinute)) : perMinute.toFixed(1)
}

export function formatBytes (bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

/** The time of day; with the date unless it is today. */
export function formatInstant (iso: string | null): string {
  if (iso === null) return NONE
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return NONE
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : day.format(at)
}

/** The time of day of seconds since 1970. */
export function formatClock (seconds: number): string {
  return clock.format(seconds * 1000)
}

function two (value: number, base: number, large: string, small: string): string {
  const rest = value % base
  return `${Math.floor(value / base)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`
}
