// A person with a browser: the page of the quickstart, its inbox, its confirmation mail.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { newEmail, startServer } from './lib.mjs'

const password = 'correct horse battery'
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

let server, browser
before(async () => {
  assert.ok(executablePath, 'no Chromium: install the package chromium, or set CHROMIUM')
  server = await startServer('./examples/quickstart')
  browser = await chromium.launch({
    executablePath,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  })
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

// open gives a page of a browser profile of its own, and the complaints of the browser:
// scripts that fail, policies that are violated.
async function open() {
  const context = await browser.newContext()
  context.setDefaultTimeout(15_000)
  const page = await context.newPage(), complaints = []
  context.on('weberror', event => complaints.push(String(event.error())))
  context.on('console', message => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  await page.goto(server.origin)
  return { context, page, complaints }
}

const shows = (page, id, text) => page.locator(id, { hasText: text }).waitFor()

async function fill(page, form, email, secret) {
  await page.fill(`#${form}-email`, email)
  await page.fill(`#${form}-password`, secret)
  await page.click(`#${form}`)
}

// openMail walks from the list of the inbox to the mail.
async function openMail(page, email) {
  await page.goto(server.inbox.url)
  await page.locator('tr.mail', { hasText: email }).locator('a.subject').click()
  await shows(page, '#to', email)
}

test('sign-up, inbox, confirmation, protected data, sign-out, sign-in', async () => {
  const { context, page, complaints } = await open()
  const email = newEmail('browser')
  await shows(page, '#status', 'Not signed in')
  assert.equal(await page.isVisible('#protected'), false)

  await fill(page, 'signup', email, password)
  await shows(page, '#status', 'Check the inbox')
  await fill(page, 'signin', email, password)
  await shows(page, '#status', /not confirmed/i)

  await server.inbox.wait(email)
  await openMail(page, email)
  await page.click('#confirm')
  await page.locator('form button').waitFor()
  assert.equal(await page.locator('button, a').count(), 1, 'one thing to press')
  await page.click('button')

  await shows(page, '#status', `Signed in as ${email}`)
  assert.equal(page.url(), server.origin + '/', 'no token stays in the address')
  const me = JSON.parse(await page.textContent('#protected'))
  assert.equal(me.email, email)
  assert.equal(me.role, 'authenticated')

  await page.click('#signout')
  await shows(page, '#status', 'Signed out')
  assert.equal(await page.textContent('#protected'), '')
  await page.reload()
  await shows(page, '#status', 'Not signed in')

  await fill(page, 'signin', email, 'not the password')
  await shows(page, '#status', /invalid/i)
  await fill(page, 'signin', email, password)
  await shows(page, '#status', `Signed in as ${email}`)
  assert.equal(JSON.parse(await page.textContent('#protected')).id, me.id)
  await page.reload()
  await shows(page, '#status', `Signed in as ${email}`)

  assert.deepEqual(complaints, [])
  await context.close()
})

test('the link inside of the HTML mail; it works once', async () => {
  const { context, page, complaints } = await open()
  const email = newEmail('html')
  await fill(page, 'signup', email, password)
  await shows(page, '#status', 'Check the inbox')
  await server.inbox.wait(email)
  await openMail(page, email)

  const opened = context.waitForEvent('page')
  await page.frameLocator('#html').locator('a').first().click()
  const tab = await opened
  await tab.click('button')
  await shows(tab, '#status', `Signed in as ${email}`)

  const again = await context.newPage()
  await openMail(again, email)
  await again.click('#confirm')
  await again.click('button')
  await shows(again, '#status', /expired/i)

  assert.deepEqual(complaints, [])
  await context.close()
})
