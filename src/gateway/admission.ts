// Who may hold a connection: what the whole gateway takes is asked before anybody's token is looked at, what one tenant may have
// once it is known whose it is. WebSockets and streams of server-sent events count alike. Every refusal is an HTTP status before
// anything is upgraded or streamed, and is counted by its reason.

import type { FastifyRequest } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'
import type { OriginPolicy } from './origin.ts'
import { createQuota } from './quotas.ts'
import type { GatewaySettings } from './settings.ts'
import { type AdmissionRefusal, countOne, type Tally } from './tally.ts'
import { TokenBucket } from './token-bucket.ts'

export type ConnectionKind = 'sockets' | 'streams'

export interface Admission {
  /** Before the token. @throws HeadwayError not_ready, overloaded, forbidden */
  knock: (request: FastifyRequest) => void
  /**
   * The connection counts from now on, until `leave` says the same.
   * @param tenant null = its token comes later, see `identify`
   * @throws HeadwayError too_many_requests; then nothing is counted
   */
  enter: (kind: ConnectionKind, tenant: string | null) => void
  /** A socket that entered without a token has brought it. @throws HeadwayError too_many_requests */
  identify: (tenant: string) => void
  leave: (kind: ConnectionKind, tenant: string | null) => void
  /** Nobody may come in any more. */
  close: () => void
  count: () => Record<ConnectionKind, number>
}

export interface AdmissionOptions {
  config: Pick<GatewaySettings, 'handshakes_per_s' | 'sockets_max' | 'tenant_handshakes_per_s' | 'tenant_sockets_max'>
  origins: OriginPolicy
  tally: Pick<Tally, 'turned_away'>
}

export function createAdmission ({ config, origins, tally }: AdmissionOptions): Admission {
  const { handshakes_per_s: perS, sockets_max: most, tenant_handshakes_per_s: tenantPerS, tenant_sockets_max: tenantMost } = config
  const handshakes = new TokenBucket({ per_s: perS, burst: perS })
  const ofTenants = createQuota({ of: 'handshakes', setting: 'HEADWAY_TENANT_HANDSHAKES_PER_S', per_s: tenantPerS, burst: tenantPerS })
  const open: Record<ConnectionKind, number> = { sockets: 0, streams: 0 }
  /** Connections of each tenant that has one. */
  const held = new Map<string, number>()
  let closed = false

  /** One that asks too much takes nothing of what the others may ask. */
  function refuseTenant (reason: AdmissionRefusal, error: HeadwayError): never {
    handshakes.giveBack()
    refuse(reason, error)
  }

  function refuse (reason: AdmissionRefusal, error: HeadwayError): never {
    countOne(tally.turned_away, reason)
    throw error
  }

  function identify (tenant: string): void {
    if ((held.get(tenant) ?? 0) >= tenantMost) {
      refuseTenant('tenant_connections', new HeadwayError('too_many_requests',
        `This tenant holds ${tenantMost} connections here, as many as it may; close some, or raise HEADWAY_TENANT_SOCKETS_MAX.`))
    }
    try {
      ofTenants.take(tenant)
    } catch (error) {
      refuseTenant('tenant_handshakes', error as HeadwayError)
    }
    countOne(held, tenant)
  }

  return {
    knock ({ headers: { origin }, host }) {
      if (closed) refuse('stopping', new HeadwayError('not_ready', 'This gateway is stopping; another one will answer.'))
      if (open.sockets + open.streams >= most) {
        refuse('connections', new HeadwayError('overloaded', 'This gateway holds as many sockets as it may.'))
      }
      if (!handshakes.take()) {
        refuse('handshakes', new HeadwayError('overloaded', 'More clients come at once than this gateway takes; come back in a moment.'))
      }
      if (!origins.permits(origin, host)) {
        refuse('origin', new HeadwayError('forbidden', 'Pages of this origin may not connect; see HEADWAY_ALLOWED_ORIGINS.'))
      }
    },
    enter (kind, tenant) {
      if (tenant !== null) identify(tenant)
      open[kind]++
    },
    identify,
    leave (kind, tenant) {
      open[kind]--
      if (tenant === null) return
      const left = (held.get(tenant) ?? 0) - 1
      if (left > 0) held.set(tenant, left)
      else held.delete(tenant)
    },
    close () { closed = true },
    count: () => ({ ...open })
  }
}
