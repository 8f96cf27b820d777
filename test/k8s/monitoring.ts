// The rules and the dashboard, and what of their queries nobody tells.

import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { findProgram } from '../../src/demo/system-programs.ts'
import { CLOSE_CODES } from '../../src/protocol/errors.ts'
import { ROOT, sourceManifests, type Manifest } from './manifests.ts'
import { queryOf } from './promql.ts'
import type { Scrape } from './scrape.ts'

export const groups = sourceManifests().filter(({ manifest }) => manifest.kind === 'PrometheusRule').flatMap(({ manifest }): Manifest[] => manifest.spec.groups)
export const rules = groups.flatMap(({ rules }): Manifest[] => rules)
export const alerts = rules.filter(({ alert }) => alert !== undefined)
export const dashboard = JSON.parse(readFileSync(join(ROOT, 'k8s/components/grafana/headway.json'), 'utf8')) as Manifest

/** Prometheus itself puts these on every sample; a record of the rules has none but those it says. */
const TARGET_LABELS = ['instance', 'job', 'pod', 'namespace']
/** Prometheus's own, and what rules record. */
const MADE = new Set(['ALERTS', ...rules.flatMap(({ record }): string[] => record === undefined ? [] : [record])])

/** @returns a sentence for each metric, label or value of an expression that no process tells */
export function untold (expr: string, scrape: Scrape): string[] {
  const { asked, grouped } = queryOf(expr)
  const faults: string[] = []
  const labels = new Set(TARGET_LABELS)
  let made = false
  for (const { metric, matchers } of asked) {
    if (MADE.has(metric)) {
      made = true
      for (const { label, value } of matchers) {
        if (metric !== 'ALERTS' && !rules.some(({ record, labels }) => record === metric && labels?.[label] === value)) faults.push(`no rule records ${metric} with ${label}="${value}"`)
      }
      continue
    }
    const samples = scrape.get(metric)
    if (samples === undefined) {
      faults.push(`nobody tells ${metric}`)
      continue
    }
    const own = new Set(samples.flatMap(Object.keys))
    for (const label of own) labels.add(label)
    for (const { label, operator, value } of matchers) {
      if (TARGET_LABELS.includes(label)) continue
      if (!own.has(label)) faults.push(`${metric} has no label ${label}`)
      else if (operator === '=' && !samples.some(one => one[label] === value) && !isCloseCode(label, value)) faults.push(`${metric} has no ${label}="${value}"`)
    }
  }
  if (!made) for (const label of grouped) if (!labels.has(label)) faults.push(`nothing in ${expr} has the label ${label}`)
  return faults
}

/** Not every code comes up in a short run. */
function isCloseCode (label: string, value: string): boolean {
  return label === 'code' && Object.keys(CLOSE_CODES).includes(value)
}

export type Promtool = (files: Record<string, unknown>, ...args: string[]) => SpawnSyncReturns<string>

/** Runs promtool in a folder with these files; null where it is not installed. */
export function promtoolFor (t: Test): Promtool | null {
  if (findProgram(['promtool']) === null) {
    t.comment('promtool is not installed (Debian: apt-get install prometheus): not run')
    return null
  }
  const folder = mkdtempSync(join(tmpdir(), 'headway-rules-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return (files, ...args) => {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), stringify(content))
    return spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' })
  }
}
