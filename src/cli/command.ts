// What a command is, and how its faults are told.

export interface Command {
  /** A line of the overview. */
  summary: string
  help (): string | Promise<string>
  /** @returns the exit code, once the command has done its work or was told to stop */
  run (args: readonly string[]): Promise<number>
}

/** Faults that are the user's to mend: their message says it all, a stack would only hide it. */
const PLAIN = new Set(['ConfigError', 'DemoError', 'HeadwayError', 'MissingProgramError', 'UnreachableError', 'UsageError'])

export class UsageError extends Error {
  override name = 'UsageError'
}

/**
 * @param command whose help a wrong command line is sent to
 * @returns the exit code: 2 for a wrong command line, else 1
 */
export function tellFault (error: unknown, command: string): number {
  const isMisspelt = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (isMisspelt || error instanceof UsageError) {
    // Node's own sentence goes on about arguments that begin with a dash.
    console.error(`${isMisspelt ? error.message.split('. ')[0] : error.message}\nheadway ${command} --help tells more.`)
    return 2
  }
  console.error(error instanceof Error && PLAIN.has(error.name) ? error.message : error)
  return 1
}

/** @throws UsageError */
export function wholeNumber (name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  throw new UsageError(`--${name} ${text} must be a whole number from ${min} to ${max}`)
}

/**
 * Resolves at the first SIGTERM, SIGINT or SIGHUP. Repeats within a second are the same wish told twice (npm passes
 * on what the terminal sent anyway); a later one calls `again`.
 */
export function untilToldToStop (again: () => void): Promise<void> {
  return new Promise(resolve => {
    let first = 0
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (first === 0) first = performance.now()
        else if (performance.now() - first > 1000) again()
        resolve()
      })
    }
  })
}
