// Reads a packed record column by column, in order. Nothing is split and a number leaves no text behind: a gateway reads fifty columns
// of every message, and arrays of their texts were a fifth of its garbage.

import { unescapeText } from '../protocol/text.ts'

const [TAB, COMMA, POINT, ZERO] = [9, 44, 46, 48]
/** So many digits are a whole number exactly, and so is their quotient by a power of ten the nearest number. */
const EXACT_DIGITS_MAX = 15
const POWERS_OF_TEN = Array.from({ length: EXACT_DIGITS_MAX + 1 }, (_, n) => 10 ** n)

/** What stands behind the last column reads as empty. */
export class Columns {
  readonly #text: string
  #at: number
  /** Of the line. */
  #end: number
  /** The group that is read has another member. */
  #inGroup = false

  /** At the first column of the first line. */
  constructor (text: string) {
    this.#text = text
    this.#at = 0
    const end = text.indexOf('\n')
    this.#end = end < 0 ? text.length : end
  }

  /** @returns false when there was none */
  nextLine (): boolean {
    if (this.#end >= this.#text.length) return false
    this.#at = this.#end + 1
    const end = this.#text.indexOf('\n', this.#at)
    this.#end = end < 0 ? this.#text.length : end
    return true
  }

  get line_is_empty (): boolean { return this.#at >= this.#end }

  /** The rest of the line, as it stands. */
  rest (): string {
    return this.#text.slice(this.#at, this.#end)
  }

  skip (columns = 1): void {
    for (let n = 0; n < columns; n++) this.#at = this.#close() + 1
  }

  /** As it stands; for words of Headway's own and for ids, which hold nothing to unescape. */
  word (): string {
    const from = this.#at
    const to = this.#close()
    this.#at = to + 1
    return from >= to ? '' : this.#text.slice(from, to)
  }

  text (): string | null {
    const text = this.word()
    return text === '' ? null : unescapeText(text)
  }

  flag (): boolean {
    return this.word() === '1'
  }

  /** Empty = 0. */
  number (): number {
    const text = this.#text
    const [from, end] = [this.#at, this.#end]
    let value = 0
    let point = -1
    let at = from
    let code = TAB
    for (; at < end; at++) {
      code = text.charCodeAt(at)
      if (code === TAB || code === COMMA) break
      const digit = code - ZERO
      if (digit >= 0 && digit <= 9) value = value * 10 + digit
      else if (code === POINT && point < 0) point = at
      else return this.#unusual(from)
    }
    if (at - from > EXACT_DIGITS_MAX) return this.#unusual(from)
    this.#at = at + 1
    this.#inGroup = at < end && code === COMMA
    return point < 0 ? value : value / POWERS_OF_TEN[at - point - 1]!
  }

  numberOrNull (): number | null {
    if (!this.#isEmpty()) return this.number()
    this.#at++
    this.#inGroup = false
    return null
  }

  /** Begins a column of numbers with commas between them. @returns false when it is empty, and passed over */
  group (): boolean {
    this.#inGroup = !this.#isEmpty()
    if (!this.#inGroup) this.#at++
    return this.#inGroup
  }

  /** The group's next number; null = it is empty, or there is none. */
  member (): number | null {
    if (!this.#inGroup) return null
    if (this.#at < this.#end && this.#text.charCodeAt(this.#at) === COMMA) {
      this.#at++
      return null
    }
    return this.numberOrNull()
  }

  /** Passes over members that were not read. */
  endGroup (): void {
    if (this.#inGroup) this.skip()
    this.#inGroup = false
  }

  #isEmpty (): boolean {
    return this.#at >= this.#end || this.#text.charCodeAt(this.#at) === TAB
  }

  #close (): number {
    const at = this.#text.indexOf('\t', this.#at)
    return at < 0 || at > this.#end ? this.#end : at
  }

  /** A sign, an exponent, or more digits than are exact. */
  #unusual (from: number): number {
    let to = from
    for (; to < this.#end; to++) {
      const code = this.#text.charCodeAt(to)
      if (code === TAB || code === COMMA) break
    }
    this.#at = to + 1
    this.#inGroup = to < this.#end && this.#text.charCodeAt(to) === COMMA
    return Number(this.#text.slice(from, to))
  }
}
