// By keyboard alone: Tab reaches every control in the order of the page and shows where it is; Enter, Space, arrows and Escape do
// what they do elsewhere, and whoever uses them is never thrown back to the top of the page.

import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { startRedis } from '../support/redis.ts'
import { openPage, startBrowser } from './browser.ts'
import { serveEmbedded } from './embedded/serve.ts'
import { HOLD_STATES, JOBS, fillStates } from './states.ts'
import { startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(240_000) // processes start slowly on a machine that runs all tests

const STOPS_MAX = 60

interface Walk { wrong: string[], stops: number }

/** Presses Tab from the top of the page to its end. */
async function walk (page: Page): Promise<Walk> {
  await page.evaluate(() => {
    const seen: Element[] = []
    const state = { seen, wrong: [] as string[] }
    Object.assign(globalThis, { walked: state })
    document.body.tabIndex = -1 // the way begins at its start
    document.body.focus()
    document.body.removeAttribute('tabindex')
  })
  for (let n = 0; n < STOPS_MAX; n++) {
    await page.keyboard.press('Tab')
    if (await page.evaluate(() => {
      const { seen, wrong } = (globalThis as unknown as { walked: { seen: Element[], wrong: string[] } }).walked
      let at = document.activeElement
      while (at?.shadowRoot?.activeElement != null) at = at.shadowRoot.activeElement
      if (at === null || at === document.body || seen.includes(at)) return true
      const name = `${at.tagName} ${at.className} ${(at.getAttribute('aria-label') ?? at.textContent ?? '').slice(0, 40)}`
      const style = getComputedStyle(at)
      if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) wrong.push(`${name}: does not show that it has the focus`)
      const { top, bottom, left, right } = at.getBoundingClientRect()
      if (bottom <= 0 || top >= innerHeight || right <= 0 || left >= innerWidth) wrong.push(`${name}: has the focus out of sight`)
      const before = seen.at(-1)
      const where = before?.getRootNode() === at.getRootNode() ? before.compareDocumentPosition(at) : 0
      if ((where & Node.DOCUMENT_POSITION_PRECEDING) !== 0) wrong.push(`${name}: comes after what stands behind it`)
      seen.push(at)
      return false
    })) break
  }
  return await page.evaluate(() => {
    const { seen, wrong } = (globalThis as unknown as { walked: { seen: Element[], wrong: string[] } }).walked
    const all = (root: Document | ShadowRoot): Element[] =>
      [...root.querySelectorAll('*')].flatMap(one => [one, ...(one.shadowRoot === null ? [] : all(one.shadowRoot))])
    const missed = all(document).filter(one => one.matches('a[href], button, input, textarea, select, [tabindex]:not([tabindex="-1"])') &&
      !one.matches('[tabindex="-1"]') && one.checkVisibility() && !seen.includes(one))
    return { wrong: [...wrong, ...missed.map(one => `${one.tagName} ${one.textContent.slice(0, 40)}: Tab does not reach it`)], stops: seen.length }
  })
}

const focused = (locator: Locator): Promise<boolean> => locator.evaluate(element => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement != null) at = at.shadowRoot.activeElement
  return element === at
})

