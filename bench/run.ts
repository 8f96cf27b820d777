// npm run bench -- <name> [--quick] [--json]: one file a question. With --json the last line is one object
// { name, runs, results, ratios, goals }. Exits non-zero on a lost message or a failure, not on a missed goal.

import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'

const names = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.bench.ts')).map((file) => file.slice(0, -'.bench.ts'.length))
const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } } })
const [name] = positionals

if (values.help || name === undefined || !names.includes(name)) {
  const problem = name === undefined || values.help ? '' : `There is no benchmark ${name}.\n`
  console.error(`${problem}npm run bench -- <name> [--quick] [--json]\n\n  --quick  ends within 40 s\n  --json   the last line is one JSON object\n\nnames: ${names.join(', ')}`)
  process.exit(values.help ? 0 : 2)
}

const { run } = await import(`./${name}.bench.ts`) as { run: Bench }
const say = values.json ? (): void => {} : (line: string): void => console.log(line)
const report = await run({ quick: values.quick ?? false, say })
for (const [what, value] of Object.entries(report.ratios)) say(`  ${what.padEnd(44)} ${value.toFixed(2)} ×`)
for (const { name: goal, goal: wanted, value, met } of report.goals) say(`  ${met ? 'met   ' : 'missed'} ${goal.padEnd(37)} ${value.toFixed(2)} (goal ${wanted})`)
if (values.json) console.log(JSON.stringify({ name, ...report }))
