// The manifests of k8s/: valid, under Headway's rules, and in agreement with the code, as they stand and as overlays render.

import { readFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import { join } from 'node:path'
import { parse } from 'yaml'
import t from 'tap'
import { settings } from '../../src/config/schema.ts'
import { kustomizations, nameOf, OVERLAYS, podOf, rendered, renderedWith, ROOT, sourceManifests, type Found, type Manifest } from './manifests.ts'
import { drainFaults, policyFaults } from './policy-check.ts'
import { schemaFaults } from './schema-check.ts'

const sources = sourceManifests()
const overlays = OVERLAYS.map(overlay => ({ overlay, found: rendered(overlay) }))
const all = [...sources, ...overlays.flatMap(({ found }) => found ?? [])]
if (overlays.some(({ found }) => found === null)) t.comment('kubectl is not installed: the overlays are not rendered, their parts are checked alone')

function copyOf (kind: string, name: string): Manifest {
  return structuredClone(sources.find(({ manifest }) => manifest.kind === kind && manifest.metadata.name === name)?.manifest)
}
const gatewayCopy = (): Manifest => copyOf('Deployment', 'headway-gateway')
const faultsOf = (check: (manifest: Manifest) => string[]) => (found: Found): string[] => check(found.manifest).map(fault => `${nameOf(found)}: ${fault}`)

/** Settings of the gateway in the base, by name. */
function literals (): Record<string, string> {
  const own = kustomizations().find(({ from }) => from === 'k8s/base/kustomization.yaml')?.manifest
  return Object.fromEntries(own.configMapGenerator[0].literals.map((line: string) => line.split(/=(.*)/s).slice(0, 2)))
}

t.test('every manifest is one that the API takes, without unknown fields', async t => {
  t.ok(sources.length >= 18, 'the manifests were found')
  for (const found of all) t.same(await schemaFaults(found.manifest), [], nameOf(found))
})

t.test('the schema check sees a wrong type, an unknown field, a missing one and an unknown kind', async t => {
  const wrongs: [RegExp, (gateway: Manifest) => void][] = [
    [/containerPort/, gateway => { podOf(gateway).containers[0].ports[0].containerPort = '8765' }],
    [/periodSecs is no field of V1Probe/, gateway => { podOf(gateway).containers[0].livenessProbe.periodSecs = 1 }],
    [/terminationGracePeriodSecond is no field/, gateway => { podOf(gateway).terminationGracePeriodSecond = 1 }],
    [/selector/, gateway => { delete gateway.spec.selector }],
    [/has no Deploymint/, gateway => { gateway.kind = 'Deploymint' }]
  ]
  for (const [fault, spoil] of wrongs) {
    const gateway = gatewayCopy()
    spoil(gateway)
    t.match((await schemaFaults(gateway)).join('\n'), fault)
  }
  const monitor = copyOf('PodMonitor', 'headway')
  monitor.spec.podMetricsEndpoints[0].interval = 15
  t.match((await schemaFaults(monitor)).join('\n'), /interval/, 'custom resources too')
})

t.test('what runs keeps the restricted standard, has bounds, probes, and secrets by reference', async t => {
  t.ok(all.filter(({ manifest }) => podOf(manifest) !== undefined).length >= 3, 'there is something that runs')
  t.same(all.flatMap(faultsOf(policyFaults)), [])
})

t.test('the policy check sees each rule broken', async t => {
  const wrongs: [RegExp, (pod: Manifest, container: Manifest) => void][] = [
    [/enableServiceLinks/, pod => { delete pod.enableServiceLinks }],
    [/automountServiceAccountToken/, pod => { pod.automountServiceAccountToken = true }],
    [/seccompProfile/, pod => { delete pod.securityContext.seccompProfile }],
    [/runAsUser/, pod => { pod.securityContext.runAsUser = 0 }],
    [/hostNetwork/, pod => { pod.hostNetwork = true }],
    [/readOnlyRootFilesystem/, (_, container) => { delete container.securityContext.readOnlyRootFilesystem }],
    [/capabilities/, (_, container) => { container.securityContext.capabilities.add = ['NET_ADMIN'] }],
    [/limit of memory/, (_, container) => { delete container.resources.limits }],
    [/HEADWAY_JWT_SECRET/, (_, container) => { container.env[1] = { name: 'HEADWAY_JWT_SECRET', value: 'x' } }],
    [/not latest/, (_, container) => { container.image = 'headway:latest' }]
  ]
  for (const [fault, spoil] of wrongs) {
    const gateway = gatewayCopy()
    spoil(podOf(gateway), podOf(gateway).containers[0])
    t.match(policyFaults(gateway).join('\n'), fault)
  }
})

t.test('the migration runs the image of production, in its namespace, and may reach Postgres', async t => {
  const overlay = (name: string): Manifest => kustomizations().find(({ from }) => from === `k8s/overlays/${name}/kustomization.yaml`)?.manifest
  const [migration, production] = [overlay('migrate'), overlay('production')]
  t.same(migration.images, production.images)
  t.equal(migration.namespace, production.namespace)
  const job = copyOf('Job', 'headway-migrate')
  t.match(policyFaults({ ...job, spec: { ...job.spec, activeDeadlineSeconds: undefined } }), [/must have an end/])
  const own = job.spec.template.metadata.labels['app.kubernetes.io/name']
  const open = sources.filter(({ manifest }) => manifest.kind === 'NetworkPolicy' && manifest.spec.policyTypes.includes('Egress'))
    .filter(({ manifest }) => manifest.spec.podSelector.matchExpressions?.some((one: Manifest) => one.values.includes(own)))
  const rules = open.flatMap(({ manifest }): Manifest[] => manifest.spec.egress)
  t.same(rules.flatMap(rule => rule.ports.map((one: Manifest) => one.port)), [5432])
})

t.test('a gateway has the time that its drain takes', async t => {
  t.same(drainFaults(gatewayCopy(), literals()), [])
  t.match(drainFaults(gatewayCopy(), { ...literals(), HEADWAY_DRAIN_WINDOW_MS: '80000' }), [/at least 10 \+ 80 \+ 15/])
})

t.test('every setting, argument, port and path of the manifests is one of the code', async t => {
  const known = new Map(settings().map(setting => [setting.name as string, setting]))
  const maps = kustomizations().flatMap(({ manifest }): Manifest[] => manifest.configMapGenerator ?? [])
  const given = maps.flatMap((one): string[] => one.literals ?? [])
  for (const line of given) {
    const [name = ''] = line.split('=')
    t.ok(known.has(name), `${name} is a setting`)
    t.notOk(known.get(name)?.secret, `${name} is no secret`)
  }
  const fallback = (name: string): number => Number(known.get(name)?.fallback)
  const ports: Record<string, number> = { public: fallback('WEBSOCKET_PORT'), internal: fallback('HEADWAY_INTERNAL_PORT') }
  const headway = all.filter(({ manifest }) => ['Deployment', 'Job'].includes(manifest.kind))
  for (const { manifest } of headway) {
    const [container] = podOf(manifest).containers
    t.match(readFileSync(join(ROOT, 'src/cli/headway.ts'), 'utf8'), new RegExp(`^ {2}${container.args[0]}: async`, 'm'), `${container.args[0]} is a command`)
    for (const one of container.env) {
      t.ok(known.has(one.name), `${one.name} is a setting`)
      if (one.valueFrom !== undefined) t.equal(one.valueFrom.secretKeyRef.key, one.name, 'the key of the secret has the name of the setting')
    }
    if (manifest.kind === 'Job') continue // neither ports nor probes
    for (const { name, containerPort } of container.ports) t.equal(containerPort, ports[name], `port ${name} is the code's`)
    const code = readFileSync(join(ROOT, container.args[0] === 'gateway' ? 'src/gateway/routes/health.ts' : 'src/persister/probes.ts'), 'utf8')
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const { path, port } = container[probe].httpGet
      t.ok(code.includes(`'${path}'`), `${container.args[0]} answers ${path}`)
      t.equal(port, 'internal')
    }
  }
})

