// Which build this process runs.

import { readFileSync } from 'node:fs'
import { Gauge, type Registry } from 'prom-client'

/** Of package.json, which stands beside src, beside dist and in the image alike. */
export const VERSION = (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version

export interface Build {
  role: 'gateway' | 'persister'
  /** Of the source; empty = not told. */
  revision: string
}

/** Always 1: its labels tell, and join other figures to a build. */
export function registerBuild (registry: Registry, { role, revision }: Build): void {
  const labels = { version: VERSION, revision, node_version: process.versions.node, role }
  const info = new Gauge({ name: 'headway_build_info', help: 'Always 1; the labels say which build this is.', labelNames: Object.keys(labels), registers: [registry] })
  info.set(labels, 1)
}
