// The access token of this tab: handed over in the address's fragment, which no server sees, and kept for the tab.

const KEY = 'headway.token'

/** Takes a token out of `#token=…`, so that it is neither bookmarked nor shared by copying the address. */
export function adoptToken (): void {
  const fragment = location.hash.slice(1)
  if (!fragment.startsWith('token=')) return
  const given = new URLSearchParams(fragment)
  const job = given.get('job')
  keepToken(given.get('token') ?? '')
  history.replaceState(null, '', `${location.pathname}${location.search}#/${job === null ? '' : `jobs/${encodeURIComponent(job)}`}`)
}

export function readToken (): string | null {
  return sessionStorage.getItem(KEY)
}

export function keepToken (token: string): void {
  sessionStorage.setItem(KEY, token.trim())
}

export function dropToken (): void {
  sessionStorage.removeItem(KEY)
}
