// What a gateway needs of the configuration. Times in ms.

import type { Scope } from './auth.ts'

export interface GatewaySettings {
  /** Of the source; empty = not told. */
  revision: string
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
  /** Public keys of tokens; empty = none. */
  jwks_url: string
  tenant_claim: string
  user_scopes: readonly Scope[]
  ping_interval_ms: number
  /** Progress of a job at most so often. */
  progress_interval_ms: number
  /** Bytes queued for a socket; beyond it is behind. */
  socket_queue_bytes_max: number
  /** A socket that stays behind for this long is closed. */
  behind_ms_max: number
  /** After SIGTERM not ready, but serving, for this long. */
  drain_delay_ms: number
  /** Then sockets are closed, spread over this time. */
  drain_window_ms: number
  handshakes_per_s: number
  body_bytes_max: number
  frame_bytes_max: number
  sockets_max: number
  /** Jobs a socket. */
  subscriptions_max: number
  /** Messages a socket. */
  messages_per_s: number
  messages_burst: number
  /** HTTP, a tenant and gateway. */
  tenant_requests_per_s: number
  tenant_events_per_s: number
  /** Sockets and streams, a tenant and gateway. */
  tenant_sockets_max: number
  tenant_handshakes_per_s: number
  /** On all sockets of a tenant at this gateway. */
  tenant_messages_per_s: number
}
