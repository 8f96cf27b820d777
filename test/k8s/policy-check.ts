// Headway's own rules for what runs in a cluster, beyond what the API takes: the restricted Pod Security Standard, probes, bounds.

import { podOf, type Manifest } from './manifests.ts'

/** @returns a sentence for each fault of a manifest that makes pods; empty for others */
export function policyFaults (manifest: Manifest): string[] {
  const pod = podOf(manifest)
  if (pod === undefined) return []
  const faults: string[] = []
  const want = (holds: boolean, rule: string): void => { if (!holds) faults.push(rule) }
  want(pod.automountServiceAccountToken === false, 'automountServiceAccountToken must be false')
  want(pod.enableServiceLinks === false, 'enableServiceLinks must be false')
  want(pod.securityContext?.runAsNonRoot === true, 'runAsNonRoot must be true')
  want(pod.securityContext?.runAsUser > 0, 'runAsUser must be above 0')
  want(pod.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'seccompProfile must be RuntimeDefault')
  if (manifest.kind === 'Job') want(manifest.spec.activeDeadlineSeconds > 0 && manifest.spec.backoffLimit <= 6, 'a Job must have an end')
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) want(pod[field] === undefined, `${field} must not be set`)
  want((pod.volumes ?? []).every((volume: Manifest) => volume.hostPath === undefined), 'no hostPath')
  for (const container of [...pod.containers, ...pod.initContainers ?? []]) {
    const say = (rule: string): string => `${container.name}: ${rule}`
    const security = container.securityContext
    want(security?.allowPrivilegeEscalation === false, say('allowPrivilegeEscalation must be false'))
    want(security?.readOnlyRootFilesystem === true, say('readOnlyRootFilesystem must be true'))
    want(JSON.stringify(security?.capabilities) === '{"drop":["ALL"]}', say('all capabilities must be dropped'))
    want(security?.privileged === undefined && security?.runAsUser !== 0, say('must not be privileged or root'))
    want(container.resources?.requests?.cpu !== undefined, say('needs a request of cpu'))
    want(container.resources?.requests?.memory !== undefined && container.resources?.limits?.memory !== undefined, say('needs request and limit of memory'))
    want(container.ports?.every((port: Manifest) => port.hostPort === undefined) ?? true, say('no hostPort'))
    // A Job ends by itself.
    want(manifest.kind === 'Job' || (container.readinessProbe !== undefined && container.livenessProbe !== undefined), say('needs probes'))
    const secrets = (container.env ?? []).filter((one: Manifest) => /SECRET|KEY|PASSWORD|TOKEN|POSTGRES_URL/.test(one.name) && one.valueFrom?.secretKeyRef === undefined)
    want(secrets.length === 0, say(`secrets come by reference: ${secrets.map((one: Manifest) => one.name).join(' ')}`))
    want(!/:latest$/.test(container.image), say('an image of a version, not latest'))
  }
  return faults
}

/** Time from the wish to end a pod until it is killed must hold all that it does on the way. @returns faults */
export function drainFaults (gateway: Manifest, settings: Record<string, string>): string[] {
  const pod = podOf(gateway)
  const sleep = pod.containers[0].lifecycle?.preStop?.sleep?.seconds ?? 0
  const drain = Number(settings['HEADWAY_DRAIN_DELAY_MS']) / 1000 + Number(settings['HEADWAY_DRAIN_WINDOW_MS']) / 1000
  const faults: string[] = []
  if (!(sleep >= 5)) faults.push('preStop must sleep at least 5 s, until the balancers have heard')
  if (!(pod.terminationGracePeriodSeconds >= sleep + drain + 15)) faults.push(`terminationGracePeriodSeconds must be at least ${sleep} + ${drain} + 15`)
  return faults
}
