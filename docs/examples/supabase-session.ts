// A browser whose users sign in with Supabase: their session's token is Headway's. The gateway checks it with the project's
// JWT secret (HEADWAY_JWT_SECRET) and finds the tenant in app_metadata.tenant_id.

import type { SupabaseClient } from '@supabase/supabase-js'
import { createClient, type Client } from '../../src/client/index.ts'

export function createHeadway (url: string, supabase: SupabaseClient): Client {
  const headway = createClient({
    url,
    async getToken () { // asked before every connection and request, and shortly before a token ends
      const { data, error } = await supabase.auth.getSession()
      if (error !== null) throw error
      return data.session?.access_token ?? ''
    }
  })
  supabase.auth.onAuthStateChange(event => {
    if (event === 'TOKEN_REFRESHED') setTimeout(() => { void headway.refreshToken() }) // not inside the callback: it holds a lock
    if (event === 'SIGNED_OUT') headway.close()
  })
  return headway
}
