// What engine, archive and persister are told of the configuration. Each takes plain values and knows nothing of the environment.

import type { Config } from './schema.ts'

/** @returns where jobs are kept for good */
export function sinkOf (config: Config): 'none' | 'supabase' | 'postgres' {
  if (config.sink !== '') return config.sink
  return config.supabase_url === '' ? 'none' : 'supabase'
}

/** @returns a sentence for each setting that the sink of a persister needs and has not */
export function sinkFaults (config: Config): string[] {
  const kind = sinkOf(config)
  const missing: string[] = []
  if (kind === 'none') missing.push('SUPABASE_URL is not set: a persister needs a sink; give it, or HEADWAY_SINK=postgres with HEADWAY_POSTGRES_URL')
  if (kind === 'supabase' && config.supabase_url === '') missing.push('SUPABASE_URL is not set; HEADWAY_SINK=supabase needs it')
  if (kind === 'supabase' && config.supabase_service_role_key === '') missing.push('SUPABASE_SERVICE_ROLE_KEY is not set; give it or SUPABASE_SERVICE_ROLE_KEY_FILE')
  if (kind === 'postgres' && config.postgres_url === '') missing.push('HEADWAY_POSTGRES_URL is not set; give it or HEADWAY_POSTGRES_URL_FILE')
  return missing
}

/** @returns where spans go; null = there are none */
export function tracesUrlOf (config: Config): string | null {
  const { otel_exporter_otlp_endpoint: base, otel_exporter_otlp_traces_endpoint: whole, otel_sdk_disabled: disabled } = config
  if (disabled || (base === '' && whole === '')) return null
  return whole !== '' ? whole : `${base.replace(/\/+$/, '')}/v1/traces`
}

/** @returns the options of createEngine, without its log */
export function engineOptions (config: Config) {
  return {
    redis_url: config.redis_url,
    prefix: config.prefix,
    ...(config.partitions > 0 ? { partitions: config.partitions } : {}),
    settings: {
      control_timeout_ms: config.control_timeout_ms,
      stall_after_ms: config.stall_after_ms,
      abandon_after_ms: config.abandon_after_ms,
      retention_ms: config.retention_ms,
      sweep_interval_ms: config.sweep_interval_ms,
      log_events_max: config.log_events_max,
      log_bytes_max: config.log_bytes_max,
      items_max: config.items_max,
      rejected_max: config.rejected_max,
      outbox_bytes_max: sinkOf(config) === 'none' ? 0 : config.outbox_bytes_max,
      outbox_full: config.outbox_full,
      waiting_jobs_max: config.waiting_jobs_max
    }
  }
}

/** @returns the options of createArchive; null = ended jobs are not read from a database */
export function archiveOptions (config: Config) {
  const { supabase_url: url, supabase_service_role_key: serviceKey, supabase_anon_key: anonKey, archive_timeout_ms: timeoutMs } = config
  return url === '' || serviceKey + anonKey === '' ? null : { url, service_key: serviceKey, anon_key: anonKey, timeout_ms: timeoutMs }
}

/** @returns what createPersister is told; the rest is its own */
export function persisterSettings (config: Config) {
  return {
    interval_ms: config.persist_interval_ms,
    jobs_max: config.persist_jobs_max,
    events_max: config.persist_events_max,
    bytes_max: config.persist_bytes_max,
    timeout_ms: config.persist_timeout_ms,
    inbound_poll_ms: config.inbound_poll_ms,
    inbound_rows_max: config.inbound_rows_max
  }
}
