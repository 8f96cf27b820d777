// The ways in which a watcher of a run is connected: a WebSocket, for a job or for all of its tenant, or a stream of server-sent
// events. Plain, and nothing of the program under test.

import { get } from 'node:http'
import { WebSocket } from 'ws'

const HANDSHAKE_MS_MAX = 3_000

export interface Ears {
  opened: () => void
  /** One message, as JSON text. */
  heard: (text: string) => void
  refused: (status: number) => void
  /** Always the last. Of a stream: 1006 for one that was cut, 1000 for one that the server ended. */
  closed: (code: number, reason: string) => void
}

export interface Line {
  /** @param reading false = goes without reading, as one that is stuck */
  setReading: (reading: boolean) => void
  /** Goes without a word. */
  cut: () => void
}

export interface Address { base: string, job: string, token: string, since: string | null, wait_ms: number }

export function openSocket ({ base, job, token, since, wait_ms: waitMs }: Address, ears: Ears): Line {
  return socketTo(base, { job_id: job, token, ...(since === null ? { wait_ms: String(waitMs) } : { since }) }, ears)
}

/** All jobs of the tenant. */
export function openTenant ({ base, token }: Pick<Address, 'base' | 'token'>, ears: Ears): Line {
  return socketTo(base, { token }, ears, { action: 'subscribe_tenant', id: 'all' })
}

function socketTo (base: string, query: Record<string, string>, ears: Ears, first?: object): Line {
  const url = `${base.replace('http', 'ws')}/v1/ws?${new URLSearchParams(query)}`
  const socket = new WebSocket(url, { handshakeTimeout: HANDSHAKE_MS_MAX, perMessageDeflate: false })
  socket.on('open', () => {
    ears.opened()
    if (first !== undefined) socket.send(JSON.stringify(first))
  })
  socket.on('message', data => ears.heard(String(data)))
  socket.on('unexpected-response', (_, response) => {
    ears.refused(response.statusCode ?? 0)
    response.resume()
    socket.terminate()
  })
  socket.on('error', () => {})
  socket.on('close', (code, reason) => ears.closed(code, String(reason)))
  return {
    setReading (reading) {
      if (socket.readyState !== WebSocket.OPEN) return
      if (reading) socket.resume()
      else socket.pause()
    },
    cut: () => socket.terminate()
  }
}

export function openStream ({ base, job, token, since, wait_ms: waitMs }: Address, ears: Ears): Line {
  const query = since === null ? `?wait_ms=${waitMs}` : ''
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...(since === null ? {} : { 'last-event-id': since }) }
  let reading = true
  let response: import('node:http').IncomingMessage | null = null
  let over = false
  const close = (code: number): void => {
    if (over) return
    over = true
    ears.closed(code, '')
  }
  const request = get(`${base}/v1/jobs/${job}/events${query}`, { headers, agent: false }, answer => {
    response = answer
    answer.setEncoding('utf8')
    answer.on('error', () => {})
    answer.on('close', () => close(answer.complete ? 1000 : 1006))
    if (answer.statusCode !== 200) {
      ears.refused(answer.statusCode ?? 0)
      return answer.resume()
    }
    ears.opened()
    let rest = ''
    answer.on('data', (text: string) => {
      const events = (rest + text).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const data = event.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n')
        if (data === '') continue // a comment, or the time to come back
        ears.heard(event.includes('event: error\n') ? JSON.stringify({ type: 'error', ...JSON.parse(data) as object, kind: 'stream' }) : data)
      }
    })
    if (!reading) answer.pause()
  })
  request.on('error', () => close(1006))
  return {
    setReading (wanted) {
      reading = wanted
      if (reading) response?.resume()
      else response?.pause()
    },
    cut: () => request.destroy()
  }
}
