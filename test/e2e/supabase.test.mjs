// @supabase/supabase-js, unmodified, against the quickstart.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fails, fragment, must, newClient, newEmail, press, startServer } from './lib.mjs'

const password = 'correct horse battery'

let server
before(async () => { server = await startServer('./examples/quickstart') })
after(() => server?.stop())

// signedIn makes a confirmed account and gives a client with its first session.
async function signedIn(name) {
  const email = newEmail(name), client = newClient(server)
  await must(client.auth.signUp({ email, password }))
  const { code } = await server.inbox.wait(email)
  await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
  return { email, client }
}

// another gives a client with a further session of the account.
async function another(email) {
  const client = newClient(server)
  await must(client.auth.signInWithPassword({ email, password }))
  return client
}

// alive reports whether the client's session is one on the server, and can be refreshed.
async function alive(client, session) {
  const user = await client.auth.getUser(session.access_token)
  const refresh = await newClient(server).auth.refreshSession({ refresh_token: session.refresh_token })
  assert.equal(!user.error, !refresh.error, `${user.error?.message} / ${refresh.error?.message}`)
  return !user.error
}

describe('sign-up', () => {
  test('confirmed by the link of the mail', async () => {
    const email = newEmail('link'), client = newClient(server)
    const { user, session } = await must(client.auth.signUp({
      email, password, options: { data: { name: 'Ada' }, emailRedirectTo: server.origin + '/?from=mail' },
    }))
    assert.equal(session, null)
    assert.equal(user.email, email)
    assert.equal(user.user_metadata.name, 'Ada')
    assert.equal(user.identities.length, 1)
    await fails(client.auth.signInWithPassword({ email, password }), 'email_not_confirmed')

    const { link } = await server.inbox.wait(email)
    const target = await press(link)
    assert.equal(target.origin, server.origin)
    assert.equal(target.searchParams.get('from'), 'mail')
    const { access_token, refresh_token, token_type, type } = fragment(target)
    assert.equal(token_type, 'bearer')
    assert.equal(type, 'signup')
    const set = await must(client.auth.setSession({ access_token, refresh_token }))
    assert.ok(set.user.email_confirmed_at)

    const used = fragment(await press(link))
    assert.equal(used.error_code, 'otp_expired')
  })

  test('looking at the link does not use it up', async () => {
    const email = newEmail('scanner')
    await must(newClient(server).auth.signUp({ email, password }))
    const { link } = await server.inbox.wait(email)
    for (let i = 0; i < 3; i++) assert.equal((await fetch(link)).status, 200)
    assert.ok(fragment(await press(link)).access_token)
  })

  test('confirmed by the code of the mail, which works once', async () => {
    const email = newEmail('code'), client = newClient(server)
    await must(client.auth.signUp({ email, password }))
    const { code } = await server.inbox.wait(email)
    const wrong = code === '000000' ? '000001' : '000000'
    await fails(client.auth.verifyOtp({ email, token: wrong, type: 'email' }), 'otp_expired')
    const { session } = await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
    assert.ok(session.access_token)
    await fails(newClient(server).auth.verifyOtp({ email, token: code, type: 'email' }), 'otp_expired')
  })

  test('confirmed by the link token, without a browser', async () => {
    const email = newEmail('hash'), client = newClient(server)
    await must(client.auth.signUp({ email, password }))
    const { link } = await server.inbox.wait(email)
    const token_hash = new URL(link).searchParams.get('token')
    const { session } = await must(client.auth.verifyOtp({ token_hash, type: 'email' }))
    assert.equal(session.user.email, email)
  })

  test('of an address that has an account looks like any other, and changes nothing', async () => {
    const fresh = await must(newClient(server).auth.signUp({ email: newEmail('fresh'), password }))
    const { email, client } = await signedIn('twice')
    const real = (await must(client.auth.getUser())).user

    const { user, session } = await must(newClient(server).auth.signUp({ email, password: 'another password' }))
    assert.equal(session, null)
    assert.equal(user.email, email)
    assert.deepEqual(Object.keys(user), Object.keys(fresh.user))
    assert.deepEqual(Object.keys(user.identities[0]), Object.keys(fresh.user.identities[0]))
    assert.notEqual(user.id, real.id)
    assert.equal(user.email_confirmed_at, undefined)

    await fails(newClient(server).auth.signInWithPassword({ email, password: 'another password' }), 'invalid_credentials')
    await must(newClient(server).auth.signInWithPassword({ email, password }))
  })

  test('with a weak password', async () => {
    const error = await fails(newClient(server).auth.signUp({ email: newEmail('weak'), password: 'abc' }), 'weak_password')
    assert.equal(error.status, 422)
    assert.deepEqual(error.reasons, ['length'])
  })

  test('with something that is no address', async () => {
    const error = await fails(newClient(server).auth.signUp({ email: 'nobody', password }), 'validation_failed')
    assert.equal(error.status, 400)
  })
})

