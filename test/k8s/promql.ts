// What a PromQL expression asks for: metrics, and labels of each, by Prometheus's own grammar.

import { parser } from '@prometheus-io/lezer-promql'

export interface Matcher { label: string, operator: string, value: string }

export interface Asked {
  metric: string
  matchers: Matcher[]
}

export interface Query {
  asked: Asked[]
  /** Labels by which results are kept, joined or left out. */
  grouped: string[]
}

/** Grafana's own variables, put as numbers and texts of their kind. */
export function withoutVariables (expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.+')
}

/** @throws Error when it is no PromQL */
export function queryOf (expr: string): Query {
  const query: Query = { asked: [], grouped: [] }
  let faulty: string | null = null
  parser.parse(expr).iterate({
    enter ({ name, from, to, node, type }) {
      const text = expr.slice(from, to)
      if (type.isError) faulty ??= expr.slice(Math.max(0, from - 20), to + 20)
      if (name === 'Identifier') query.asked.push({ metric: text, matchers: [] })
      if (name === 'LabelName' && node.parent?.name === 'GroupingLabels') query.grouped.push(text)
      if (name === 'UnquotedLabelMatcher') {
        const [, label = '', operator = '', value = ''] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(text) ?? []
        query.asked.at(-1)?.matchers.push({ label, operator, value })
      }
    }
  })
  if (faulty !== null) throw new Error(`no PromQL near "${String(faulty)}": ${expr}`)
  return query
}

/** Series of a histogram are told under its own name. */
export function familyOf (metric: string): string {
  return metric.replace(/_(bucket|sum|count)$/, '')
}
