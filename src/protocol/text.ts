// Text in packed records: escaped where it would break a record, measured and cut in UTF-8 bytes.

const SPECIAL = /[%\t\n]/
const SPECIALS = /[%\t\n]/g
const ESCAPED = /%(25|09|0A)/g

/** Makes text safe inside a column: `%`, tab and newline become `%25 %09 %0A`. */
export function escapeText (text: string): string {
  if (!SPECIAL.test(text)) return text
  return text.replace(SPECIALS, (char) => char === '%' ? '%25' : char === '\t' ? '%09' : '%0A')
}

export function unescapeText (text: string): string {
  if (!text.includes('%')) return text
  return text.replace(ESCAPED, (_, code) => code === '25' ? '%' : code === '09' ? '\t' : '\n')
}

/** Bytes of `text` in UTF-8; a lone surrogate counts as the three of U+FFFD, which encoders put in its place. */
export function utf8Length (text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) {
      bytes += 1
    } else {
      bytes += 2
      if (isPair(text, i)) i++ // four bytes for two units
    }
  }
  return bytes
}

/** Whether `text` takes more than `bytesMax`; most texts are judged by their length alone. */
export function isLonger (text: string, bytesMax: number): boolean {
  if (text.length * 3 <= bytesMax) return false
  return text.length > bytesMax || utf8Length(text) > bytesMax
}

/** The longest beginning of whole characters within `bytesMax`. */
export function cutText (text: string, bytesMax: number): string {
  if (!isLonger(text, bytesMax)) return text
  let bytes = 0
  let end = 0
  while (end < text.length) {
    const unit = text.charCodeAt(end)
    const pair = isPair(text, end)
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : pair ? 4 : 3
    if (bytes > bytesMax) break
    end += pair ? 2 : 1
  }
  return text.slice(0, end)
}

function isPair (text: string, index: number): boolean {
  return (text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00
}
