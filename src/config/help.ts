// The settings for people: the text of --help, and .env.example (a test compares it with the file).

import { type Setting, settings } from './schema.ts'

const WIDTH = 110

/** @returns every setting with its default and meaning, as plain text. @param omitted names that a role does not read */
export function configHelp (omitted: RegExp | null = null): string {
  return settings().filter(({ name }) => omitted?.test(name) !== true).map(setting => `  ${setting.name}${defaultOf(setting)}\n${wrap(describe(setting), '      ')}`).join('\n')
}

/** @returns the content of .env.example: what has a default is commented out */
export function envExample (): string {
  const head = '# Every setting of Headway, with its default. Made from src/config/schema.ts; a test keeps it true.\n'
  return head + settings().map(setting => {
    const line = `${setting.name}=${setting.fallback ?? ''}`
    return `\n${wrap(describe(setting), '# ')}\n${setting.fallback === null ? line : `# ${line}`}\n`
  }).join('')
}

function describe ({ name, description, secret }: Setting): string {
  return secret ? `${description} A secret: ${name}_FILE may name a file that holds it.` : description
}

function defaultOf ({ fallback }: Setting): string {
  if (fallback === null) return '  (must be given)'
  return fallback === '' ? '' : `  [${fallback}]`
}

function wrap (text: string, indent: string): string {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line.length + word.length > WIDTH && line !== indent) {
      lines.push(line.trimEnd())
      line = indent
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()].join('\n')
}
