// @supabase/supabase-js, unmodified: accounts by phone, weak passwords, and hooks that are
// functions in Go.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isAuthWeakPasswordError } from '@supabase/supabase-js'
import { fails, must, newClient, newEmail, startServer } from './lib.mjs'
import { startTruekeel } from './truekeel.mjs'

const password = 'correct horse battery'

let server
before(async () => { server = await startServer('./test/e2e/outside', ['-phones']) })
after(() => server?.stop())

// newPhone is a number that no other test uses, far from the others.
let phones = 0
const newPhone = () => `+49171${String(++phones).padStart(3, '0')}4567`
const wrong = code => (code === '000000' ? '111111' : '000000')

// signedIn gives a client that came in by a code.
async function signedIn(phone = newPhone(), on = server) {
  const client = newClient(on)
  const sent = (await on.inbox.codes(phone)).length
  await must(client.auth.signInWithOtp({ phone }))
  const { user } = await must(client.auth.verifyOtp({ phone, token: await on.inbox.sms(phone, sent), type: 'sms' }))
  return { phone, client, user }
}

describe('codes', () => {
  test('signInWithOtp makes an account, and finds it again', async () => {
    const phone = newPhone(), client = newClient(server)
    const { user, session } = await must(client.auth.signInWithOtp({ phone, options: { data: { name: 'Ada' } } }))
    assert.deepEqual([user, session], [null, null])
    const token = await server.inbox.sms(phone)
    const first = await must(client.auth.verifyOtp({ phone, token, type: 'sms' }))
    assert.equal(first.user.phone, phone.slice(1))
    assert.ok(first.user.phone_confirmed_at)
    assert.equal(first.user.user_metadata.name, 'Ada')
    assert.equal((await must(client.auth.getUser())).user.id, first.user.id)
    assert.equal((await must(client.auth.refreshSession())).user.id, first.user.id)
    assert.equal((await signedIn(phone)).user.id, first.user.id)
  })

  test('are good once, and not when they are wrong', async () => {
    const phone = newPhone(), client = newClient(server)
    await must(client.auth.signInWithOtp({ phone }))
    const token = await server.inbox.sms(phone)
    await fails(client.auth.verifyOtp({ phone, token: wrong(token), type: 'sms' }), 'otp_expired')
    await must(client.auth.verifyOtp({ phone, token, type: 'sms' }))
    await fails(client.auth.verifyOtp({ phone, token, type: 'sms' }), 'otp_expired')
  })

  test('by WhatsApp', async () => {
    const phone = newPhone(), client = newClient(server)
    await must(client.auth.signInWithOtp({ phone, options: { channel: 'whatsapp' } }))
    await must(client.auth.verifyOtp({ phone, token: await server.inbox.sms(phone), type: 'sms' }))
    await fails(client.auth.signInWithOtp({ phone: newPhone(), options: { channel: 'pigeon' } }), 'validation_failed')
  })

  test('for a client that speaks PKCE', async () => {
    const pkce = () => newClient(server, { flowType: 'pkce' })
    const phone = newPhone(), client = pkce()
    await must(client.auth.signUp({ phone, password }))
    await must(client.auth.verifyOtp({ phone, token: await server.inbox.sms(phone), type: 'sms' }))
    const again = pkce()
    await must(again.auth.signInWithOtp({ phone }))
    await must(again.auth.verifyOtp({ phone, token: await server.inbox.sms(phone, 1), type: 'sms' }))
  })

  test('an unknown number is answered alike and gets nothing', async () => {
    const { phone } = await signedIn(), unknown = newPhone(), client = newClient(server)
    const options = { shouldCreateUser: false }
    const known = await client.auth.signInWithOtp({ phone, options })
    assert.deepEqual(await client.auth.signInWithOtp({ phone: unknown, options }), known)
    assert.equal(known.error, null)
    await server.inbox.sms(phone, 1)
    assert.deepEqual(await server.inbox.codes(unknown), [])

    const no = await client.auth.verifyOtp({ phone, token: '000000', type: 'sms' })
    assert.deepEqual((await client.auth.verifyOtp({ phone: unknown, token: '000000', type: 'sms' })).error, no.error)
    assert.deepEqual(
      await fails(client.auth.signInWithPassword({ phone: unknown, password }), 'invalid_credentials'),
      await fails(client.auth.signInWithPassword({ phone, password }), 'invalid_credentials'))
  })

  test('a test number has the code that the host gave it', async () => {
    const phone = '+15005550100', client = newClient(server)
    const { messageId } = await must(client.auth.signInWithOtp({ phone }))
    assert.equal(messageId, 'test-otp')
    await must(client.auth.verifyOtp({ phone, token: '123456', type: 'sms' }))
    assert.deepEqual(await server.inbox.codes(phone), [])
  })

  test('no number, no message', async () => {
    await fails(newClient(server).auth.signInWithOtp({ phone: '0049' }), 'validation_failed')
    await fails(newClient(server).auth.signInWithOtp({ phone: '+4990012345678' }), 'validation_failed') // premium rate
  })
})

