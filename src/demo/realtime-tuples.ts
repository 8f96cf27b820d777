// Messages of Postgres's own output plugin (pgoutput, protocol version 1), as the manual's chapter on its message formats lays them out.

/** Texts of the columns; null = NULL, undefined = a large value that did not change and is not told. */
export type Tuple = (string | null | undefined)[]

export interface TupleHandlers {
  /** A transaction's changes follow; `at` is when it was committed. */
  begin (at: string): void
  /** Before the first change of a relation, and again after it was altered. @param names of its columns, as tuples have them */
  relation (id: number, schema: string, table: string, names: string[]): Promise<void>
  change (type: 'INSERT' | 'UPDATE' | 'DELETE', relation: number, after: Tuple | null, before: Tuple | null): Promise<void>
}

/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000

export function createTupleReader (handlers: TupleHandlers): { read (message: Buffer): Promise<void> } {
  return {
    async read (message) {
      let at = 1
      const number = (bytes: number): number => {
        at += bytes
        return message.readIntBE(at - bytes, bytes)
      }
      const int16 = (): number => number(2)
      const int32 = (): number => number(4)
      const letter = (): string => String.fromCharCode(message[at++] ?? 0)
      const text = (length: number): string => {
        at += length
        return message.toString('utf8', at - length, at)
      }
      const name = (): string => {
        const found = text(message.indexOf(0, at) - at)
        at++
        return found
      }
      const tuple = (): Tuple => Array.from({ length: int16() }, () => {
        const kind = letter()
        return kind === 'n' ? null : kind === 'u' ? undefined : text(int32())
      })

      switch (String.fromCharCode(message[0] ?? 0)) {
        case 'B':
          at += 8 // the position of the commit
          return handlers.begin(new Date(POSTGRES_EPOCH_MS + Number(message.readBigInt64BE(at) / 1000n)).toISOString())
        case 'R': {
          const id = int32()
          const schema = name()
          const table = name()
          at++ // the replica identity
          const names = Array.from({ length: int16() }, () => {
            at++ // whether it belongs to the key
            const column = name()
            at += 8 // type and its modifier
            return column
          })
          return await handlers.relation(id, schema, table, names)
        }
        case 'I': {
          const id = int32()
          at++
          return await handlers.change('INSERT', id, tuple(), null)
        }
        case 'U': {
          const id = int32()
          if (letter() === 'N') return await handlers.change('UPDATE', id, tuple(), null)
          const before = tuple()
          at++
          return await handlers.change('UPDATE', id, tuple(), before)
        }
        case 'D': {
          const id = int32()
          at++
          return await handlers.change('DELETE', id, null, tuple())
        }
      }
    }
  }
}
