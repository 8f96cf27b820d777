// Texts that Postgres can hold: no U+0000, no half of a surrogate pair. Both become U+FFFD, so that one odd character of a worker
// does not keep a whole row out of the database.

export function cleanText (text: string): string {
  return text.isWellFormed() && !text.includes('\0') ? text : text.toWellFormed().replaceAll('\0', '\uFFFD')
}

/** The same value with every text in it clean; the value itself when all are. */
export function clean<T> (value: T): T {
  return cleanValue(value) as T
}

function cleanValue (value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(cleanValue)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [cleanText(name), cleanValue(one)]))
}
