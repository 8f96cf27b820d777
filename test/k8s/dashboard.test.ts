// Grafana's dashboard: it asks only for what running processes tell, and is drawn as meant.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kustomizations, ROOT, type Manifest } from './manifests.ts'
import { dashboard, promtoolFor, untold } from './monitoring.ts'
import { familyOf, queryOf, withoutVariables } from './promql.ts'
import { scrapeBoth, type Family } from './scrape.ts'

const METRICS_PAGE = join(ROOT, 'docs/metrics.md')
const COLUMNS = 24
/** Ids of Grafana's units; a typing error would show as a suffix. */
const UNITS = ['short', 's', 'bytes', 'Bps', 'percentunit', 'reqps', 'cps', 'eps', 'mps', 'wps', 'bool_yes_no', 'dateTimeFromNow']
const panels = dashboard.panels as Manifest[]
const drawn = panels.filter(({ type }) => type !== 'row')
const queries = drawn.flatMap(({ title, targets }): { title: string, expr: string }[] =>
  targets.map(({ expr }: Manifest) => ({ title, expr: withoutVariables(expr) })))
const annotations = (dashboard.annotations.list as Manifest[]).map(({ expr }) => ({ title: 'annotations', expr: String(expr) }))

t.test('every metric and label of it is one that a running gateway or persister tells, and none of Headway\'s own is forgotten', async t => {
  const { scrape, families } = await scrapeBoth(t)
  for (const { title, expr } of [...queries, ...annotations]) t.same(untold(expr, scrape), [], title)
  const variable = dashboard.templating.list.find((one: Manifest) => one.type === 'query').query.query
  const [, metric = ''] = /^label_values\((\w+), instance\)$/.exec(variable) ?? []
  t.ok(scrape.has(metric), `${metric} is told`)

  const shown = new Set(queries.flatMap(({ expr }) => queryOf(expr).asked).map(({ metric }) => familyOf(metric)))
  const own = new Set([...scrape.keys()].filter(name => name.startsWith('headway_')).map(familyOf))
  t.ok(own.size > 30, 'the metrics were found')
  t.same([...own].filter(name => !shown.has(name)), [])

  const page = readFileSync(METRICS_PAGE, 'utf8')
  const written = page.replace(/(\n\|---.*\|\n)[\s\S]*?\n\n/, (_, rule: string) => `${rule}${families.map(rowOf).join('\n')}\n\n`)
  if (process.env['WRITE_METRICS_PAGE'] === '1') writeFileSync(METRICS_PAGE, written)
  else t.equal(page, written, 'docs/metrics.md says what they tell; make it again: WRITE_METRICS_PAGE=1 npx node test/k8s/dashboard.test.ts')
})

function rowOf ({ name, type, help, labels, roles }: Family): string {
  return `| \`${name}\` | ${type} | ${roles.join(', ')} | ${labels.map(label => `\`${label}\``).join(' ')} | ${help} |`
}

t.test('each panel has an id and a title of its own, a unit, a source and a place that no other has', async t => {
  const ids = panels.map(({ id }) => id)
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  const rowOf = (panel: Manifest): string => panels.slice(0, panels.indexOf(panel)).findLast(({ type }) => type === 'row')?.title
  const titles = drawn.map(panel => `${rowOf(panel)}: ${panel.title}`)
  t.equal(new Set(titles).size, titles.length, 'titles are unique in their row')
  const taken = new Set<string>()
  for (const panel of panels) {
    const { x, y, w, h } = panel.gridPos
    t.ok(x >= 0 && x + w <= COLUMNS, `${panel.title} is inside`)
    const cells = Array.from({ length: w * h }, (_, n) => `${x + n % w}/${y + Math.floor(n / w)}`)
    t.same(cells.filter(cell => taken.has(cell)), [], `${panel.title} covers nothing`)
    for (const cell of cells) taken.add(cell)
  }
  for (const panel of drawn) {
    t.ok(UNITS.includes(panel.fieldConfig.defaults.unit), `${panel.title} has a unit: ${panel.fieldConfig.defaults.unit}`)
    t.match(panel.description, /\.$/, `${panel.title} says what it shows`)
    t.match(panel.datasource.uid, /^\$\{datasource\}$/)
    const refs = panel.targets.map(({ refId }: Manifest) => refId)
    t.ok(refs.length > 0 && new Set(refs).size === refs.length)
  }
})

t.test('promtool takes every query', async t => {
  const promtool = promtoolFor(t)
  if (promtool === null) return
  const file = (exprs: string[]) => ({ 'queries.yaml': { groups: [{ name: 'queries', rules: exprs.map((expr, n) => ({ record: `query:${n}`, expr })) }] } })
  const checked = promtool(file([...queries, ...annotations].map(({ expr }) => expr)), 'check', 'rules', 'queries.yaml')
  t.equal(checked.status, 0, checked.stdout + checked.stderr)
  t.not(promtool(file(['sum(']), 'check', 'rules', 'queries.yaml').status, 0, 'and it can refuse')
})

t.test('Grafana\'s sidecar finds it', async t => {
  const component = kustomizations().find(({ from }) => from === 'k8s/components/grafana/kustomization.yaml')?.manifest
  const [generator] = component.configMapGenerator
  t.same(generator.files, ['headway.json'])
  t.equal(generator.options.labels.grafana_dashboard, '1')
})
