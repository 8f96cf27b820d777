// The examination, subject after subject; what cannot be asked is left out, and why stands among the findings.

import { engineOptions, sinkOf } from '../config/engine-options.ts'
import type { Environment } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { connect, NO_LOG, type Connections } from '../engine/connections.ts'
import { examineAccess } from './access.ts'
import { examineClocks } from './clocks.ts'
import { examineConfiguration } from './configuration.ts'
import { examineDatabase } from './database.ts'
import { findingsOf, reasonOf, type Finding } from './finding.ts'
import { examineConfigured, examinePartitions } from './partitions.ts'
import { examineServer, type Node } from './redis-server.ts'
import { examineStorage } from './storage.ts'
import { examineTokenKeys } from './token-keys.ts'

export interface ExamineOptions {
  /** Mend what can be mended in Redis; else nothing is written anywhere. */
  repair: boolean
}

/** @throws nothing of what it examines: that is a finding */
export async function examine (env: Environment, { repair }: ExamineOptions): Promise<Finding[]> {
  const { findings, config } = examineConfiguration(env)
  if (config === null) return findings
  findings.push(...await examineTokenKeys(config))
  let lastError = ''
  let connections: Connections
  try {
    connections = connect(config.redis_url, { ...NO_LOG, warn (_, message) { lastError = message } })
  } catch (error) {
    const trouble = { means: 'nothing works without Redis', advice: 'mend REDIS_URL' }
    return [...findings, findingsOf('redis').problem('reachable', reasonOf(error), trouble)]
  }
  try {
    const server = await examineServer(connections, () => lastError)
    findings.push(...server.findings)
    if (server.nodes !== null) findings.push(...await examineInside(connections, server.nodes, config, repair))
    findings.push(...await examineDatabase(config), ...await examineClocks(server.nodes ?? [], config))
  } finally {
    connections.close()
  }
  return findings
}

async function examineInside (connections: Connections, nodes: readonly Node[], config: Config, repair: boolean): Promise<Finding[]> {
  const hasSink = sinkOf(config) !== 'none'
  const findings = examineStorage({ nodes, outbox_bytes_max: engineOptions(config).settings.outbox_bytes_max, sink: hasSink })
  try {
    const { findings: configured, keys, exists } = await examineConfigured(connections, config.prefix, config.partitions)
    findings.push(...await examineAccess(connections, nodes, keys), ...configured)
    if (exists) findings.push(...await examinePartitions(connections, keys, repair))
  } catch (error) {
    findings.push(findingsOf('partitions').problem('keys', `Redis refused to be looked into: ${reasonOf(error)}`, {
      means: 'whether the partitions are whole is unknown', advice: 'run headway doctor as a user that may read all keys of the prefix, and SCAN'
    }))
  }
  return findings
}
