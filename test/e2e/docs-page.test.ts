// The page at /docs in a real browser: it shows every route, its strict policy is not broken by anything on it, and it can be tried.

import { chromium } from 'playwright-core'
import t from 'tap'
import { CHROMIUM, findProgram } from '../../src/demo/system-programs.ts'
import { privateRedis, startGateway, tokenOf } from '../gateway/support.ts'

t.setTimeout(120_000) // Chromium starts slowly on a machine that runs all tests

t.test('the page of the interface', async t => {
  const { url } = await startGateway(t, await privateRedis(t))
  const browser = await chromium.launch({ executablePath: findProgram(CHROMIUM.names) ?? '', args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const complaints: string[] = []
  const asked: string[] = []
  page.on('pageerror', error => { complaints.push(error.message) })
  page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  page.on('request', request => { asked.push(request.url()) })
  await page.goto(`${url}/docs`)
  await page.getByRole('button', { name: /POST\s*\/v1\/events/ }).waitFor()
  for (const path of ['/v1/jobs/{id}/control', '/v1/jobs/{id}/timeline', '/v1/tickets', '/readyz']) {
    t.ok(await page.getByRole('button', { name: path }).count() > 0, path)
  }

  await page.getByRole('button', { name: 'Authorize' }).first().click()
  await page.getByRole('textbox', { name: 'auth-bearer-value' }).fill(await tokenOf())
  await page.getByRole('button', { name: 'Apply credentials' }).click()
  await page.getByRole('button', { name: 'Close', exact: true }).click()
  await page.locator('#operations-jobs-getJobs').getByRole('button').first().click()
  await page.getByRole('button', { name: 'Try it out' }).click()
  await page.getByRole('button', { name: 'Execute' }).click()
  await page.locator('.live-responses-table').getByText('"next_cursor"').waitFor()

  t.same(complaints, [])
  t.same(asked.filter(address => !address.startsWith(url) && !address.startsWith('data:')), [], 'nothing from elsewhere')
})
