// @supabase/supabase-js, unmodified, with a token of the service role against the standalone
// server: everything below auth.admin that the server has.
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { fails, fragment, must, newClient, newEmail } from './lib.mjs'
import { startTruekeel } from './truekeel.mjs'

const password = 'correct horse battery'

let server, admin
before(async () => {
  server = await startTruekeel({ GOTRUE_API_BASE_PATH: '/auth' })
  admin = newClient(server, {}, await server.run('admin', 'token')).auth.admin
})
after(() => server?.stop())

async function managed(name, attributes = {}) {
  const { user } = await must(admin.createUser({ email: newEmail(name), password, email_confirm: true, ...attributes }))
  return user
}

async function signedIn(email, secret = password) {
  const client = newClient(server)
  await must(client.auth.signInWithPassword({ email, password: secret }))
  return client
}

// open follows a mailed link, which the standalone server uses up at once, as GoTrue does.
async function open(link) {
  const answer = await fetch(link, { redirect: 'manual' })
  assert.equal(answer.status, 303, await answer.text())
  return fragment(new URL(answer.headers.get('location'), link))
}

describe('createUser', () => {
  test('makes an account that can sign in, with all that it was given', async () => {
    const id = randomUUID()
    const user = await managed('made', { id, role: 'editor', user_metadata: { name: 'Ada' }, app_metadata: { plan: 'pro' } })
    assert.equal(user.id, id)
    assert.equal(user.role, 'editor')
    assert.equal(user.user_metadata.name, 'Ada')
    assert.deepEqual(user.app_metadata, { plan: 'pro', provider: 'email', providers: ['email'] })
    assert.equal(user.identities.length, 1)
    const { data: { user: self } } = await (await signedIn(user.email)).auth.getUser()
    assert.equal(self.id, id)
  })

  test('without a confirmed address: it can not sign in yet', async () => {
    const { email } = await managed('unconfirmed', { email_confirm: false })
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'email_not_confirmed')
  })

  test('twice for one address', async () => {
    const { email } = await managed('twice')
    await fails(admin.createUser({ email }), 'email_exists')
    await fails(admin.createUser({}), 'validation_failed')
  })
})

describe('listUsers', () => {
  test('pages, newest first', async () => {
    const made = []
    for (let i = 0; i < 5; i++) made.unshift((await managed('listed')).email)
    const first = await must(admin.listUsers({ page: 1, perPage: 2 }))
    assert.deepEqual(first.users.map(u => u.email), made.slice(0, 2))
    assert.equal(first.nextPage, 2)
    assert.equal(first.aud, 'authenticated')
    const second = await must(admin.listUsers({ page: first.nextPage, perPage: 2 }))
    assert.deepEqual(second.users.map(u => u.email), made.slice(2, 4))
    assert.equal(second.total, first.total)

    const all = await must(admin.listUsers())
    assert.equal(all.users.length, Math.min(50, first.total))
    const last = await must(admin.listUsers({ page: first.lastPage, perPage: 2 }))
    assert.equal(last.nextPage, null)
    assert.ok(last.users.length >= 1)
    assert.deepEqual((await must(admin.listUsers({ page: 1000, perPage: 2 }))).users, [])
  })
})

describe('getUserById', () => {
  test('of an account, of none and of what is no id', async () => {
    const user = await managed('read')
    assert.deepEqual((await must(admin.getUserById(user.id))).user, user)
    await fails(admin.getUserById(randomUUID()), 'user_not_found')
    await assert.rejects(admin.getUserById('nonsense'), /UUID/)
  })
})

describe('updateUserById', () => {
  test('address, password and metadata change at once', async () => {
    const { id, email } = await managed('changed', { user_metadata: { a: 1, b: 2 } })
    const client = await signedIn(email), next = newEmail('changed')
    const { user } = await must(admin.updateUserById(id, {
      email: next, email_confirm: true, password: 'another good password', user_metadata: { a: null, c: 3 }, app_metadata: { plan: 'pro' }, role: 'editor',
    }))
    assert.equal(user.email, next)
    assert.deepEqual([user.user_metadata.a, user.user_metadata.b, user.user_metadata.c], [undefined, 2, 3])
    assert.equal(user.app_metadata.plan, 'pro')
    assert.equal(user.role, 'editor')
    assert.ok((await client.auth.getUser()).error, 'the session has ended')
    await signedIn(next, 'another good password')
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'invalid_credentials')
    await fails(admin.updateUserById(randomUUID(), {}), 'user_not_found')
    await fails(admin.updateUserById(id, { email: (await managed('other')).email }), 'email_exists')
  })

  test('a ban and its end', async () => {
    const { id, email } = await managed('banned')
    await must(admin.updateUserById(id, { ban_duration: '24h' }))
    await fails(newClient(server).auth.signInWithPassword({ email, password }), 'user_banned')
    await must(admin.updateUserById(id, { ban_duration: 'none' }))
    await signedIn(email)
  })
})

describe('deleteUser', () => {
  test('hard: nothing is left', async () => {
    const { id, email } = await managed('gone')
    await must(admin.deleteUser(id))
    await fails(admin.getUserById(id), 'user_not_found')
    await fails(admin.deleteUser(id), 'user_not_found')
    assert.notEqual((await must(admin.createUser({ email }))).user.id, id)
  })

  test('soft: the row stays under an unreadable name', async () => {
    const { id, email } = await managed('hidden')
    const client = await signedIn(email)
    await must(admin.deleteUser(id, true))
    const { user } = await must(admin.getUserById(id))
    assert.equal(user.email, createHash('sha256').update(id + email).digest('base64url'))
    assert.ok(user.deleted_at)
    assert.ok((await client.auth.getUser()).error, 'the session has ended')
    await must(admin.createUser({ email }))
  })
})