t.test('names that point to others point to something', async t => {
  for (const { overlay, found } of overlays) {
    if (found === null) continue
    const objects = new Set(found.map(({ manifest }) => `${manifest.kind}/${manifest.metadata.name}`))
    const labels = found.flatMap(({ manifest }): Manifest[] => podOf(manifest) ? [manifest.spec.template.metadata.labels] : [])
    for (const { manifest } of found) {
      const own = manifest.spec?.selector
      const selector = manifest.kind === 'Service' ? own : manifest.kind === 'PodDisruptionBudget' ? own.matchLabels : null
      const selects = labels.some(label => Object.entries(selector ?? {}).every(([key, value]) => label[key] === value))
      t.ok(selects, `${overlay}: ${manifest.kind} ${manifest.metadata.name} selects pods`)
      const pod = podOf(manifest)
      for (const one of pod?.containers[0].envFrom ?? []) t.ok(objects.has(`ConfigMap/${one.configMapRef.name}`), `${overlay}: ${one.configMapRef.name} exists`)
      if (manifest.kind === 'Deployment') t.match(pod.containers[0].envFrom[0].configMapRef.name, /^headway-[a-z0-9]{10}$/, 'a changed setting rolls the pods')
      if (manifest.kind === 'HTTPRoute') t.ok(objects.has(`Service/${manifest.spec.rules[0].backendRefs[0].name}`))
      if (manifest.kind === 'HorizontalPodAutoscaler') {
        t.ok(objects.has(`Deployment/${manifest.spec.scaleTargetRef.name}`))
        const { name } = manifest.spec.scaleTargetRef
        const scaled = found.find(one => one.manifest.kind === 'Deployment' && one.manifest.metadata.name === name)
        t.equal(scaled?.manifest.spec.replicas, undefined, 'the autoscaler alone owns the number')
      }
    }
  }
})

