// The manifests as objects: every document of every file, and the overlays as `kubectl kustomize` renders them, where it is installed.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { findProgram } from '../../src/demo/system-programs.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const OVERLAYS = ['dev', 'migrate', 'production'] as const

/** A manifest; tests reach into it freely, what is absent is undefined. */

export type Manifest = any

export interface Found { from: string, manifest: Manifest }

/** Documents of all files but the kustomizations. */
export function sourceManifests (): Found[] {
  return yamlFiles().filter(file => basename(file) !== 'kustomization.yaml').flatMap(file => documentsOf(relative(ROOT, file), readFileSync(file, 'utf8')))
}

export function kustomizations (): Found[] {
  return yamlFiles().filter(file => basename(file) === 'kustomization.yaml').map(file => ({ from: relative(ROOT, file), manifest: parse(readFileSync(file, 'utf8')) }))
}

/** What the cluster would get; null where kubectl is not installed. @throws Error with kustomize's own words */
export function rendered (overlay: typeof OVERLAYS[number]): Found[] | null {
  return built(join(ROOT, 'k8s/overlays', overlay), `overlay ${overlay}`)
}

/** The same of an overlay with more components, as users add them. @param folder empty */
export function renderedWith (overlay: typeof OVERLAYS[number], components: readonly string[], folder: string): Found[] | null {
  const from = (...parts: string[]): string => relative(folder, join(ROOT, 'k8s', ...parts))
  writeFileSync(join(folder, 'kustomization.yaml'), stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [from('overlays', overlay)],
    components: components.map(component => from('components', component))
  }))
  return built(folder, `overlay ${overlay} with ${components.join(', ')}`)
}

function built (folder: string, name: string): Found[] | null {
  if (findProgram(['kubectl']) === null) return null
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return documentsOf(name, stdout)
}

export function nameOf ({ from, manifest }: Found): string {
  return `${from}: ${manifest.kind} ${manifest.metadata?.name}`
}

/** The pod's spec of what makes pods, else undefined. */
export function podOf (manifest: Manifest): Manifest {
  return ['Deployment', 'StatefulSet', 'Job'].includes(manifest.kind) ? manifest.spec.template.spec : undefined
}

function yamlFiles (): string[] {
  return readdirSync(join(ROOT, 'k8s'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.yaml')).sort().map(name => join(ROOT, 'k8s', name))
}

function documentsOf (from: string, text: string): Found[] {
  return parseAllDocuments(text, { uniqueKeys: true }).map(document => {
    if (document.errors.length > 0) throw new Error(`${from}: ${String(document.errors[0])}`)
    return { from, manifest: document.toJS() as Manifest }
  })
}
