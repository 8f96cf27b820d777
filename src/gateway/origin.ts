// Which web pages may talk to this gateway: one rule for CORS and for the WebSocket handshake, which CORS does not guard.

export interface OriginPolicy {
  /**
   * @param origin the Origin header; absent = not a browser, and permitted
   * @param host what the client called this gateway: Host, or X-Forwarded-Host behind a trusted proxy
   */
  permits: (origin: string | undefined, host: string) => boolean
}

/** @param allowed exact origins; empty = the gateway's own only; `*` = any but `null` */
export function createOriginPolicy (allowed: readonly string[]): OriginPolicy {
  const listed = new Set(allowed)
  return {
    permits (origin, host) {
      if (origin === undefined) return true
      // A sandboxed frame or a local file says `null`: it is nobody's page.
      if (origin === 'null' || !URL.canParse(origin)) return false
      return listed.has('*') || listed.has(origin) || isSame(origin, host)
    }
  }
}

// TLS ends before the gateway, so the scheme cannot be compared; default ports are dropped by URL on both sides.
function isSame (origin: string, host: string): boolean {
  const { protocol, host: its } = new URL(origin)
  const own = `${protocol}//${host}`
  return (protocol === 'http:' || protocol === 'https:') && URL.canParse(own) && new URL(own).host === its
}
