// Signing in with providers: the page of the social example, and @supabase/supabase-js,
// unmodified, in a real browser. The providers are the example's own, on which everybody
// may be anybody.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { fails, must, newClient, startServer } from './lib.mjs'

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const library = createRequire(import.meta.url).resolve('@supabase/supabase-js').replace(/dist.*$/, 'dist/umd/supabase.js')

let server, front, browser
before(async () => {
  assert.ok(executablePath, 'no Chromium: install the package chromium, or set CHROMIUM')
  server = await startServer('./examples/social')
  front = await startFront(server.origin)
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
  await front?.stop()
  await server?.stop()
})

// startFront serves an app that has nothing but a supabase-js client, called client, and
// passes the rest on to the server: app and server are one origin, as behind a proxy. The
// app's parameters say which flow it uses and, if that is another origin, which server.
async function startFront(target) {
  const app = `<!doctype html><title>app</title><link rel="icon" href="data:,"><script src="/supabase.js"></script><script>
    var asked = new URLSearchParams(location.search)
    var client = supabase.createClient(asked.get('api') ?? location.origin, 'any-key', { auth: { flowType: asked.get('flow') } })
  </script>`
  const proxy = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, target)
    if (pathname === '/app') return res.setHeader('Content-Type', 'text/html').end(app)
    if (pathname === '/supabase.js') return res.setHeader('Content-Type', 'text/javascript').end(await readFile(library))
    const on = request(new URL(req.url, target), { method: req.method, headers: req.headers }, answer => {
      res.writeHead(answer.statusCode, answer.headers)
      answer.pipe(res)
    })
    on.on('error', () => res.destroy())
    req.pipe(on)
  })
  await new Promise(resolve => proxy.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://localhost:${proxy.address().port}`,
    stop: () => new Promise(resolve => {
      proxy.close(resolve)
      proxy.closeAllConnections()
    }),
  }
}