t.test('the dashboard and the element by keyboard', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { url } = await startGatewayProcess(t, redis.url, { HEADWAY_ALLOWED_ORIGINS: '*', ...HOLD_STATES })
  const browser = await startBrowser(t)
  const token = await tokenOf()
  await fillStates(url, token)

  async function open (at: string): Promise<Page> {
    const { page } = await openPage(browser)
    t.teardown(() => page.context().close())
    await page.goto(`${url}/#${at}`)
    return page
  }

  await t.test('a token is typed and sent by Enter', async t => {
    const page = await open('/')
    await page.getByLabel('Token').waitFor()
    t.same((await walk(page)).wrong, [])
    await page.getByLabel('Token').focus()
    await page.keyboard.insertText(token)
    await page.keyboard.press('Enter')
    await page.locator('.job').first().waitFor()
  })

  await t.test('the list: every job and filter is reached, Space chooses, Enter opens', async t => {
    const page = await open(`token=${token}`)
    await page.locator('.job').nth(JOBS.length - 1).waitFor()
    const { wrong, stops } = await walk(page)
    t.same(wrong, [])
    t.ok(stops > JOBS.length + 6, `${stops} stops`)
    const paused = page.getByRole('button', { name: /^Paused/ })
    await paused.focus()
    await page.keyboard.press('Space')
    await page.locator('.job').nth(1).waitFor({ state: 'detached' })
    t.equal(await paused.getAttribute('aria-pressed'), 'true')
    t.ok(await focused(paused))
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    t.ok(await focused(page.getByRole('link', { name: /a job that is paused/ })), 'the one that is left follows the last filter')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: /a job that is paused/ }).waitFor()
    t.ok(await focused(page.locator('main')), 'reading begins at the new page')
  })

  await t.test('a job: the way past the head, every control, tabs by arrows, the grid and its end', async t => {
    const page = await open(`token=${token}&job=running`)
    await page.locator('#connection').getByText('Live').waitFor()
    const { wrong, stops } = await walk(page)
    t.same(wrong, [])
    t.ok(stops > 6, `${stops} stops`)

    const skip = page.getByRole('link', { name: 'Skip to content' })
    await skip.focus()
    await page.keyboard.press('Enter')
    t.ok(await focused(page.locator('main')))
    t.ok(await page.getByRole('heading', { name: /a job that is running/ }).isVisible(), 'and stays with the job')

    const tab = (name: RegExp): Locator => page.getByRole('tab', { name })
    await tab(/Grid/).focus()
    await page.keyboard.press('ArrowRight')
    t.ok(await focused(tab(/Table/)))
    await page.locator('tbody tr').nth(6).waitFor()
    t.same((await walk(page)).wrong, [], 'with the table')
    const chip = page.getByRole('button', { name: 'Skipped', exact: true })
    await chip.focus()
    await page.keyboard.press('Enter')
    await page.locator('tbody').getByText('Clip 4.mp4').waitFor()
    t.equal(await page.locator('tbody tr').count(), 1)
    await tab(/Table/).focus()
    await page.keyboard.press('End')
    t.ok(await focused(tab(/Failures/)))
    await page.locator('.failures').getByText('The codec is not supported').waitFor()
    t.same((await walk(page)).wrong, [], 'with the failures')
    await tab(/Failures/).focus()
    await page.keyboard.press('ArrowRight')
    t.ok(await focused(tab(/Grid/)), 'round and round')
    const grid = page.getByRole('listbox')
    await grid.focus()
    await page.keyboard.press('ArrowRight')
    await page.locator('.chosen-item').getByText('Clip 0.mp4: Completed').waitFor()
    await page.keyboard.press('End')
    await page.locator('.chosen-item').getByText('Item 30 of 30').waitFor()
    t.equal(await grid.getAttribute('aria-activedescendant'), await page.getByRole('option').getAttribute('id'))
  })

  await t.test('a cancel: Escape is a no and the focus is where it was; the dialog keeps it meanwhile', async t => {
    const page = await open(`token=${token}&job=running`)
    const cancel = page.getByRole('button', { name: 'Cancel', exact: true })
    await cancel.focus()
    await page.keyboard.press('Space')
    const dialog = page.getByRole('dialog', { name: 'Cancel this job?' })
    await dialog.waitFor()
    for (let n = 0; n < 5; n++) {
      t.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null), 'nothing behind it is reached')
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    t.ok(await focused(cancel))
    t.ok(await page.locator('.hero .state.running').isVisible())

    const pause = page.getByRole('button', { name: 'Pause' })
    await pause.focus()
    await page.keyboard.press('Enter')
    await page.locator('.hero .state.pausing').waitFor()
    t.ok(await focused(pause), 'a button that has done its work keeps the focus')
    t.equal(await pause.getAttribute('aria-disabled'), 'true')
    await page.keyboard.press('Tab')
    await pause.waitFor({ state: 'hidden' })
    t.ok(await focused(page.getByRole('button', { name: 'Resume' })), 'and goes when it is left')
  })

  await t.test('the element: its buttons are reached, pressed, and keep the focus', async t => {
    const { page } = await openPage(browser)
    t.teardown(() => page.context().close())
    await page.goto(`${await serveEmbedded(t, url, '<headway-progress job="late" controls></headway-progress>')}/#url=${url}&token=${token}`)
    const hold = page.getByRole('button', { name: 'Hold' })
    await hold.waitFor()
    const { wrong, stops } = await walk(page)
    t.same(wrong, [])
    t.equal(stops, 2, 'pause and cancel')
    await hold.focus()
    await page.keyboard.press('Space')
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    t.ok(await focused(hold))
    t.equal(await hold.getAttribute('aria-disabled'), 'true')
    await page.keyboard.press('Tab')
    t.ok(await focused(page.getByRole('button', { name: 'Go on' })))
    await hold.waitFor({ state: 'detached' })
    await page.keyboard.press('Enter')
    await hold.waitFor()
  })
})
