// Every setting of Headway, once: name in the environment, type, bounds, default and what it means. `loadConfig`, `--help`
// and .env.example are made from it. A setting without a default must be given. The unit ends the name.

import Type, { type Static, type TSchema } from 'typebox'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export const SCOPES = ['jobs:read', 'jobs:control', 'jobs:write'] as const
export type Scope = typeof SCOPES[number]

const HTTP_OR_NONE = /^(https?:\/\/.+)?$/

const port = (value: number, description: string) => Type.Integer({ default: value, minimum: 0, maximum: 65_535, description })
const text = (value: string, pattern: RegExp, rule: string, options: { description: string, secret?: true }) =>
  Type.Refine(Type.String({ default: value, ...options }), given => pattern.test(given), () => rule)
const spanMs = (value: number, minimum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum: 366 * DAY_MS, description })
const count = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })

/** `secret: true`: never printed, and `<NAME>_FILE` may name a file that holds it. */
export const SETTINGS = Type.Object({
  REDIS_URL: text('redis://127.0.0.1:6379', /^rediss?(\+cluster|\+sentinel)?:\/\/.+/, 'must begin with redis:// or rediss://', {
    secret: true,
    description: 'Redis 7.0 or newer. redis:// or rediss://; a comma list of nodes or redis+cluster://a:1,b:2 for Cluster; ' +
      'redis+sentinel://h1:p,h2:p/<master name> for Sentinel.'
  }),
  HEADWAY_PREFIX: text('hw', /^[A-Za-z0-9][A-Za-z0-9._:-]{0,31}$/, 'must be 1 to 32 letters, digits or . _ : -', {
    description: 'Begins every key and channel in Redis; no braces. Two deployments on one Redis need two.'
  }),
  HEADWAY_PARTITIONS: Type.Refine(
    Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1_024,
      description: 'A power of two, fixed when the deployment is created. 0 = 8, or 64 on Cluster.'
    }),
    value => (value & (value - 1)) === 0,
    () => 'must be a power of two, or 0'),

  WEBSOCKET_HOST: Type.String({ default: '0.0.0.0', minLength: 1, description: 'Address that the gateway listens on.' }),
  WEBSOCKET_PORT: port(8765, 'Port of WebSocket, HTTP and the dashboard. 0 = any free one.'),
  HEADWAY_INTERNAL_HOST: Type.String({ default: '0.0.0.0', minLength: 1, description: 'Address of the internal port.' }),
  HEADWAY_INTERNAL_PORT: port(9090, 'Port of the probes, kept from the outside. 0 = any free one.'),
  HEADWAY_PUBLIC_PROBES: Type.Boolean({ default: true, description: 'Probes also on the public port. Off in Kubernetes.' }),
  HEADWAY_DASHBOARD: Type.Boolean({ default: true, description: 'Serve the dashboard at /.' }),
  HEADWAY_ALLOWED_ORIGINS: Type.Array(
    Type.Refine(Type.String(), isOrigin, () => 'must be an origin like https://app.example.com, or *'),
    { default: [], description: 'Origins of web pages that may connect, for WebSocket and CORS. Empty = the gateway\'s own; * = any.' }),
  HEADWAY_TRUST_PROXY: text('off', /^(off|on|[0-9a-fA-F.:/, ]+)$/, 'must be off, on or a list of addresses', {
    description: 'Believe X-Forwarded-* : off, on (any sender), or the addresses of the proxies (10.0.0.0/8,…).'
  }),
  HEADWAY_LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    default: 'info', description: 'Least level that is logged.'
  }),

  HEADWAY_REVISION: text('', /^[\w.:/+-]{0,128}$/, 'must be letters, digits or . _ : / + -', {
    description: 'Revision of the source that this build was made of, told in headway_build_info. The image sets it.'
  }),

  OTEL_EXPORTER_OTLP_ENDPOINT: text('', HTTP_OR_NONE, 'must begin with http:// or https://', {
    description: 'Traces go to this collector (OTLP over HTTP, /v1/traces is added). Empty = no tracing. The SDK\'s other OTEL_ variables apply.'
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text('', HTTP_OR_NONE, 'must begin with http:// or https://', {
    description: 'The same as a whole address, instead.'
  }),
  OTEL_SERVICE_NAME: Type.String({ default: '', description: 'Name of this process in traces. Empty = headway-gateway or headway-persister.' }),
  OTEL_SDK_DISABLED: Type.Boolean({ default: false, description: 'No tracing, whatever else is set.' }),

  HEADWAY_JWT_SECRET: Type.String({
    secret: true,
    minLength: 32,
    description: 'Key of the HS256 tokens, at least 32 characters; Supabase\'s JWT secret fits.'
  }),
  HEADWAY_JWKS_URL: text('', HTTP_OR_NONE, 'must begin with https://', {
    description: 'Public keys of tokens, besides: ES256, RS256, EdDSA. Supabase: https://<project>.supabase.co/auth/v1/.well-known/jwks.json. Empty = HS256 only.'
  }),
  HEADWAY_TENANT_CLAIM: text('app_metadata.tenant_id', /^[\w-]+(\.[\w-]+)*$/, 'must be names of claims joined by dots', {
    description: 'Claim that names the tenant; dots go into objects. Must not be one that users can edit; sub = each user is a tenant.'
  }),
  HEADWAY_USER_SCOPES: Type.Array(Type.Enum(SCOPES), {
    default: ['jobs:read', 'jobs:control'],
    description: 'Scopes of a token that has no scope claim: jobs:read, jobs:control, jobs:write (workers).'
  }),

  HEADWAY_PING_INTERVAL_MS: spanMs(25_000, 100, 'Between two pings of a socket; two without an answer close it. Below the idle time-out of proxies.'),
  HEADWAY_PROGRESS_INTERVAL_MS: spanMs(100, 0, 'Progress of a job goes out at most this often, the newest only. Other events never wait.'),
  HEADWAY_SOCKET_QUEUE_BYTES_MAX: count(262_144, 16_384, 67_108_864,
    'Bytes queued for one socket; beyond it nothing more, until it has read them: then what it missed.'),
  HEADWAY_BEHIND_MS_MAX: spanMs(30_000, 1_000, 'A socket that does not read for this long is closed with 1013.'),
  HEADWAY_DRAIN_DELAY_MS: spanMs(0, 0, 'After SIGTERM: not ready, but serving, until the load balancer has noticed. Kubernetes: 0 with a preStop sleep.'),
  HEADWAY_DRAIN_WINDOW_MS: spanMs(5_000, 0, 'Then sockets are closed with 1012, spread over this time.'),
  HEADWAY_HANDSHAKES_PER_S: count(2_000, 1, 1_000_000, 'Handshakes a second that one gateway takes; beyond it 503 with Retry-After.'),
  HEADWAY_BODY_BYTES_MAX: count(1_048_576, 1_024, 67_108_864, 'HTTP body; beyond it 413.'),
  HEADWAY_FRAME_BYTES_MAX: count(65_536, 1_024, 1_048_576, 'WebSocket message from a client; beyond it the socket closes with 1009.'),
  HEADWAY_SOCKETS_MAX: count(50_000, 1, 10_000_000, 'Sockets of one gateway; beyond it an upgrade answers 503.'),
  HEADWAY_SUBSCRIPTIONS_MAX: count(1_000, 1, 100_000, 'Jobs that one socket watches; beyond it an error.'),
  HEADWAY_MESSAGES_PER_S: count(100, 1, 100_000, 'Messages a second that one socket may send in the long run; beyond it 4429.'),
  HEADWAY_MESSAGES_BURST: count(1_200, 1, 1_000_000, 'Messages that one socket may send at once; enough to subscribe to every job it may.'),

  HEADWAY_TENANT_REQUESTS_PER_S: count(1_000, 1, 1_000_000,
    'HTTP requests a second of one tenant that one gateway takes; twice as many at once. Beyond it 429.'),
  HEADWAY_TENANT_EVENTS_PER_S: count(10_000, 1, 10_000_000,
    'Worker events a second of one tenant that one gateway takes over HTTP; at least 1,000 at once. Beyond it 429.'),
  HEADWAY_TENANT_SOCKETS_MAX: count(25_000, 1, 10_000_000, 'Sockets and streams of one tenant at one gateway; beyond it 429.'),
  HEADWAY_TENANT_HANDSHAKES_PER_S: count(1_500, 1, 1_000_000,
    'Sockets and streams a second that one gateway takes of one tenant, as many at once. Beyond it 429 with Retry-After.'),
  HEADWAY_TENANT_MESSAGES_PER_S: count(10_000, 1, 10_000_000,
    'Messages a second on all sockets of one tenant at one gateway; five times as many at once. Beyond it an error for each.'),

  HEADWAY_CONTROL_TIMEOUT_MS: spanMs(MINUTE_MS, 100, 'A pause or cancel that no worker acknowledges is forced after this.'),
  HEADWAY_STALL_AFTER_MS: spanMs(30_000, 100, 'A running job whose worker sent heartbeats, then nothing for this long, is stalled.'),
  HEADWAY_ABANDON_AFTER_MS: spanMs(7 * DAY_MS, 1_000, 'A job without any sign of life for this long has failed.'),
  HEADWAY_RETENTION_MS: spanMs(5 * MINUTE_MS, 0, 'An ended job leaves Redis after this; with a sink not before it is written there.'),
  HEADWAY_SWEEP_INTERVAL_MS: spanMs(300, 10, 'How often each gateway looks at every partition; timers fire at this grain.'),
  HEADWAY_LOG_EVENTS_MAX: count(2_000, 1, 1_000_000, 'Events kept in a job\'s log; older positions get a snapshot.'),
  HEADWAY_LOG_BYTES_MAX: count(1_048_576, 16_384, 1_073_741_824, 'Bytes of a job\'s log.'),
  HEADWAY_ITEMS_MAX: count(100_000, 1, 10_000_000, 'Items of one job; beyond it unknown items are refused and counters go on.'),
  HEADWAY_REJECTED_MAX: count(1_000, 1, 1_000_000, 'Dead letters kept in each partition.'),

  HEADWAY_SINK: Type.Enum(['', 'none', 'supabase', 'postgres'], {
    default: '', description: 'Where jobs are kept for good: supabase, postgres or none. Empty = supabase when SUPABASE_URL is set.'
  }),
  SUPABASE_URL: text('', /^(https?:\/\/.+)?$/, 'must begin with https://', { description: 'The Supabase project. Empty = none.' }),
  SUPABASE_SERVICE_ROLE_KEY: Type.String({
    default: '', secret: true, description: 'Key of the persister: sb_secret_… or the legacy service_role key. A gateway that has it reads ended jobs, of the token\'s tenant only.'
  }),
  SUPABASE_ANON_KEY: Type.String({
    default: '',
    secret: true,
    description: 'Gateways read ended jobs with it and a Supabase user\'s own token: sb_publishable_… or the legacy anon key. SUPABASE_KEY is another name.'
  }),
  HEADWAY_ARCHIVE_TIMEOUT_MS: spanMs(5_000, 100, 'A gateway gives up a read of the database after this, with 503.'),
  HEADWAY_POSTGRES_URL: text('', /^(postgres(ql)?:\/\/.+)?$/, 'must begin with postgres://', {
    secret: true, description: 'With HEADWAY_SINK=postgres: postgres://user:password@host/database; the user may execute headway_persist. For headway migrate: the owner\'s.'
  }),
  HEADWAY_PERSIST_INTERVAL_MS: spanMs(500, 10, 'An idle persister looks into the outbox this often; what came meanwhile is one batch.'),
  HEADWAY_PERSIST_JOBS_MAX: count(500, 1, 10_000, 'Jobs of one call of the sink; when it is too much the persister sends less by itself.'),
  HEADWAY_PERSIST_EVENTS_MAX: count(2_000, 1, 100_000, 'Events of one call of the sink.'),
  HEADWAY_PERSIST_BYTES_MAX: count(1_000_000, 10_000, 50_000_000, 'Bytes of one call of the sink, about.'),
  HEADWAY_PERSIST_TIMEOUT_MS: spanMs(20_000, 100, 'A call of the sink that takes longer is given up and told again.'),
  HEADWAY_INBOUND: Type.Boolean({ default: true, description: 'Take what apps write into the database: jobs, requests, events.' }),
  HEADWAY_INBOUND_POLL_MS: spanMs(5_000, 100, 'Rows of apps are looked for this often; a doorbell makes it sooner.'),
  HEADWAY_INBOUND_ROWS_MAX: count(200, 1, 1_000, 'Requests, and as many events, that are read from the database at once.'),
  HEADWAY_OUTBOX_BYTES_MAX: count(536_870_912, 1_048_576, 1_099_511_627_776, 'Bytes waiting for the sink, of all partitions; beyond it see the next.'),
  HEADWAY_OUTBOX_FULL: Type.Enum(['dirty', 'hold'], {
    default: 'dirty', description: 'Full outbox: dirty = events go on, the database gets newest states and what jobs\' logs still hold; hold = events wait.'
  }),
  HEADWAY_WAITING_JOBS_MAX: count(10_000, 0, 10_000_000, 'Ended jobs kept whole while they wait for the sink; beyond it only their header.')
})