// open gives a page of a browser profile of its own, and the complaints of the browser.
async function open(url) {
  const context = await browser.newContext()
  context.setDefaultTimeout(15_000)
  const page = await context.newPage(), complaints = []
  context.on('weberror', event => complaints.push(String(event.error())))
  context.on('console', message => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  await page.goto(url)
  return { context, page, complaints }
}

// openApp opens the app, whose server is its own origin unless another is given.
const openApp = (flow, api) => open(`${front.origin}/app?${new URLSearchParams({ flow, ...api && { api } })}`)

const shows = (page, id, text) => page.locator(id, { hasText: text }).waitFor()

// be chooses a person on the provider's page.
const be = (page, person) => page.getByRole('button', { name: person }).click()

// ask runs a call of the page's client and gives its answer.
const ask = (page, call, ...args) => page.evaluate(async ([call, args]) => {
  const { data, error } = await client.auth[call](...args)
  return { data, error: error && { code: error.code, message: error.message } }
}, [call, args])

// go calls what leads to a provider, becomes a person there and waits for the app.
async function go(page, call, provider, person) {
  const redirectTo = page.url()
  const left = page.waitForURL(url => url.pathname === '/authorize')
  await must(ask(page, call, { provider, options: { redirectTo, skipBrowserRedirect: true } })).then(({ url }) => page.evaluate(url => { location.href = url }, url))
  await left
  await Promise.all([page.waitForURL(url => url.pathname === '/app'), be(page, person)])
}

// signIn gives the session that a sign-in ends with.
async function signIn(page, provider, person) {
  await go(page, 'signInWithOAuth', provider, person)
  return (await must(ask(page, 'getSession'))).session
}

describe('the example', () => {
  test('sign in, link, unlink, sign out', async () => {
    const { context, page, complaints } = await open(server.origin)
    await shows(page, '#status', 'Not signed in')
    await page.getByRole('button', { name: 'Sign in with acme' }).click()
    await be(page, 'Ann Example')
    await shows(page, '#status', 'Signed in as ann@example.com')
    assert.equal(page.url(), server.origin + '/', 'no code stays in the address')
    assert.equal(JSON.parse(await page.textContent('#protected')).email, 'ann@example.com')

    await page.getByRole('button', { name: 'Link globex' }).click()
    await be(page, 'Nora Noaddress')
    await shows(page, '#identities', 'globex: Nora Noaddress')
    assert.equal(await page.locator('#identities li').count(), 2)
    await page.locator('#identities li', { hasText: 'globex' }).getByRole('button').click()
    await page.waitForFunction(() => document.querySelectorAll('#identities li').length === 1)

    await page.click('#signout')
    await shows(page, '#status', 'Signed out')
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('refusal and an address that nobody vouches for', async () => {
    const { context, page, complaints } = await open(server.origin)
    await page.getByRole('button', { name: 'Sign in with acme' }).click()
    await be(page, 'Refuse')
    await shows(page, '#status', 'The person refused')
    await page.getByRole('button', { name: 'Sign in with acme' }).click()
    await be(page, 'Una Unverified')
    await shows(page, '#status', 'Unverified email with acme')
    const { link } = await server.inbox.wait('una@example.com', 'confirmation')
    assert.ok(link)
    assert.deepEqual(complaints, [])
    await context.close()
  })
})

describe('supabase-js in the browser', () => {
  for (const flow of ['implicit', 'pkce']) {
    test(`signInWithOAuth, ${flow}`, async () => {
      const { context, page, complaints } = await openApp(flow)
      const session = await signIn(page, 'acme', 'Ben Example')
      assert.equal(session.user.email, 'ben@example.com')
      assert.equal(session.user.app_metadata.provider, 'acme')
      assert.ok(session.provider_token, 'the token of the provider')
      assert.equal(new URL(page.url()).hash, '', 'no token stays in the address')
      assert.equal(new URL(page.url()).searchParams.get('code'), null, 'no code stays in the address')
      const { user } = await must(ask(page, 'getUser'))
      assert.equal(user.id, session.user.id)
      assert.ok((await must(ask(page, 'refreshSession'))).session.access_token)
      assert.deepEqual(complaints, [])
      await context.close()
    })

    test(`linkIdentity, getUserIdentities, unlinkIdentity, ${flow}`, async () => {
      const { context, page, complaints } = await openApp(flow)
      await signIn(page, 'acme', 'Ben Example')
      await go(page, 'linkIdentity', 'globex', 'Nora Noaddress')
      await must(ask(page, 'getSession'))
      const { identities } = await must(ask(page, 'getUserIdentities'))
      assert.deepEqual(identities.map(i => i.provider).sort(), ['acme', 'globex'])
      const linked = identities.find(i => i.provider === 'globex')
      assert.equal(linked.identity_data.name, 'Nora Noaddress')

      await must(ask(page, 'unlinkIdentity', linked))
      const left = (await must(ask(page, 'getUserIdentities'))).identities
      assert.deepEqual(left.map(i => i.provider), ['acme'])
      await fails(ask(page, 'unlinkIdentity', left[0]), 'single_identity_not_deletable')
      assert.deepEqual(complaints, [])
      await context.close()
    })
  }

  test('an app of another origin', async () => {
    const { context, page, complaints } = await openApp('pkce', server.origin)
    const session = await signIn(page, 'acme', 'Ben Example')
    assert.equal(session.user.email, 'ben@example.com')
    await go(page, 'linkIdentity', 'globex', 'Nora Noaddress')
    await must(ask(page, 'getSession'))
    const { identities } = await must(ask(page, 'getUserIdentities'))
    await must(ask(page, 'unlinkIdentity', identities.find(i => i.provider === 'globex')))
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('an app of another origin links nothing without PKCE: its browser has no proof that it began', async () => {
    const { context, page } = await openApp('implicit', server.origin)
    await signIn(page, 'acme', 'Ben Example')
    const { url } = await must(ask(page, 'linkIdentity', { provider: 'globex', options: { redirectTo: page.url(), skipBrowserRedirect: true } }))
    await page.goto(url)
    await Promise.all([page.waitForURL(url => url.searchParams.get('error_code') === 'bad_oauth_state'), be(page, 'Nora Noaddress')])
    await context.close()
  })

  test('a refusal reaches the app', async () => {
    const { context, page } = await openApp('pkce')
    await go(page, 'signInWithOAuth', 'acme', 'Refuse')
    assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied')
    assert.equal((await must(ask(page, 'getSession'))).session, null)
    await context.close()
  })
})

describe('native sign-in', () => {
  // idToken gets what a provider's SDK gives to an app: the provider is asked directly,
  // with the hash of the nonce.
  async function idToken(provider, person, nonce) {
    const away = await fetch(`${server.origin}/auth/v1/authorize?provider=${provider}`, { redirect: 'manual' })
    const { origin } = new URL(away.headers.get('location'))
    const query = new URLSearchParams({
      response_type: 'code', client_id: 'client-id', redirect_uri: 'http://localhost/app', state: 's', scope: 'openid',
      nonce: createHash('sha256').update(nonce).digest('hex'), fake_person: person,
    })
    const back = await fetch(`${origin}/authorize?${query}`, { redirect: 'manual' })
    const code = new URL(back.headers.get('location')).searchParams.get('code')
    const answer = await fetch(`${origin}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code', code, redirect_uri: 'http://localhost/app', client_id: 'client-id', client_secret: 'client secret/+&',
      }),
    })
    const tokens = await answer.json()
    assert.ok(tokens.id_token, JSON.stringify(tokens))
    return { provider, nonce, token: tokens.id_token, access_token: tokens.access_token }
  }
  const newNonce = () => randomBytes(16).toString('hex')

  test('signInWithIdToken', async () => {
    const client = newClient(server)
    const { session, user } = await must(client.auth.signInWithIdToken(await idToken('globex', '0', newNonce())))
    assert.equal(user.email, 'ann@example.com')
    assert.ok(session.refresh_token)
    await must(client.auth.getUser())
  })

  test('signInWithIdToken with another nonce, and with a token of another provider', async () => {
    const token = await idToken('acme', '0', newNonce())
    for (const change of [{ nonce: newNonce() }, { provider: 'globex' }, { access_token: 'another' }, { token: token.token.slice(0, -4) + 'AAAA' }]) {
      const { error } = await newClient(server).auth.signInWithIdToken({ ...token, ...change })
      assert.equal(error?.status, 400, JSON.stringify(change))
    }
  })

  test('linkIdentity with an id token', async () => {
    const client = newClient(server)
    await must(client.auth.signInWithIdToken(await idToken('acme', '1', newNonce())))
    await must(client.auth.linkIdentity(await idToken('globex', '3', newNonce())))
    const { identities } = await must(client.auth.getUserIdentities())
    assert.deepEqual(identities.map(i => i.provider).sort(), ['acme', 'globex'])
  })
})
