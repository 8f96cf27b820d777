// Alerts: each names metrics that the code has, has a runbook, and, where promtool is installed (Debian: prometheus), rings when it must.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import t from 'tap'
import { findProgram } from '../../src/demo/system-programs.ts'
import { createMetrics } from '../../src/gateway/metrics.ts'
import { createTally } from '../../src/gateway/tally.ts'
import { createMeters } from '../../src/persister/meters.ts'
import { ROOT, sourceManifests, type Manifest } from './manifests.ts'

interface Case { alert: string, series: string[], bad: string, good: string, at: string }

const groups = sourceManifests().find(({ manifest }) => manifest.kind === 'PrometheusRule')?.manifest.spec.groups as Manifest[]
const rules = groups.flatMap(({ rules }): Manifest[] => rules)
const cases = parse(readFileSync(join(ROOT, 'test/k8s/alerts.promtool.yaml'), 'utf8')) as Case[]

/** What both roles would tell Prometheus; only the names matter here. */
async function scrape (): Promise<string> {
  const effects = { applied: 0, repeated: 0, ignored: 0, rejected: 0, gaps: 0 }
  const drained = { ...effects, calls: 0, entries: 0, timers: 0, redis_us: 0, epochs: 0, lag_ms: 0 }
  const engine = { drained: () => drained, hearing: () => true }
  const connections = () => ({ sockets: 0, streams: 0 })
  const rooms = () => ({ jobs: 0, tenants: 0 })
  const metrics = createMetrics({ engine, tally: createTally(), connections, rooms, ready: () => true })
  return await metrics.text() + await createMeters().text()
}

t.test('every metric of the alerts, and of the autoscaler, is one that the code tells', async t => {
  const told = new Set([...(await scrape()).matchAll(/^# TYPE (\S+)/gm)].map(found => found[1]))
  const scaler = sourceManifests().find(({ manifest }) => manifest.kind === 'HorizontalPodAutoscaler')?.manifest.spec.metrics[0].pods.metric.name
  const asked = [scaler, ...rules.flatMap(({ expr }) => String(expr).match(/\b(?:headway|nodejs|process)_\w+/g) ?? [])]
  t.ok(asked.length >= rules.length, 'the names were found')
  t.same(asked.filter(name => !told.has(name)), [])
})

t.test('every alert has its runbook, its severity and its case, and no runbook is left over', async t => {
  const text = readFileSync(join(ROOT, 'docs/runbooks.md'), 'utf8')
  const sections = [...text.matchAll(/^## (\w+)\n\n\*\*Means\*\*[\s\S]*?\*\*See\*\*[\s\S]*?\*\*Do\*\*/gm)].map(found => found[1])
  t.same(sections, rules.map(({ alert }) => alert))
  t.same(cases.map(({ alert }) => alert), rules.map(({ alert }) => alert))
  for (const { alert, labels, annotations } of rules) {
    t.equal(annotations.runbook, `docs/runbooks.md#${String(alert).toLowerCase()}`)
    t.match(labels.severity, /^(page|ticket)$/)
  }
})

t.test('promtool takes the rules, and each rings at its bad numbers and is silent at its good ones', async t => {
  if (findProgram(['promtool']) === null) {
    t.comment('promtool is not installed (Debian: apt-get install prometheus): not run')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'headway-rules-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups }))
  const promtool = (...args: string[]) => spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' })
  const checked = promtool('check', 'rules', 'rules.yaml')
  t.equal(checked.status, 0, checked.stdout + checked.stderr)
  // Whether it rings is asked of ALERTS, so that the words of the annotations may change.
  const test = ({ alert, series, at }: Case, values: string, rings: number) => ({
    interval: '1m',
    input_series: series.map(one => ({ series: one, values })),
    promql_expr_test: [{ expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`, eval_time: at, exp_samples: [{ labels: '{}', value: rings }] }]
  })
  const suite = (rings: boolean) => ({
    rule_files: ['rules.yaml'], evaluation_interval: '1m', tests: cases.flatMap(one => [test(one, one.bad, rings ? 1 : 0), test(one, one.good, 0)])
  })
  writeFileSync(join(folder, 'right.yaml'), stringify(suite(true)))
  writeFileSync(join(folder, 'wrong.yaml'), stringify(suite(false)))
  const right = promtool('test', 'rules', 'right.yaml')
  t.equal(right.status, 0, right.stdout + right.stderr)
  t.not(promtool('test', 'rules', 'wrong.yaml').status, 0, 'and the suite can fail')
})
