// Every command that the documentation shows, in blocks and within sentences. api.md is not among them: its own test runs each line.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGES = ['README.md', 'src/README.md', ...readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md') && name !== 'api.md').map(name => `docs/${name}`)]

/** Of a sentence: what begins like a program, a command of Redis or a query of Prometheus and goes on. */
const WITHIN = /^(?:(?:headway|npm|npx|node|kubectl|curl|redis-cli|docker|promtool|XREVRANGE|CLIENT|SLOWLOG|HMGET|CONFIG|SCRIPT) \S|(?:rate|deriv|sum|histogram_quantile)\()/

export interface Shown { page: string, text: string }

/** @returns each command once; a block of sh is one command a line */
export function commands (): Shown[] {
  const shown = new Map<string, Shown>()
  for (const page of PAGES) {
    for (const [, language, content = '', within = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w*)\n([\s\S]*?)^```$|`([^`]+)`/gm)) {
      const lines = language === undefined ? [within.replaceAll(/\s+/g, ' ')].filter(text => WITHIN.test(text)) : linesOf(language, content)
      for (const text of lines) if (!shown.has(text)) shown.set(text, { page, text })
    }
  }
  return [...shown.values()]
}

/** @returns by page, the languages of its blocks */
export function languages (): Shown[] {
  return PAGES.flatMap(page => [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w*)\n[\s\S]*?^```$/gm)].map(found => ({ page, text: found[1] ?? '' })))
}

function linesOf (language: string, content: string): string[] {
  if (language !== 'sh' && language !== 'promql') return []
  return content.replaceAll('\\\n', ' ').split('\n').map(line => line.replace(/\s+# .*$/, '').trim()).filter(line => line !== '' && !line.startsWith('#'))
}

/** @returns words as a shell would see them, without what it would fill in */
export function wordsOf (text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replaceAll(/["']/g, ''))
}