describe('sign-in', () => {
  test('with the password, and what the token opens', async () => {
    const { email } = await signedIn('password')
    const client = newClient(server)
    const { session, user } = await must(client.auth.signInWithPassword({ email, password }))
    assert.equal(session.token_type, 'bearer')
    assert.equal((await must(client.auth.getUser())).user.id, user.id)

    const me = await fetch(server.origin + '/api/me', { headers: { Authorization: `Bearer ${session.access_token}` } })
    assert.equal(me.status, 200)
    assert.deepEqual(await me.json(), { id: user.id, email, role: 'authenticated' })
    const nobody = await fetch(server.origin + '/api/me')
    assert.equal(nobody.status, 401)
    assert.match(nobody.headers.get('www-authenticate'), /^Bearer/)
  })

  test('a wrong password and an unknown address are one error', async () => {
    const { email } = await signedIn('wrong')
    const known = await fails(newClient(server).auth.signInWithPassword({ email, password: 'wrong password' }), 'invalid_credentials')
    const unknown = await fails(newClient(server).auth.signInWithPassword({ email: newEmail('nobody'), password }), 'invalid_credentials')
    assert.equal(known.status, 400)
    assert.equal(known.message, unknown.message)
  })
})

describe('a session', () => {
  test('updateUser changes metadata and password', async () => {
    const { email, client } = await signedIn('update')
    const { user } = await must(client.auth.updateUser({ data: { name: 'Grace', n: 1 } }))
    assert.equal(user.user_metadata.name, 'Grace')
    assert.equal((await must(client.auth.getUser())).user.user_metadata.n, 1)

    await fails(client.auth.updateUser({ password }), 'same_password')
    await fails(client.auth.updateUser({ password: 'short' }), 'weak_password')
    await must(client.auth.updateUser({ password: 'a new pass phrase' }))
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'invalid_credentials')
    await must(newClient(server).auth.signInWithPassword({ email, password: 'a new pass phrase' }))
  })

  test('refreshSession rotates; an older token than the parent ends the session', async () => {
    const { client } = await signedIn('refresh')
    const first = (await must(client.auth.getSession())).session
    const second = (await must(client.auth.refreshSession())).session
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.equal(second.user.id, first.user.id)

    // A second tab, or a lost answer: the parent leads to the same child.
    const repeated = await must(newClient(server).auth.refreshSession({ refresh_token: first.refresh_token }))
    assert.equal(repeated.session.refresh_token, second.refresh_token)

    const third = (await must(client.auth.refreshSession())).session
    await fails(newClient(server).auth.refreshSession({ refresh_token: first.refresh_token }), 'refresh_token_already_used')
    assert.equal(await alive(client, third), false)
  })

  test('an unknown refresh token', async () => {
    await fails(newClient(server).auth.refreshSession({ refresh_token: 'abcdefghijklmnopqrstuvwxyz' }), 'refresh_token_not_found')
  })

  test('getClaims verifies with the published key, without asking for the user', async () => {
    const { email, client } = await signedIn('claims')
    client.requests.length = 0
    const { claims, header } = await must(client.auth.getClaims())
    assert.equal(header.alg, 'ES256')
    assert.equal(claims.email, email)
    assert.equal(claims.role, 'authenticated')
    assert.deepEqual(client.requests, ['/auth/v1/.well-known/jwks.json'])

    const { access_token } = (await must(client.auth.getSession())).session
    const [head, body, signature] = access_token.split('.')
    const flipped = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1)
    const { error } = await client.auth.getClaims([head, body, flipped].join('.'))
    assert.match(error?.message ?? '', /signature/i)
  })
})

describe('signOut', () => {
  for (const [scope, expected] of [
    ['global', { own: false, other: false }],
    ['local', { own: false, other: true }],
    ['others', { own: true, other: false }],
  ]) {
    test(`of scope ${scope}`, async () => {
      const { email, client } = await signedIn(scope)
      const other = await another(email)
      const own = (await must(client.auth.getSession())).session
      const theirs = (await must(other.auth.getSession())).session

      const { error } = await client.auth.signOut({ scope })
      assert.equal(error, null)
      assert.deepEqual({ own: await alive(client, own), other: await alive(other, theirs) }, expected)
      assert.equal((await must(client.auth.getSession())).session === null, scope !== 'others')
    })
  }
})
