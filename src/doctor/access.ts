// Whether this user of Redis may do what Headway does: load its scripts, publish, and hear what is published.

import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Connections } from '../engine/connections.ts'
import type { Keys } from '../engine/keys.ts'
import { loadScript } from '../engine/script.ts'
import { findingsOf, reasonOf, type Finding } from './finding.ts'
import type { Node } from './redis-server.ts'

const { ok, warning, problem } = findingsOf('access')
const SCRIPTS = new URL('../engine/lua/', import.meta.url)
const ECHO_MS_MAX = 3000

export async function examineAccess (connections: Connections, nodes: readonly Node[], keys: Keys): Promise<Finding[]> {
  return [await scriptsOf(nodes), await echoOf(connections, keys)]
}

async function scriptsOf (nodes: readonly Node[]): Promise<Finding> {
  const scripts = readdirSync(SCRIPTS).filter(name => name.endsWith('.lua')).map(loadScript)
  const refused: string[] = []
  for (const { redis } of nodes) {
    for (const { name, source, sha } of scripts) {
      try {
        if (await redis.script('LOAD', source) !== sha) refused.push(`${name}: another SHA1 than of this build`)
      } catch (error) {
        if (!/NOPERM/.test(reasonOf(error))) {
          refused.push(`${name}: ${reasonOf(error)}`)
          continue
        }
        return await evalOf(nodes)
      }
    }
  }
  if (refused.length === 0) return ok('scripts', `all ${scripts.length} scripts load`)
  return problem('scripts', `${refused.length} of ${scripts.length} scripts do not load, the first: ${refused[0] ?? ''}`, {
    means: 'events are not applied', advice: 'use Redis 7.0 or newer with Lua; a proxy in between must pass EVAL and EVALSHA on'
  })
}

/** SCRIPT LOAD is kept back by strict rules; Headway itself does with EVAL and EVALSHA. */
async function evalOf (nodes: readonly Node[]): Promise<Finding> {
  try {
    for (const { redis } of nodes) await redis.eval('#!lua flags=no-writes\nreturn 1', 0)
    return ok('scripts', 'scripts run (SCRIPT LOAD is refused and not needed)')
  } catch (error) {
    return problem('scripts', `scripts may not run: ${reasonOf(error)}`, { means: 'events are not applied', advice: 'allow EVAL and EVALSHA to this user' })
  }
}

/** One message on a channel that only this process hears. */
async function echoOf (connections: Connections, keys: Keys): Promise<Finding> {
  const channel = keys.probe(0, `doctor-${process.pid}-${Date.now()}`)
  const sharded = connections.topology === 'cluster'
  const subscriber = connections.open()
  try {
    const heard = new Promise<boolean>(resolve => subscriber.once(sharded ? 'smessage' : 'message', () => { resolve(true) }))
    await (sharded ? subscriber.ssubscribe(channel) : subscriber.subscribe(channel))
    await (sharded ? connections.command.spublish(channel, '1') : connections.command.publish(channel, '1'))
    if (await Promise.race([heard, delay(ECHO_MS_MAX, false, { ref: false })])) return ok('pubsub', 'what is published is heard')
    return problem('pubsub', `what was published did not arrive within ${ECHO_MS_MAX} ms`, {
      means: 'gateways are deaf: clients hear late, or nothing', advice: 'look for a proxy in between; it must pass on pub/sub'
    })
  } catch (error) {
    return warning('pubsub', `publishing or subscribing is refused: ${reasonOf(error)}`, {
      means: 'gateways need both, a persister neither', advice: `for gateways allow PUBLISH, SUBSCRIBE and their sharded kind on &${keys.prefix}:*`
    })
  } finally {
    subscriber.disconnect()
  }
}
