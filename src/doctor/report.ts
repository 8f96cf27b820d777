// Findings for people: by subject, what is wrong with its meaning and the next step.

import { styleText } from 'node:util'
import { SUBJECTS, type Finding, type Level } from './finding.ts'

const MARKS: Record<Level, [mark: string, style: Parameters<typeof styleText>[0]]> = { ok: ['ok', 'green'], warning: ['warning', 'yellow'], problem: ['problem', 'red'] }
const COLUMN = 9

/** @param stream colours only where it takes them */
export function reportOf (findings: readonly Finding[], stream: NodeJS.WriteStream): string {
  const lines: string[] = []
  for (const subject of SUBJECTS) {
    const own = findings.filter(finding => finding.subject === subject)
    if (own.length === 0) continue
    lines.push(styleText('bold', subject, { stream }))
    for (const { level, found, means, advice } of own) {
      const [mark, style] = MARKS[level]
      lines.push(`  ${styleText(style, mark.padEnd(COLUMN), { stream })}${found}`)
      if (means !== '') lines.push(`  ${' '.repeat(COLUMN)}${means}`)
      if (advice !== '') lines.push(`  ${' '.repeat(COLUMN)}→ ${advice}`)
    }
  }
  const count = (level: Level): number => findings.filter(finding => finding.level === level).length
  return [...lines, '', `${count('problem')} problems, ${count('warning')} warnings, ${count('ok')} ok`].join('\n')
}
