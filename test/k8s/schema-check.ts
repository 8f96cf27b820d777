// Whether a manifest is what the API takes: types and required fields by the schemas of kubernetes-models (and of its packages for
// custom resources), unknown fields by the attribute tables of Kubernetes' own client, as the former let them pass.

import * as client from '@kubernetes/client-node'
import { type Manifest } from './manifests.ts'

interface Attribute { baseName: string, type: string }
interface Model { getAttributeTypeMap (): Attribute[] }

const CUSTOM: Record<string, string> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'gateway.networking.k8s.io': '@kubernetes-models/gateway-api'
}
const MODELS = client as unknown as Record<string, Model | undefined>

/** @returns a sentence for each fault; empty = the API would take it */
export async function schemaFaults (manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest
  const [group] = String(apiVersion).split('/')
  const custom = CUSTOM[group ?? '']
  let models: Record<string, new (data: Manifest) => { validate (): void }>
  try {
    models = await import(`${custom ?? 'kubernetes-models'}/${apiVersion}`)
  } catch {
    return [`there is no ${apiVersion}`]
  }
  const Kind = models[kind]
  if (Kind === undefined) return [`${apiVersion} has no ${kind}`]
  const faults: string[] = []
  try {
    new Kind(manifest).validate()
  } catch (error) {
    faults.push((error as Error).message)
  }
  if (custom !== undefined) return faults
  const version = String(apiVersion).split('/').at(-1) ?? ''
  return [...faults, ...unknownFields(manifest, `${version[0]?.toUpperCase()}${version.slice(1)}${kind}`, kind)]
}

function unknownFields (value: Manifest, type: string, path: string): string[] {
  if (value === null || typeof value !== 'object') return []
  const list = /^Array<(.+)>$/.exec(type)?.[1]
  if (list !== undefined) return (value as Manifest[]).flatMap((one, at) => unknownFields(one, list, `${path}[${at}]`))
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1]
  if (map !== undefined) return Object.entries(value).flatMap(([key, one]) => unknownFields(one, map, `${path}.${key}`))
  const model = MODELS[type]
  if (model?.getAttributeTypeMap === undefined) return []
  const attributes = new Map(model.getAttributeTypeMap().map(one => [one.baseName, one.type]))
  return Object.entries(value).flatMap(([key, one]) => {
    const known = attributes.get(key)
    return known === undefined ? [`${path}.${key} is no field of ${type}`] : unknownFields(one, known, `${path}.${key}`)
  })
}
