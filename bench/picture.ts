// npm run --silent bench -- fanout --json | npx node bench/picture.ts > docs/fanout.svg
// The figures of the fan-out as bars: plain SVG that reads in light and dark.

import { text } from 'node:stream/consumers'

const WIDTH = 760
const PANEL_PX = 34
const BAR_PX = 24
const LABEL_PX = 110
const VALUE_PX = 110
const NAMES: Record<string, string> = { headway: 'Headway', socketio: 'Socket.IO', ws: 'plain ws', nchan: 'Nchan' }
const PANELS = [
  { key: 'hot saturated, deliveries/s', title: 'One job, 1,000 sockets, as fast as it goes: deliveries/s (more is better)', digits: 0 },
  { key: 'hot, server µs a delivery', title: 'The same at 50,000 deliveries/s: server CPU a delivery, µs (less is better)', digits: 1 },
  { key: 'wide, server µs a delivery', title: '5,000 jobs, 20,000 deliveries/s: server CPU a delivery, µs (less is better)', digits: 1 }
]

const lines = (await text(process.stdin)).trim().split('\n')
const { name, results } = JSON.parse(lines.at(-1) ?? '{}') as { name?: string, results: Record<string, number> }
if (name !== 'fanout') throw new Error('standard input must end with the line of npm run bench -- fanout --json')

const parts: string[] = []
let y = 0
for (const { key, title, digits } of PANELS) {
  const bars = Object.keys(NAMES).flatMap((subject) => {
    const value = results[`${subject}: ${key}`]
    return value === undefined ? [] : [{ subject, value }]
  })
  const most = Math.max(...bars.map(({ value }) => value))
  parts.push(`<text x="0" y="${y + 20}" font-weight="600">${title}</text>`)
  y += PANEL_PX
  for (const { subject, value } of bars) {
    const width = Math.max(1, (WIDTH - LABEL_PX - VALUE_PX) * value / most)
    const shown = value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    parts.push(
      `<text x="0" y="${y + 16}">${NAMES[subject]}</text>`,
      `<rect x="${LABEL_PX}" y="${y + 3}" width="${width.toFixed(1)}" height="${BAR_PX - 6}" rx="3" fill="${subject === 'headway' ? '#0d9488' : '#94a3b8'}"/>`,
      `<text x="${(LABEL_PX + width + 8).toFixed(1)}" y="${y + 16}">${shown}</text>`
    )
    y += BAR_PX
  }
  y += BAR_PX / 2
}
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="14">
<style>text { fill: #334155 } @media (prefers-color-scheme: dark) { text { fill: #cbd5e1 } }</style>
${parts.join('\n')}
</svg>`)
