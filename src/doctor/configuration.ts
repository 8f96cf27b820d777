// The settings by themselves: what is wrong, misspelt or risky in them, before anybody is asked.

import { sinkOf } from '../config/engine-options.ts'
import { ConfigError, loadConfig, unknownSettings, type Environment } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { findingsOf, type Finding } from './finding.ts'

const { ok, warning, problem } = findingsOf('configuration')

/** @returns config: null = it has faults, and nothing else can be examined */
export function examineConfiguration (env: Environment): { findings: Finding[], config: Config | null } {
  let config: Config
  try {
    config = loadConfig(env, ['HEADWAY_JWT_SECRET'])
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const trouble = { means: 'gateways and persisters refuse to start with it', advice: 'mend it; headway config shows what is in effect' }
    return { findings: error.faults.map(fault => problem('settings', fault, trouble)), config: null }
  }
  return { findings: [...settingsOf(env), ...secretOf(config), ...sinkFindings(config), ...accessOf(config)], config }
}

function settingsOf (env: Environment): Finding[] {
  const unknown = unknownSettings(env)
  if (unknown.length === 0) return [ok('settings', 'every setting is known and in its bounds')]
  const trouble = { means: 'it has no effect; most likely it is misspelt', advice: 'compare with headway gateway --help, or remove it' }
  return unknown.map(name => warning('settings', `${name} is no setting of Headway`, trouble))
}

function secretOf (config: Config): Finding[] {
  if (config.jwt_secret === '') {
    return [warning('jwt_secret', 'HEADWAY_JWT_SECRET is not set here', {
      means: 'a persister does without, a gateway does not start', advice: 'on machines of gateways give it, or HEADWAY_JWT_SECRET_FILE'
    })]
  }
  if (new Set(config.jwt_secret).size >= 8) return [ok('jwt_secret', 'HEADWAY_JWT_SECRET is given')]
  return [warning('jwt_secret', `HEADWAY_JWT_SECRET is made of ${new Set(config.jwt_secret).size} different characters`, {
    means: 'it can be guessed, and with it the token of any tenant', advice: 'make one by openssl rand -hex 32'
  })]
}

function sinkFindings (config: Config): Finding[] {
  const sink = sinkOf(config)
  if (sink === 'none') return [ok('sink', 'no database: jobs are in Redis only, and leave it after HEADWAY_RETENTION_MS')]
  const missing = []
  if (sink === 'supabase' && config.supabase_url === '') missing.push('SUPABASE_URL')
  if (sink === 'supabase' && config.supabase_service_role_key === '') missing.push('SUPABASE_SERVICE_ROLE_KEY')
  if (sink === 'postgres' && config.postgres_url === '') missing.push('HEADWAY_POSTGRES_URL')
  if (missing.length === 0) return [ok('sink', `jobs are kept in ${sink}`)]
  return [warning('sink', `jobs are to be kept in ${sink}, and ${missing.join(' and ')} is not set here`, {
    means: 'a gateway does without, a persister does not start', advice: 'on machines of persisters give it; the database is examined only then'
  })]
}

function accessOf (config: Config): Finding[] {
  const findings = []
  if (/^user_metadata\b/.test(config.tenant_claim)) {
    findings.push(problem('tenant_claim', `HEADWAY_TENANT_CLAIM is ${config.tenant_claim}`, {
      means: 'users of Supabase write that themselves: anybody can become any tenant', advice: 'use app_metadata.tenant_id, or sub'
    }))
  }
  if (config.allowed_origins.includes('*')) {
    findings.push(warning('origins', 'HEADWAY_ALLOWED_ORIGINS is *', {
      means: 'pages of any site may connect, with a token that they got hold of', advice: 'name the origins of your pages'
    }))
  }
  if (config.trust_proxy === 'on') {
    findings.push(warning('trust_proxy', 'HEADWAY_TRUST_PROXY is on', {
      means: 'whoever reaches a gateway directly says which address it has', advice: 'name the addresses of the proxies: 10.0.0.0/8'
    }))
  }
  return findings
}
