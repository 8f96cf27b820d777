// A position in a job's history: `<epoch>.<seq>`. Another epoch means: take a snapshot.

export interface Cursor {
  /** Effective epoch of the job. */
  epoch: number
  /** Last seq seen; 0 = none. */
  seq: number
}

const PATTERN = /^(\d{1,15})\.(\d{1,15})$/

export function formatCursor ({ epoch, seq }: Cursor): string {
  return `${epoch}.${seq}`
}

/** @returns null when `text` is no cursor */
export function parseCursor (text: string): Cursor | null {
  const match = PATTERN.exec(text)
  return match === null ? null : { epoch: Number(match[1]), seq: Number(match[2]) }
}
