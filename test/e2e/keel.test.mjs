// The Keel dialect as a front end with Keel's generated TypeScript client uses it: JSON
// bodies, /auth at the origin's root, errors by status and error_description.
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newClient, newEmail, startServer } from './lib.mjs'

const password = '1234 and some more'

// Client keeps a session as Keel's own client does: it reads three fields of a grant,
// decodes only exp of the access token, refreshes once for all who wait, and forgets
// everything when a request fails.
class Client {
  constructor(origin) { this.origin = origin }

  async post(path, body) {
    return fetch(`${this.origin}/auth${path}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    })
  }

  async grant(body) {
    const res = await this.post('/token', body)
    assert.equal(res.headers.get('content-type'), 'application/json')
    const answer = await res.json()
    if (res.ok) {
      this.access = answer.access_token
      this.refreshToken = answer.refresh_token
      return { data: { identityCreated: answer.identity_created } }
    }
    this.access = this.refreshToken = undefined
    const type = { 400: 'bad_request', 401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 500: 'internal_server_error' }[res.status] ?? 'unknown'
    return { error: { type, message: answer?.error_description } }
  }

  signIn(username, createIfNotExists, pw = password) {
    return this.grant({ grant_type: 'password', username, password: pw, create_if_not_exists: createIfNotExists })
  }

  withIDToken(token, createIfNotExists) {
    return this.grant({ grant_type: 'token_exchange', subject_token: token, create_if_not_exists: createIfNotExists })
  }

  withCode(code) { return this.grant({ grant_type: 'authorization_code', code }) }

  refresh() {
    this.refreshing ??= this.grant({ grant_type: 'refresh_token', refresh_token: this.refreshToken }).finally(() => { this.refreshing = undefined })
    return this.refreshing
  }

  async logout() {
    const token = this.refreshToken
    this.access = this.refreshToken = undefined
    return this.post('/revoke', { token })
  }

  expiresAt() { return new Date(payload(this.access).exp * 1000) }
}

const payload = token => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))

// startProvider is an OpenID Connect provider for one person, who always agrees.
async function startProvider() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const asked = new Map() // nonce by code
  let issuer
  const idToken = claims => {
    const now = Math.floor(Date.now() / 1000)
    const text = [{ alg: 'RS256', typ: 'JWT' }, { iss: issuer, aud: 'client', sub: 'id|285620', iat: now, exp: now + 300, ...claims }]
      .map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
  }
  const routes = {
    '/.well-known/openid-configuration': () => ({
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
      id_token_signing_alg_values_supported: ['RS256'], token_endpoint_auth_methods_supported: ['client_secret_post'],
    }),
    '/keys': () => ({ keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'mykey' }] }),
    '/token': form => form.get('client_secret') === 'secret' && asked.has(form.get('code')) && {
      access_token: 'a', token_type: 'bearer', expires_in: 360, id_token: idToken({ nonce: asked.get(form.get('code')) }),
    },
  }
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, issuer)
    if (url.pathname === '/authorize') {
      const code = randomUUID(), back = new URL(url.searchParams.get('redirect_uri'))
      asked.set(code, url.searchParams.get('nonce'))
      back.search = new URLSearchParams({ code, state: url.searchParams.get('state') })
      return res.writeHead(302, { location: back.href }).end()
    }
    let body = ''
    for await (const chunk of req) body += chunk
    const answer = routes[url.pathname]?.(new URLSearchParams(body))
    res.writeHead(answer ? 200 : 400, { 'content-type': 'application/json' }).end(JSON.stringify(answer || {}))
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${server.address().port}`
  return { issuer, idToken, stop: () => server.close() }
}

const landing = 'https://app.example.com/signed-in'
let provider, server
before(async () => {
  provider = await startProvider()
  server = await startServer('./test/e2e/keelserver', ['-issuer', provider.issuer, '-landing', landing])
})
after(async () => {
  await server?.stop()
  provider?.stop()
})

// me asks the host's own API who the token's owner is.
async function me(client) {
  const res = await fetch(`${server.origin}/api/me`, { headers: { authorization: `Bearer ${client.access}` } })
  return { status: res.status, text: await res.text() }
}

// throughProvider follows the redirects with a cookie jar and gives the last one's URL.
async function throughProvider(name) {
  let at = `${server.origin}/auth/authorize/${name}`
  const cookies = new Map()
  for (;;) {
    const mine = new URL(at).origin === server.origin
    const res = await fetch(at, { redirect: 'manual', headers: mine ? { cookie: [...cookies].map(c => c.join('=')).join('; ') } : {} })
    for (const cookie of mine ? res.headers.getSetCookie() : []) {
      const [, key, value] = /^([^=]+)=([^;]*)/.exec(cookie)
      cookies.set(key, value)
    }
    assert.equal(res.status, 302, `${at}: ${res.status} ${await res.text()}`)
    at = res.headers.get('location')
    if (at.startsWith(landing)) return new URL(at)
  }
}

describe('password', () => {
  test('creates, signs in again, says what is wrong', async () => {
    const email = newEmail('keel'), client = new Client(server.origin)
    assert.deepEqual(await client.signIn(email), { data: { identityCreated: true } })
    const first = (await me(client)).text
    assert.match(first, /^[0-9a-f-]{36}$/)
    assert.equal(payload(client.access).sub, first)
    const life = client.expiresAt() - Date.now()
    assert.ok(life > 50_000 && life <= 62_000, `the token lives ${life} ms`)

    assert.deepEqual(await client.signIn(email, false), { data: { identityCreated: false } })
    assert.equal((await me(client)).text, first)

    const wrong = 'the identity does not exist or the credentials are incorrect'
    assert.deepEqual(await client.signIn(email, undefined, 'whoops, not it'), { error: { type: 'unauthorized', message: wrong } })
    assert.equal(client.access, undefined)
    assert.deepEqual(await client.signIn(newEmail('nobody'), false), { error: { type: 'unauthorized', message: wrong } })
    assert.deepEqual(await client.signIn('nobody'), { error: { type: 'bad_request', message: 'invalid email address' } })
    assert.deepEqual(await client.signIn(email, undefined, ''),
      { error: { type: 'bad_request', message: "the identity's password in the 'password' field is required" } })
  })

  test('is the same account as with supabase-js', async () => {
    const email = newEmail('both'), client = new Client(server.origin)
    await client.signIn(email)
    const { data, error } = await newClient(server).auth.signInWithPassword({ email, password })
    assert.equal(error, null)
    assert.equal(data.user.id, payload(client.access).sub)
  })
})

describe('refresh', () => {
  test('rotates, once for all who wait, until the session ends', async () => {
    const client = new Client(server.origin)
    await client.signIn(newEmail('refresh'))
    const old = client.refreshToken
    assert.deepEqual(await Promise.all([client.refresh(), client.refresh()]),
      Array(2).fill({ data: { identityCreated: false } }))
    assert.notEqual(client.refreshToken, old)
    assert.equal((await me(client)).status, 200)

    const thief = Object.assign(new Client(server.origin), { refreshToken: old })
    assert.equal((await thief.refresh()).error.type, 'unauthorized')
    assert.deepEqual(await client.refresh(), { data: { identityCreated: false } }, 'a rotated token ends nothing')

    // The end is fixed: six seconds after the sign-in, however often it was refreshed.
    const deadline = Date.now() + 30_000
    let last
    do {
      await sleep(200)
      last = await client.refresh()
    } while (last.data && Date.now() < deadline)
    assert.deepEqual(last.error, { type: 'unauthorized', message: 'possible causes may be that the refresh token has been revoked or has expired' })
    assert.equal(client.refreshToken, undefined)
  })

  test('ends at the logout', async () => {
    const client = new Client(server.origin)
    await client.signIn(newEmail('logout'))
    const token = client.refreshToken
    for (const again of [false, true]) {
      client.refreshToken = token
      const res = await client.logout()
      assert.equal(res.status, 200, `again: ${again}`)
      assert.equal(await res.text(), 'null')
    }
    client.refreshToken = token
    assert.equal((await client.refresh()).error.type, 'unauthorized')
  })
})

describe('providers', () => {
  test('are listed', async () => {
    const res = await fetch(`${server.origin}/auth/providers`)
    assert.deepEqual(await res.json(), [{
      name: 'Acme', type: 'oidc', authorizeUrl: `${server.origin}/auth/authorize/acme`, callbackUrl: `${server.origin}/auth/callback/acme`,
    }])
    const metadata = await (await fetch(`${server.origin}/.well-known/oauth-authorization-server`)).json()
    assert.equal(metadata.issuer, server.origin)
    assert.equal(metadata.authorization_endpoint, `${server.origin}/auth/authorize/acme`)
  })

  test('sign in by id token', async () => {
    const client = new Client(server.origin), sub = randomUUID()
    const token = provider.idToken({ sub })
    assert.deepEqual(await client.withIDToken(token, false), { error: { type: 'unauthorized', message: 'the identity does not exist' } })
    assert.deepEqual(await client.withIDToken(token), { data: { identityCreated: true } })
    const first = (await me(client)).text
    assert.deepEqual(await client.withIDToken(token), { data: { identityCreated: false } })
    assert.equal((await me(client)).text, first)
    assert.deepEqual(await client.withIDToken('no token'), { error: { type: 'unauthorized', message: 'access denied' } })
  })

  test('sign in by redirect', async () => {
    const url = await throughProvider('Acme'), client = new Client(server.origin)
    const code = url.searchParams.get('code')
    assert.match(code, /^[A-Za-z0-9]{32}$/)
    assert.deepEqual(await client.withCode(code), { data: { identityCreated: false } })
    assert.equal((await me(client)).status, 200)
    assert.deepEqual((await client.withCode(code)).error,
      { type: 'unauthorized', message: 'possible causes may be that the auth code has been consumed or has expired' })
  })
})
