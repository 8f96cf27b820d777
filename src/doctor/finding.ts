// What an examination finds: one sentence of what is there and, unless it is well, what that means and what to do.

export const SUBJECTS = ['configuration', 'redis', 'storage', 'access', 'partitions', 'database', 'clocks'] as const
export type Subject = typeof SUBJECTS[number]
export type Level = 'ok' | 'warning' | 'problem'

export interface Finding {
  subject: Subject
  /** Stable word for programs: what was looked at. */
  check: string
  level: Level
  /** What is there. Never holds a secret. */
  found: string
  /** Why it matters; empty when it is well. */
  means: string
  /** The next step; empty when it is well. */
  advice: string
}

export type Trouble = Pick<Finding, 'means' | 'advice'>

/** Makes the findings of one subject. */
export function findingsOf (subject: Subject) {
  return {
    ok: (check: string, found: string): Finding => ({ subject, check, level: 'ok', found, means: '', advice: '' }),
    warning: (check: string, found: string, trouble: Trouble): Finding => ({ subject, check, level: 'warning', found, ...trouble }),
    problem: (check: string, found: string, trouble: Trouble): Finding => ({ subject, check, level: 'problem', found, ...trouble })
  }
}

/** @returns the worst there is */
export function worstOf (findings: readonly Finding[]): Level {
  const levels = new Set(findings.map(({ level }) => level))
  return levels.has('problem') ? 'problem' : levels.has('warning') ? 'warning' : 'ok'
}

/** For messages: without newlines, so that one finding stays one. */
export function reasonOf (error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').slice(0, 200)
}