type Settings = Static<typeof SETTINGS>
export type EnvName = keyof Settings
/** WEBSOCKET_PORT → websocket_port, HEADWAY_LOG_LEVEL → log_level. */
type ConfigKey<N extends string> = Lowercase<N extends `HEADWAY_${infer Rest}` ? Rest : N>
export type Config = { readonly [N in EnvName as ConfigKey<N>]: Settings[N] }

/** What a setting says of itself, beyond JSON schema. */
export interface Setting {
  name: EnvName
  key: keyof Config
  kind: 'string' | 'integer' | 'boolean' | 'list'
  schema: TSchema
  description: string
  secret: boolean
  /** As it would stand in the environment; null = must be given. */
  fallback: string | null
}

/** @returns every setting, in the order of the schema */
export function settings (): Setting[] {
  return Object.entries(SETTINGS.properties).map(([name, schema]) => {
    const options = schema as { type?: string, default?: unknown, secret?: boolean, description?: string }
    return {
      name: name as EnvName,
      key: name.replace(/^HEADWAY_/, '').toLowerCase() as keyof Config,
      kind: kindOf(options.type),
      schema,
      description: options.description ?? '',
      secret: options.secret === true,
      fallback: options.default === undefined ? null : textOf(options.default)
    }
  })
}

function kindOf (type: string | undefined): Setting['kind'] {
  if (type === 'array') return 'list'
  return type === 'integer' || type === 'boolean' ? type : 'string'
}

function textOf (value: unknown): string {
  return Array.isArray(value) ? value.join(' ') : String(value)
}

function isOrigin (text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text)
}
