// A value against a mark, with hysteresis: high from the mark on, normal again only well below it, and each only after several looks in a
// row. So a value that trembles around the mark is one alarm and not a hundred.

export interface MarkParams {
  /** High from here on. */
  high: number
  /** Normal again below. */
  normal: number
  /** Looks in a row that it takes, either way. */
  looks: number
}

export interface Mark {
  readonly high: boolean
  /** @returns whether it has crossed */
  look (value: number): boolean
}

export function createMark ({ high: highMark, normal, looks }: MarkParams): Mark {
  let high = false
  let against = 0
  return {
    get high () { return high },
    look (value) {
      against = (high ? value < normal : value >= highMark) ? against + 1 : 0
      if (against < looks) return false
      high = !high
      against = 0
      return true
    }
  }
}
