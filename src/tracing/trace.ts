// Spans along the way of an event, by OpenTelemetry's API alone. Without an SDK, which is the default, all of this ends at once in
// that API's own no-ops; sdk.ts brings the SDK, and is loaded only when it is asked for.
//
// The context travels as the correlation id: an event without one gets the W3C traceparent of the span that it was sent in. It is
// there already, from the entry to the row, so neither the entry nor the reducer has anything more to carry.

import {
  type Attributes, context, type Context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace, TraceFlags
} from '@opentelemetry/api'

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const TRACEPARENT_LENGTH = 55
/** Traces of one message or batch that get a span of it; what goes beyond is not traced. */
const TRACES_MAX = 64

export { SpanKind } from '@opentelemetry/api'
export type { Span } from '@opentelemetry/api'

export interface SpanOptions {
  kind: SpanKind
  attributes?: Attributes
  /** Default: the active one. */
  parent?: Context | undefined
}

export function startSpan (name: string, { kind, attributes = {}, parent = context.active() }: SpanOptions): Span {
  return trace.getTracer('headway').startSpan(name, { kind, attributes }, parent)
}

/** @param error absent = it went well */
export function endSpan (span: Span, attributes: Attributes = {}, error?: unknown): void {
  span.setAttributes(attributes)
  if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
  span.end()
}

/** Within a traced request a span of its own, else nothing but the call. @param told attributes that are known at the end */
export async function inSpan<T> (name: string, run: () => Promise<T>, told: (result: T) => Attributes): Promise<T> {
  if (trace.getActiveSpan() === undefined) return await run()
  const span = startSpan(name, { kind: SpanKind.INTERNAL })
  try {
    const result = await context.with(trace.setSpan(context.active(), span), run)
    endSpan(span, told(result))
    return result
  } catch (error) {
    endSpan(span, {}, error)
    throw error
  }
}

/** For log lines: which span they are of. */
export function spanFields (): { trace_id?: string, span_id?: string } {
  const at = trace.getActiveSpan()?.spanContext()
  return at === undefined ? {} : { trace_id: at.traceId, span_id: at.spanId }
}

/** @returns what carries the span on as a correlation id; undefined = it is not sampled, or there is none */
export function traceparentOf (span: Span | undefined = trace.getActiveSpan()): string | undefined {
  const at = span?.spanContext()
  if (at === undefined || (at.traceFlags & TraceFlags.SAMPLED) === 0) return undefined
  return `00-${at.traceId}-${at.spanId}-01`
}

/** @returns where a correlation id comes from, when it is a traceparent; else undefined */
export function originOf (cid: string | undefined): Context | undefined {
  if (cid === undefined || !isTraced(cid)) return undefined
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(cid) ?? []
  const origin = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return trace.isSpanContextValid(origin) ? trace.setSpanContext(ROOT_CONTEXT, origin) : undefined
}

export interface Step {
  name: string
  attributes: Attributes
  /** Wall ms. */
  started_at: number
}

/** Cheap, for those who would have to gather ids first: whether it looks like a traceparent. */
export function isTraced (cid: string): boolean {
  return cid.length === TRACEPARENT_LENGTH && cid.startsWith('00-')
}

/** One span, already over, in each of the traces that these correlation ids come from. */
export function traceStep (cids: Iterable<string>, { name, attributes, started_at: startTime }: Step): void {
  const seen = new Set<string>()
  for (const cid of cids) {
    if (!isTraced(cid) || seen.has(cid)) continue
    const origin = originOf(cid)
    if (origin === undefined) continue
    if (seen.size === TRACES_MAX) return
    seen.add(cid)
    const options = { kind: SpanKind.CONSUMER, attributes: { ...attributes, correlation_id: cid }, startTime }
    trace.getTracer('headway').startSpan(name, options, origin).end()
  }
}

/** Headers that carry the span on to a gateway. */
export function headersOf (span: Span): Record<string, string> {
  const headers: Record<string, string> = {}
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), headers)
  return headers
}

/** Where a request comes from, by its headers. */
export function originOfHeaders (headers: object): Context {
  return propagation.extract(ROOT_CONTEXT, headers)
}

export function withSpan (span: Span, run: () => void): void {
  context.with(trace.setSpan(context.active(), span), run)
}
