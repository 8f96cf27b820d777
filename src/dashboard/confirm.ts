// The one question this page asks back: a cancel cannot be undone.

import { h } from './dom.ts'

/** @returns true when the user wants it; Escape is a no */
export function confirmCancel (): Promise<boolean> {
  return new Promise(resolve => {
    const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'confirm-title' }, [
      h('form', { method: 'dialog' }, [
        h('h2', { id: 'confirm-title' }, ['Cancel this job?']),
        h('p', {}, ['What is done stays done. Items that are not done yet will not be, and the job cannot be resumed.']),
        h('div', { class: 'buttons' }, [
          h('button', { value: 'no' }, ['Keep it']),
          h('button', { value: 'yes', class: 'cancel' }, ['Cancel the job'])
        ])
      ])
    ])
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}
