// Alerts: each asks for what processes tell, has a runbook, and, where promtool is installed (Debian: prometheus), rings when it must.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import t from 'tap'
import { ROOT, sourceManifests } from './manifests.ts'
import { alerts, groups, promtoolFor, rules, untold } from './monitoring.ts'
import { scrapeBoth } from './scrape.ts'

/** Values of its series: the same for all, or by name. */
type Values = string | Record<string, string>
interface Case { alert: string, series?: string[], bad: Values, good: Values, at: string, every?: string }

const cases = parse(readFileSync(join(ROOT, 'test/k8s/alerts.promtool.yaml'), 'utf8')) as Case[]

t.test('every metric and label of the rules, and of the autoscaler, is one that a running process tells', async t => {
  const { scrape } = await scrapeBoth(t)
  const scaler = sourceManifests().find(({ manifest }) => manifest.kind === 'HorizontalPodAutoscaler')?.manifest.spec.metrics[0].pods.metric.name
  t.same([scaler, ...rules.map(({ expr }) => String(expr))].flatMap(expr => untold(expr, scrape)), [])

  t.match(untold('headway_absent', scrape), [/nobody tells headway_absent/])
  t.match(untold('headway_joins_total{how="x"}', scrape), [/no label how/])
  t.match(untold('headway_joins_total{outcome="x"}', scrape), [/no outcome="x"/])
  t.match(untold('sum by (effect) (headway_joins_total)', scrape), [/the label effect/])
  t.throws(() => untold('sum(', scrape), /no PromQL/)
})

t.test('every alert has its runbook, its severity and its case, and no runbook is left over', async t => {
  const text = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8')
  const sections = [...text.matchAll(/^## (\w+)\n\n\*\*Means\*\*[\s\S]*?\*\*See\*\*[\s\S]*?\*\*Do\*\*/gm)].map(found => found[1])
  t.same(sections, alerts.map(({ alert }) => alert))
  t.same(cases.map(({ alert }) => alert), alerts.map(({ alert }) => alert))
  for (const { alert, labels, annotations } of alerts) {
    t.equal(annotations.runbook, `docs/runbooks.md#${String(alert).toLowerCase()}`)
    t.match(labels.severity, /^(page|ticket)$/)
  }
})

t.test('promtool takes the rules, and each rings at its bad numbers and is silent at its good ones', async t => {
  const promtool = promtoolFor(t)
  if (promtool === null) return
  const files = { 'rules.yaml': { groups } }
  const checked = promtool(files, 'check', 'rules', 'rules.yaml')
  t.equal(checked.status, 0, checked.stdout + checked.stderr)
  // Whether it rings is asked of ALERTS, so that the words of the annotations may change.
  const test = ({ alert, series = [], at, every = '1m' }: Case, values: Values, rings: number) => ({
    interval: every,
    input_series: typeof values === 'string' ? series.map(one => ({ series: one, values })) : Object.entries(values).map(([series, values]) => ({ series, values })),
    promql_expr_test: [{ expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`, eval_time: at, exp_samples: [{ labels: '{}', value: rings }] }]
  })
  for (const [every = '1m', those] of Map.groupBy(cases, ({ every }) => every)) {
    const suite = (rings: boolean) => ({
      rule_files: ['rules.yaml'], evaluation_interval: every, tests: those.flatMap(one => [test(one, one.bad, rings ? 1 : 0), test(one, one.good, 0)])
    })
    const right = promtool({ ...files, 'suite.yaml': suite(true) }, 'test', 'rules', 'suite.yaml')
    t.equal(right.status, 0, right.stdout + right.stderr)
    t.not(promtool({ ...files, 'suite.yaml': suite(false) }, 'test', 'rules', 'suite.yaml').status, 0, 'and the suite can fail')
  }
})