describe('generateLink', () => {
  const linkOf = async parameters => (await must(admin.generateLink(parameters))).properties

  for (const [type, make] of [
    ['signup', async () => ({ email: newEmail('link'), password })],
    ['invite', async () => ({ email: newEmail('link'), options: { data: { name: 'Ada' } } })],
    ['magiclink', async () => ({ email: (await managed('link')).email })],
    ['recovery', async () => ({ email: (await managed('link')).email })],
  ]) {
    test(`of type ${type}: link, code and token each sign in`, async () => {
      const parameters = { type, ...await make() }
      const properties = await linkOf(parameters)
      assert.equal(properties.verification_type, type)
      assert.match(properties.email_otp, /^\d{6}$/)
      const link = new URL(properties.action_link)
      assert.equal(link.origin, server.origin)
      assert.equal(link.searchParams.get('token'), properties.hashed_token)
      const session = await open(link)
      assert.equal(session.type, type)
      assert.ok(session.access_token)
      assert.equal((await open(link)).error_code, 'otp_expired')

      const repeat = type === 'signup' || type === 'invite' ? { ...parameters, email: newEmail('link') } : parameters
      const code = await linkOf(repeat)
      assert.ok((await must(newClient(server).auth.verifyOtp({ email: repeat.email, token: code.email_otp, type }))).session)
      if (repeat !== parameters) repeat.email = newEmail('link')
      const token = await linkOf(repeat)
      assert.ok((await must(newClient(server).auth.verifyOtp({ token_hash: token.hashed_token, type }))).session)
    })
  }

  test('of a change of address: both sides agree', async () => {
    const { id, email } = await managed('link'), next = newEmail('link')
    const current = await linkOf({ type: 'email_change_current', email, newEmail: next })
    const coming = await linkOf({ type: 'email_change_new', email, newEmail: next })
    assert.equal(current.verification_type, 'email_change_current')
    assert.equal(coming.verification_type, 'email_change_new')
    await open(current.action_link)
    assert.equal((await must(admin.getUserById(id))).user.email, email)
    await open(coming.action_link)
    assert.equal((await must(admin.getUserById(id))).user.email, next)
  })

  test('for nobody, for a confirmed account and of a type that is none', async () => {
    assert.equal((await linkOf({ type: 'magiclink', email: newEmail('unknown') })).verification_type, 'signup')
    await fails(admin.generateLink({ type: 'recovery', email: newEmail('unknown') }), 'user_not_found')
    const { email } = await managed('confirmed')
    await fails(admin.generateLink({ type: 'invite', email }), 'email_exists')
    await fails(admin.generateLink({ type: 'signup', email, password }), 'email_exists')
    await fails(admin.generateLink({ type: 'nonsense', email }), 'validation_failed')
  })
})

describe('inviteUserByEmail', () => {
  test('mails a link, whose reader is signed in and sets a password', async () => {
    const email = newEmail('invited')
    const { user } = await must(admin.inviteUserByEmail(email, { data: { team: 'blue' } }))
    assert.ok(user.invited_at)
    assert.equal(user.user_metadata.team, 'blue')
    const { link } = await server.inbox.wait(email, 'invite')
    const session = await open(link)
    assert.equal(session.type, 'invite')
    const client = newClient(server)
    await must(client.auth.setSession(session))
    await must(client.auth.updateUser({ password }))
    await signedIn(email)
    await fails(admin.inviteUserByEmail(email), 'email_exists')
  })
})

describe('signOut', () => {
  test('ends the sessions of the token, as far as it is asked', async () => {
    const { email } = await managed('leaves')
    const [one, two, three] = [await signedIn(email), await signedIn(email), await signedIn(email)]
    const token = async client => (await client.auth.getSession()).data.session.access_token
    const alive = async client => !(await client.auth.getUser()).error

    await must(admin.signOut(await token(one), 'local'))
    assert.deepEqual([await alive(one), await alive(two), await alive(three)], [false, true, true])
    await must(admin.signOut(await token(two), 'others'))
    assert.deepEqual([await alive(two), await alive(three)], [true, false])
    await must(admin.signOut(await token(two), 'global'))
    assert.equal(await alive(two), false)
  })
})

describe('who may', () => {
  test('neither a user nor an anonymous key administers', async () => {
    const { email } = await managed('curious', { user_metadata: { role: 'service_role' } })
    const { access_token } = (await must((await signedIn(email)).auth.getSession())).session
    await fails(newClient(server, {}, access_token).auth.admin.listUsers(), 'not_admin')
    await fails(newClient(server, {}, 'any-key').auth.admin.listUsers(), 'bad_jwt')
    const expired = await server.run('admin', 'token', '--life', '1ns')
    await fails(newClient(server, {}, expired).auth.admin.listUsers(), 'bad_jwt')
    const weak = await server.run('admin', 'token', '--role', 'authenticated')
    await fails(newClient(server, {}, weak).auth.admin.listUsers(), 'not_admin')
  })
})