describe('passwords', () => {
  test('signUp, resend, signInWithPassword', async () => {
    const phone = newPhone(), client = newClient(server)
    const { user, session } = await must(client.auth.signUp({ phone, password }))
    assert.equal(session, null)
    assert.equal(user.phone, phone.slice(1))
    const first = await server.inbox.sms(phone)
    await fails(client.auth.signInWithPassword({ phone, password }), 'phone_not_confirmed')

    await must(client.auth.resend({ type: 'sms', phone }))
    const second = await server.inbox.sms(phone, 1)
    if (first !== second) await fails(client.auth.verifyOtp({ phone, token: first, type: 'sms' }), 'otp_expired')
    await must(client.auth.verifyOtp({ phone, token: second, type: 'sms' }))

    const again = await must(newClient(server).auth.signInWithPassword({ phone, password }))
    assert.equal(again.user.id, user.id)
    await fails(newClient(server).auth.signInWithPassword({ phone, password: 'not the password' }), 'invalid_credentials')
  })

  test('a second sign-up with a number tells nothing', async () => {
    const phone = newPhone(), client = newClient(server)
    await must(client.auth.signUp({ phone, password }))
    await must(client.auth.verifyOtp({ phone, token: await server.inbox.sms(phone), type: 'sms' }))
    const { user, session } = await must(newClient(server).auth.signUp({ phone, password: 'another pass phrase' }))
    assert.equal(session, null)
    assert.equal(user.phone, phone.slice(1))
    await must(newClient(server).auth.signInWithPassword({ phone, password }))
    await fails(newClient(server).auth.signInWithPassword({ phone, password: 'another pass phrase' }), 'invalid_credentials')
  })

  test('a common one is refused, with reasons', async () => {
    for (const who of [{ phone: newPhone() }, { email: newEmail('weak') }]) {
      const error = await fails(newClient(server).auth.signUp({ ...who, password: 'password123' }), 'weak_password')
      assert.ok(isAuthWeakPasswordError(error), error.name)
      assert.deepEqual(error.reasons, ['pwned'])
    }
    const error = await fails(newClient(server).auth.signUp({ email: newEmail('weak'), password: '1234567' }), 'weak_password')
    assert.deepEqual(error.reasons, ['length', 'pwned'])
  })
})

describe('changes', () => {
  test('updateUser sends a code to the new number, resend another', async () => {
    const { phone, client, user } = await signedIn(), next = newPhone()
    const asked = await must(client.auth.updateUser({ phone: next }))
    assert.equal(asked.user.phone, phone.slice(1))
    assert.equal(asked.user.new_phone, next.slice(1))
    await server.inbox.sms(next)
    await must(client.auth.resend({ type: 'phone_change', phone }))
    const token = await server.inbox.sms(next, 1)

    await fails(client.auth.verifyOtp({ phone: next, token: wrong(token), type: 'phone_change' }), 'otp_expired')
    await fails(client.auth.verifyOtp({ phone: next, token, type: 'sms' }), 'otp_expired')
    const changed = await must(client.auth.verifyOtp({ phone: next, token, type: 'phone_change' }))
    assert.equal(changed.user.id, user.id)
    assert.equal(changed.user.phone, next.slice(1))
    assert.ok(!changed.user.new_phone)
    assert.equal((await signedIn(next)).user.id, user.id)
    assert.notEqual((await signedIn(phone)).user.id, user.id) // the old one is free again
  })

  test('somebody with an address gets a number too', async () => {
    const email = newEmail('both'), phone = newPhone(), client = newClient(server)
    await must(client.auth.signUp({ email, password }))
    const { code } = await server.inbox.wait(email, 'confirmation')
    const { user } = await must(client.auth.verifyOtp({ email, token: code, type: 'email' }))
    await must(client.auth.updateUser({ phone }))
    await must(client.auth.verifyOtp({ phone, token: await server.inbox.sms(phone), type: 'phone_change' }))
    assert.equal((await must(newClient(server).auth.signInWithPassword({ phone, password }))).user.id, user.id)
    assert.equal((await must(newClient(server).auth.signInWithPassword({ email, password }))).user.id, user.id)
  })

  test("not to another's number", async () => {
    const { phone } = await signedIn(), { client } = await signedIn()
    await fails(client.auth.updateUser({ phone }), 'phone_exists')
  })
})

