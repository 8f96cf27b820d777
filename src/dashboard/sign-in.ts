// Shown when there is no token, or the one there is was refused.

import { h, type Content } from './dom.ts'
import { keepToken } from './token.ts'

/** @param reason why it is asked for; null = there was none */
export function createSignIn (reason: string | null, signedIn: () => void): HTMLElement {
  const field = h('textarea', { id: 'token', rows: 4, spellcheck: 'false', autocomplete: 'off', required: true, placeholder: 'eyJhbGciOi…' })
  const content: Content[] = [
    h('h1', {}, ['Access token']),
    reason === null ? null : h('p', { class: 'notice' }, [reason]),
    h('p', {}, ['A token says which tenant’s jobs you may see and control. ', h('code', {}, ['npm start']), ' prints an address that carries one; ',
      h('code', {}, ['npm run headway -- token']), ' makes one.']),
    h('label', { for: 'token' }, ['Token']),
    field,
    h('button', { type: 'submit', class: 'primary' }, ['Open'])
  ]
  const form = h('form', { class: 'card sign-in' }, content, {
    submit: event => {
      event.preventDefault()
      keepToken(field.value)
      signedIn()
    }
  })
  // A token has one line.
  field.addEventListener('keydown', event => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    form.requestSubmit()
  })
  return form
}
