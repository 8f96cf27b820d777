// What a gateway needs of the configuration. Times in ms.

import type { Scope } from './auth.ts'

export interface GatewaySettings {
  websocket_host: string
  /** 0 = any free one; so for the internal port. */
  websocket_port: number
  internal_host: string
  internal_port: number
  /** Probes on the public port too. */
  public_probes: boolean
  dashboard: boolean
  /** Empty = the gateway's own origin only; `*` = any. */
  allowed_origins: readonly string[]
  /** off, on, or the addresses of the proxies. */
  trust_proxy: string
  jwt_secret: string
  tenant_claim: string
  user_scopes: readonly Scope[]
  ping_interval_ms: number
  body_bytes_max: number
  frame_bytes_max: number
  sockets_max: number
  /** Jobs a socket. */
  subscriptions_max: number
  /** Messages a socket. */
  messages_per_s: number
  messages_burst: number
}