t.test('the network is closed but for what is said, and the internal port is not among what clients reach', async t => {
  const policies = sources.filter(({ manifest }) => manifest.kind === 'NetworkPolicy').map(({ manifest }) => manifest)
  const deny = policies.find(({ metadata }) => metadata.name === 'headway-deny')
  t.same(deny.spec, { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  const open = policies.flatMap(({ spec }) => spec.ingress ?? []).filter((rule: Manifest) => rule.from === undefined)
  t.same(open.flatMap((rule: Manifest) => rule.ports.map((one: Manifest) => one.port)), ['public'])
  for (const { from, manifest } of kustomizations().filter(one => /k8s\/overlays\/(dev|production)/.test(one.from))) {
    t.ok(manifest.components.includes('../../components/network-policies'), from)
  }
})

t.test('what may go to any address may go to any of both families, and to no metadata service of a cloud', async t => {
  const rules = sources.filter(({ manifest }) => manifest.kind === 'NetworkPolicy').flatMap(({ manifest }): Manifest[] => manifest.spec.egress ?? [])
  const blocks = rules.map((rule): Manifest[] => rule.to.flatMap((peer: Manifest) => peer.ipBlock ?? [])).filter(found => found.length > 0)
  t.ok(blocks.length >= 3, 'the rules were found')
  for (const found of blocks) {
    t.same(found, [
      { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] }, { cidr: '::/0', except: ['fe80::/10', 'fd00:ec2::/32', 'fd20:ce::/32'] }
    ])
    const denied = new BlockList()
    for (const { except } of found) {
      for (const range of except) denied.addSubnet(range.split('/')[0], Number(range.split('/')[1]), range.includes(':') ? 'ipv6' : 'ipv4')
    }
    t.ok(denied.check('169.254.169.254') && denied.check('fd00:ec2::254', 'ipv6') && denied.check('fd20:ce::254', 'ipv6'))
    t.notOk(denied.check('10.0.0.1') || denied.check('2001:db8::1', 'ipv6') || denied.check('fd00:1234::1', 'ipv6'))
  }
})

t.test('traces: the way to the collector is open for who has spans, where the setting points', async t => {
  const component = kustomizations().find(({ from }) => from === 'k8s/components/tracing/kustomization.yaml')?.manifest
  const [name = '', endpoint = ''] = component.configMapGenerator[0].literals[0].split(/=(.*)/s)
  t.equal(name, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  const { hostname, port } = new URL(endpoint)
  const { podSelector, egress: [{ to: [peer], ports }] } = copyOf('NetworkPolicy', 'headway-tracing').spec
  t.same(podSelector.matchExpressions[0].values, ['headway-gateway', 'headway-persister'])
  t.same(ports, [{ protocol: 'TCP', port: Number(port) }])
  t.equal(peer.namespaceSelector.matchLabels['kubernetes.io/metadata.name'], hostname.split('.')[1])
  const found = renderedWith('production', ['tracing'], t.testdir({}))
  if (found === null) return
  for (const one of found) t.same(await schemaFaults(one.manifest), [], nameOf(one))
  const map = found.find(({ manifest }) => manifest.kind === 'ConfigMap' && manifest.data.HEADWAY_SOCKETS_MAX !== undefined)?.manifest
  t.equal(map.data[name], endpoint, 'beside the settings of the base')
  t.match(podOf(found.find(one => one.manifest.metadata.name === 'headway-persister' && one.manifest.kind === 'Deployment')?.manifest).containers[0].envFrom,
    [{ configMapRef: { name: map.metadata.name } }])
})

t.test('both families: every Service wants them, and what listens does so on both', async t => {
  const found = renderedWith('production', ['dual-stack'], t.testdir({}))
  const component = kustomizations().find(({ from }) => from === 'k8s/components/dual-stack/kustomization.yaml')?.manifest
  const listens = Object.fromEntries(component.configMapGenerator[0].literals.map((line: string) => line.split('=')))
  t.same(listens, { WEBSOCKET_HOST: '::', HEADWAY_INTERNAL_HOST: '::' })
  if (found === null) return
  const services = found.filter(({ manifest }) => manifest.kind === 'Service')
  t.ok(services.length >= 2)
  for (const { manifest } of services) t.equal(manifest.spec.ipFamilyPolicy, 'PreferDualStack', manifest.metadata.name)
  for (const one of found) t.same(await schemaFaults(one.manifest), [], nameOf(one))
})

t.test('every component can be added to production, all at once too', async t => {
  const names = kustomizations().flatMap(({ from }) => /k8s\/components\/([\w-]+)\//.exec(from)?.[1] ?? [])
  const { components } = kustomizations().find(({ from }) => from === 'k8s/overlays/production/kustomization.yaml')?.manifest
  // Of redis there is an overlay of its own: production's is elsewhere.
  const others = names.filter(name => name !== 'redis' && !components.includes(`../../components/${name}`))
  t.same(others.sort(), ['dual-stack', 'ingress', 'tracing'])
  const found = renderedWith('production', others, t.testdir({}))
  if (found === null) return
  for (const one of found) t.same([...await schemaFaults(one.manifest), ...policyFaults(one.manifest)], [], nameOf(one))
})

t.test('a Redis of its own is reached by name: an address block need not hold pods', async t => {
  const open = sources.filter(({ manifest }) => manifest.kind === 'NetworkPolicy').filter(({ manifest }) => (manifest.spec.egress ?? []).some((rule: Manifest) =>
    rule.to.some((peer: Manifest) => peer.podSelector?.matchLabels['app.kubernetes.io/name'] === 'headway-redis')))
  t.equal(open.length, 1)
  t.match(open[0]?.from, /components\/redis\//, 'it comes and goes with it')
  for (const name of ['headway-gateway', 'headway-persister']) t.ok(open[0]?.manifest.spec.podSelector.matchExpressions[0].values.includes(name), name)
})

t.test('pods are added at 70 % of what one takes, and balancers wait longer than pings', async t => {
  const { spec } = copyOf('HorizontalPodAutoscaler', 'headway-gateway')
  t.equal(Number(spec.metrics[0].pods.target.averageValue), 0.7 * Number(literals()['HEADWAY_SOCKETS_MAX']))
  const ping = Number(settings().find(({ name }) => name === 'HEADWAY_PING_INTERVAL_MS')?.fallback)
  const { annotations } = copyOf('Ingress', 'headway').metadata
  for (const side of ['read', 'send']) t.ok(Number(annotations[`nginx.ingress.kubernetes.io/proxy-${side}-timeout`]) * 1000 > 2 * ping)
  t.ok(parse(readFileSync(join(ROOT, 'k8s/components/gateway-api/route.yaml'), 'utf8')).spec.rules[0].timeouts.request === '0s')
})
