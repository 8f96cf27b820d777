// One answer of server-sent events, read as it comes. By node:http: its socket can be told not to hold the process, which fetch's
// cannot.

import { request as requestHttp } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { createEventParser } from '../protocol/event-stream.ts'
import type { StreamEvent } from '../protocol/event-stream.ts'

export interface StreamParams {
  url: URL
  headers: Record<string, string>
  signal: AbortSignal
  onOpen: () => void
  onEvent: (event: StreamEvent) => void
}

/** What is answered instead of a stream. */
export interface StreamRefusal { status: number, headers: IncomingMessage['headers'], body: string }

/** Gateways send a comment every 25 s. */
const SILENCE_MS_MAX = 60_000
const REFUSAL_BYTES_MAX = 65_536

/**
 * @returns null when the stream was ended by the server
 * @throws Error when the line broke, or fell silent
 */
export function readStream ({ url, headers, signal, onOpen, onEvent }: StreamParams): Promise<StreamRefusal | null> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, { headers: { accept: 'text/event-stream', ...headers }, signal, agent: false }, answer => {
      answer.setEncoding('utf8')
      answer.on('error', reject)
      answer.on('aborted', () => reject(new Error('the stream broke off')))
      if (answer.statusCode !== 200) {
        let body = ''
        answer.on('data', (text: string) => { if (body.length < REFUSAL_BYTES_MAX) body += text })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
        return
      }
      onOpen()
      const parse = createEventParser(onEvent, () => {})
      answer.on('data', (text: string) => {
        try {
          parse(text)
        } catch (error) {
          request.destroy(error as Error)
        }
      })
      answer.on('end', () => resolve(null))
    })
    request.on('socket', socket => {
      socket.unref()
      socket.setTimeout(SILENCE_MS_MAX, () => request.destroy(new Error(`the stream was silent for ${SILENCE_MS_MAX} ms`)))
    })
    request.on('error', reject)
    request.end()
  })
}