describe('hooks in Go', () => {
  test('add claims, and change no other', async () => {
    const { phone, client, user } = await signedIn()
    for (const renew of [false, true]) {
      if (renew) await must(client.auth.refreshSession())
      const asked = client.requests.length
      const { claims, header } = await must(client.auth.getClaims())
      assert.equal(header.alg, 'ES256')
      assert.equal(claims.team, 'blue')
      assert.equal(claims.sub, user.id)
      assert.equal(claims.phone, phone.slice(1))
      assert.equal(claims.role, 'authenticated')
      assert.ok(!claims.email)
      assert.deepEqual(client.requests.slice(asked), renew ? [] : ['/auth/v1/.well-known/jwks.json'])
    }
  })

  test('refuse a sign-up in their own words', async () => {
    for (const who of [{ phone: newPhone(), password }, { email: newEmail('mallory'), password }]) {
      const error = await fails(newClient(server).auth.signUp({ ...who, options: { data: { name: 'Mallory' } } }), 'not_ours')
      assert.equal(error.message, 'We would rather not')
      await fails(newClient(server).auth.signInWithPassword(who), 'invalid_credentials')
    }
  })
})

// A session of today changes its password without being asked again. This one ends the
// tests of this server: its clock goes ahead.
test('reauthenticate sends a nonce to the phone', async () => {
  const { phone, client } = await signedIn()
  await fetch(server.origin + '/next-day', { method: 'POST' })
  await must(client.auth.refreshSession())
  await fails(client.auth.updateUser({ password }), 'reauthentication_needed')
  await must(client.auth.reauthenticate())
  const nonce = await server.inbox.sms(phone, 1)
  await fails(client.auth.updateUser({ password, nonce: wrong(nonce) }), 'reauthentication_not_valid')
  await must(client.auth.updateUser({ password, nonce }))
  await must(newClient(server).auth.signInWithPassword({ phone, password }))
})

test('the server logged no code and no error', () => {
  assert.match(server.log(), /level=/, 'nothing was logged at all')
  assert.doesNotMatch(server.log(), /level=ERROR|panic|Your code/)
  assert.ok(!server.log().includes(password))
})

test('the standalone server', async () => {
  const standalone = await startTruekeel({
    GOTRUE_API_BASE_PATH: '/auth',
    GOTRUE_EXTERNAL_PHONE_ENABLED: 'true',
    GOTRUE_SMS_TEST_OTP: '15005550100:654321',
    GOTRUE_SMS_MAX_FREQUENCY: '0s',
    GOTRUE_SMS_TEMPLATE: '{{ .Code }} lets you in',
  })
  try {
    await signedIn(newPhone(), standalone)
    const client = newClient(standalone), phone = '+15005550100'
    await must(client.auth.signInWithOtp({ phone }))
    await fails(client.auth.verifyOtp({ phone, token: '123456', type: 'sms' }), 'otp_expired')
    await must(client.auth.verifyOtp({ phone, token: '654321', type: 'sms' }))

    const admin = newClient(standalone, {}, await standalone.run('admin', 'token')).auth.admin
    const managed = newPhone(), next = newPhone()
    const { user } = await must(admin.createUser({ phone: managed, password, phone_confirm: true }))
    await must(newClient(standalone).auth.signInWithPassword({ phone: managed, password }))
    await fails(admin.createUser({ phone: managed }), 'phone_exists')
    assert.equal((await must(admin.updateUserById(user.id, { phone: next }))).user.phone, next.slice(1))
    await must(newClient(standalone).auth.signInWithPassword({ phone: next, password }))
    const { users } = await must(admin.listUsers())
    assert.ok(users.some(u => u.id === user.id && u.phone === next.slice(1)))
  } finally {
    await standalone.stop()
  }
})
