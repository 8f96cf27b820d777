// No barriers: axe-core finds nothing serious in any state of the dashboard and of <headway-progress>, light, dark, narrow,
// without motion; nothing sticks out of a screen of 320 pixels.

import type { Page } from 'playwright-core'
import t from 'tap'
import { startRedis } from '../support/redis.ts'
import { barriersInEveryLook, openPage, startBrowser } from './browser.ts'
import { serveEmbedded } from './embedded/serve.ts'
import { HOLD_STATES, JOBS, SHOWN, fillStates } from './states.ts'
import { startGatewayProcess, tokenOf } from './support.ts'

t.setTimeout(360_000) // axe-core some hundred times, on a machine that runs all tests

t.test('every state, in every look', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { url, child } = await startGatewayProcess(t, redis.url, { HEADWAY_ALLOWED_ORIGINS: '*', ...HOLD_STATES })
  const browser = await startBrowser(t)
  const [token, nobodys, writers] = await Promise.all([tokenOf(), tokenOf(['jobs:read'], 'nobody'), tokenOf(['jobs:write'])])
  await fillStates(url, token)

  async function look (what: string, at: string, ready: (page: Page) => Promise<unknown>): Promise<void> {
    const { page } = await openPage(browser)
    await page.goto(`${url}/#${at}`)
    await ready(page)
    t.same(await barriersInEveryLook(page), [], what)
    await page.context().close()
  }
  const list = (given = token): string => `token=${given}`
  const job = (id: string): string => `token=${token}&job=${id}`
  const live = (page: Page): Promise<void> => page.locator('#connection').getByText('Live').waitFor()

  await look('asked for a token', '/', page => page.getByLabel('Token').waitFor())
  await look('a token that is no good', list('not.a.token'), page => page.getByText('missing, wrong or expired').waitFor())
  await look('the list', list(), page => page.locator('.job').nth(JOBS.length - 1).waitFor())
  await look('a list without jobs', list(nobodys), page => page.getByText('No jobs yet').waitFor())
  await look('a list that may not be read', list(writers), page => page.locator('.notice').getByText('jobs:read').waitFor())
  await look('a list that is filtered', list(), async page => {
    await page.getByRole('button', { name: /^Failed/ }).click()
    await page.locator('.job').nth(1).waitFor({ state: 'detached' })
  })
  await look('a list in which nothing is found', list(), async page => {
    await page.getByRole('searchbox').fill('nothing like it')
    await page.getByText('No job like this').waitFor()
  })
  await look('a list that is loading', list(), async page => {
    await page.routeWebSocket(/v1\/ws/, () => {}) // is heard and not answered
    await page.reload()
    await page.getByRole('status', { name: 'Loading jobs' }).waitFor()
  })

  for (const id of JOBS) {
    await look(`a job that is ${id}`, job(id), page => page.locator('.hero .status').getByText(SHOWN[id] as RegExp).first().waitFor())
  }
  await look('a job that there is not', job('nobody'), page => page.getByText('no such job').waitFor())
  await look('a job that is loading', job('running'), async page => {
    await page.routeWebSocket(/v1\/ws/, () => {})
    await page.reload()
    await page.getByText('Connecting…').first().waitFor()
  })
  await look('the failures of a job', job('running'), async page => {
    await page.getByRole('tab', { name: /Failures/ }).click()
    await page.locator('.failures li').first().waitFor()
  })
  await look('the table of a job', job('running'), async page => {
    await page.getByRole('tab', { name: 'Table' }).click()
    await page.locator('tbody tr').nth(5).waitFor()
  })
  await look('the question before a cancel', job('running'), async page => {
    await page.getByRole('button', { name: 'Cancel', exact: true }).click()
    await page.getByRole('dialog').waitFor()
  })
  await look('an item that is chosen', job('running'), async page => {
    await live(page)
    await page.getByRole('listbox').focus()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('option').waitFor()
  })

  const elements = [...JOBS, 'nobody'].map(id => `<headway-progress job="${id}" controls></headway-progress>`).join('')
  const { page: embedded } = await openPage(browser)
  await embedded.goto(`${await serveEmbedded(t, url, elements)}/#url=${url}&token=${token}`)
  for (const id of JOBS) await embedded.locator(`headway-progress[job=${id}]`).getByRole('progressbar', { name: `a job that is ${id}` }).waitFor()
  await embedded.locator('headway-progress[job=nobody] .state.failed').waitFor()
  t.same(await barriersInEveryLook(embedded), [], 'the element')

  const [jobs, running] = [(await openPage(browser)).page, (await openPage(browser)).page]
  await jobs.goto(`${url}/#${list()}`)
  await running.goto(`${url}/#${job('running')}`)
  await Promise.all([jobs, running].map(live))
  await child.end('SIGKILL')
  await Promise.all([jobs, running].map(page => page.getByText('Connection lost').waitFor()))
  await embedded.locator('headway-progress[job=running]').getByText('Reconnecting').waitFor()
  t.same(await barriersInEveryLook(jobs), [], 'a list that reconnects')
  t.same(await barriersInEveryLook(running), [], 'a job that reconnects')
  t.same(await barriersInEveryLook(embedded), [], 'the element that reconnects')
})
